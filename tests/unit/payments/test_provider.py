"""How a provider that does not answer is asked again."""

import time

import pytest

from payments.provider import ProviderUnavailable, persistently


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


class Moody:
    """Fails as often as it is told to, then answers."""

    def __init__(self, failures: int) -> None:
        self.failures, self.asked = failures, 0

    def ask(self) -> str:
        self.asked += 1
        if self.asked <= self.failures:
            raise ProviderUnavailable
        return "answer"


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_a_provider_that_comes_back_soon_is_waited_for(failures: int, pauses: list[float]) -> None:
    assert persistently(Moody(failures).ask) == "answer"
    assert len(pauses) == failures


def test_a_provider_that_stays_away_is_given_up_within_two_seconds(pauses: list[float]) -> None:
    moody = Moody(failures=4)
    with pytest.raises(ProviderUnavailable):
        persistently(moody.ask)
    assert moody.asked == 4
    assert sum(pauses) < 2


def test_a_provider_that_hangs_is_not_asked_so_often_that_the_function_ends_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moody, now = Moody(failures=4), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def hang() -> str:
        now[0] += 5.1
        return moody.ask()

    with pytest.raises(ProviderUnavailable):
        persistently(hang)
    assert moody.asked == 1


def test_anything_else_that_goes_wrong_is_not_asked_again(pauses: list[float]) -> None:
    def wrong() -> str:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        persistently(wrong)
    assert pauses == []
