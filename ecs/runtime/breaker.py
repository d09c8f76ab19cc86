"""A circuit breaker per neighbour: after several failures in a row no call is made for a while, then one is tried."""

from pybreaker import CircuitBreaker, CircuitBreakerListener, CircuitBreakerState

from common.observability import count, logger

FAILURES = 5
OPEN_SECONDS = 5.0
_METRICS = {"open": "BreakersOpened", "half-open": "BreakersTried", "closed": "BreakersClosed"}


def breaker(neighbour: str, excluded: list[type[Exception]]) -> CircuitBreaker:
    """Of this process alone. Errors that are `excluded` are answers too: they close it."""
    listener = _Listener()
    return CircuitBreaker(FAILURES, OPEN_SECONDS, exclude=excluded, listeners=[listener], name=neighbour)


class _Listener(CircuitBreakerListener):
    def state_change(
        self, cb: CircuitBreaker, old_state: CircuitBreakerState | None, new_state: CircuitBreakerState
    ) -> None:
        logger.warning("circuit breaker", extra={"neighbour": cb.name, "state": new_state.name})
        count(_METRICS[new_state.name])
