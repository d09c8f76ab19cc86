"""Tokens for neighbours: fetched once, fetched anew before their end, good for their whole life if need be."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from common.connection import at_most
from ecs.runtime import service_tokens
from ecs.runtime.service_tokens import TokenUnavailable
from ecs.runtime.settings import settings
from tests.integration.ecs.identity import Identity, identity
from tests.integration.ecs.neighbours import Task, never, says, tasks


@dataclass
class Clock:
    ahead: float = 0
    real = staticmethod(time.monotonic)

    def monotonic(self) -> float:
        return self.real() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(service_tokens, "time", clock)
    return clock


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    """Gives tokens to orders, for an hour each."""
    with identity() as issuer:
        for name, value in issuer.environment.items() | {("SERVICE", "orders"), ("CLIENT_ID", "orders")}:
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield issuer
    settings.cache_clear()
    service_tokens._kept.clear()


def test_a_token_is_fetched_once_for_each_neighbour(issuer: Identity) -> None:
    tokens = {service_tokens.token(service) for service in ("catalog", "payments") * 10}
    assert (len(tokens), issuer.tokens_asked) == (2, ["shop.internal/catalog", "shop.internal/payments"])


def test_a_token_is_fetched_anew_a_minute_before_its_end(issuer: Identity, clock: Clock) -> None:
    first = service_tokens.token("catalog")
    clock.ahead = 3600 - 65
    assert service_tokens.token("catalog") == first
    clock.ahead = 3600 - 55
    assert service_tokens.token("catalog") != first
    assert len(issuer.tokens_asked) == 2


def test_while_the_issuer_is_away_a_token_is_used_to_its_end(issuer: Identity, clock: Clock) -> None:
    first = service_tokens.token("catalog")
    issuer.away, clock.ahead = True, 3600 - 55
    assert [service_tokens.token("catalog") for _ in range(20)] == [first] * 20
    assert len(issuer.tokens_asked) == 3  # twice in vain, and not again for each call
    clock.ahead = 3600 - 3
    with pytest.raises(TokenUnavailable):
        service_tokens.token("catalog")
    issuer.away, clock.ahead = False, 3600 + 3
    assert service_tokens.token("catalog") != first


def test_without_a_token_an_issuer_that_is_away_is_told_and_not_asked_by_everybody(
    issuer: Identity, clock: Clock
) -> None:
    issuer.away = True
    for _ in range(20):
        with pytest.raises(TokenUnavailable):
            service_tokens.token("catalog")
    assert len(issuer.tokens_asked) == 2  # once, and once again at once
    issuer.away, clock.ahead = False, 6
    assert service_tokens.token("catalog")


def test_a_client_that_is_not_known_gets_no_token(issuer: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "another")
    settings.cache_clear()
    with pytest.raises(TokenUnavailable):
        service_tokens.token("catalog")


def test_a_token_that_was_refused_is_not_sent_again(issuer: Identity) -> None:
    first = service_tokens.token("catalog")
    service_tokens.refused("catalog")
    assert service_tokens.token("catalog") != first


def test_an_issuer_that_hangs_takes_no_longer_than_there_is_time(
    issuer: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tasks(Task("127.0.1.9", never)) as port:
        monkeypatch.setenv("TOKEN_URL", f"http://127.0.1.9:{port}/token")
        settings.cache_clear()
        started = time.monotonic()
        with at_most(0.5), pytest.raises(TokenUnavailable):
            service_tokens.token("catalog")
        assert time.monotonic() - started < 3.5, "and not twice the 2 s that there would be"


def test_the_issuer_cannot_send_the_secret_elsewhere(issuer: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Task("127.0.1.8")
    with (
        tasks(elsewhere) as port,
        tasks(Task("127.0.1.9", says(307, Location=f"http://127.0.1.8:{port}/"))) as issuers,
    ):
        monkeypatch.setenv("TOKEN_URL", f"http://127.0.1.9:{issuers}/token")
        settings.cache_clear()
        with pytest.raises(TokenUnavailable):
            service_tokens.token("catalog")
    assert not elsewhere.heard
