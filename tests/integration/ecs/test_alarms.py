"""Alarms on what only the ECS design has: journals, and tokens for neighbours."""

import itertools
from collections.abc import Callable

import pytest

from common import database as common_database
from common.connection import at_most
from common.consumer import Consumer
from common.database import transaction
from common.observability import correlate, flush
from ecs.runtime import journal_rows, service_tokens
from ecs.runtime.calls import NeighbourRefused, NeighbourUnavailable
from ecs.runtime.journal import Journal
from ecs.runtime.service_tokens import TokenUnavailable
from tests.integration.common.workshop import NoteWritten, write
from tests.integration.database import Database
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.test_service_tokens import issuer
from tests.integration.gateway import on_schedule
from tests.integration.watch import Watch

__all__ = ["issuer"]  # a fixture


class Paper:
    """A neighbour, of whom every event is told."""

    failure: Exception | None = None

    def file(self, _: NoteWritten) -> None:
        if self.failure:
            raise self.failure


@pytest.fixture
def service() -> str:
    return "workshop"


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, database: Database, paper: Paper) -> Callable[[], None]:
    consumer, journal = Consumer(), Journal()
    journal.on(NoteWritten)(paper.file)
    consumer.task(journal.sweep)
    monkeypatch.setattr(common_database, "_announcer", journal)
    return lambda: on_schedule(consumer.handler)


@pytest.fixture
def watch(
    database: Database,
    sweep: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Watch:
    """After an ordinary while. The workshop stands for orders, whose alarms these are."""
    watch = Watch("containers", "orders", database, capsys, monkeypatch)
    assert [watch.passes(sweep) for _ in range(3)][-1] == set()
    return watch


numbers = itertools.count()


def tell() -> None:
    correlate("a-request")
    with transaction() as tx:
        write(tx, next(numbers))


def test_while_neighbours_answer_or_are_away_for_a_moment_no_alarm_goes_off(
    watch: Watch, sweep: Callable[[], None], paper: Paper
) -> None:
    for minute in range(12):
        paper.failure = NeighbourUnavailable("paper does not answer") if minute in (4, 5) else None
        assert watch.passes(tell, sweep) == set(), minute


def test_a_neighbour_that_stays_away_is_told_after_five_minutes(
    watch: Watch, sweep: Callable[[], None], paper: Paper
) -> None:
    paper.failure = NeighbourUnavailable("paper does not answer")
    assert [watch.passes(tell, sweep) for _ in range(5)] == [set()] * 5
    assert [watch.passes(sweep) for _ in range(2)][-1] == {"JournalAge"}
    paper.failure = None
    assert watch.passes(sweep) == set()


def test_what_a_neighbour_refuses_for_good_is_told(
    watch: Watch, sweep: Callable[[], None], paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_rows, "HOPELESS_ATTEMPTS", 2)
    paper.failure = NeighbourRefused("paper", 422, {})
    assert [watch.passes(tell, sweep), watch.passes(sweep), watch.passes(sweep)][-1] == {"JournalParked"}


def test_an_issuer_that_gives_no_token_is_told_in_the_second_bad_minute(
    watch: Watch, sweep: Callable[[], None], issuer: Identity
) -> None:
    def call() -> None:
        service_tokens.refused("payments")  # what is kept, so that another is needed
        with at_most(3), pytest.raises(TokenUnavailable):
            service_tokens.token("payments")
        flush()

    issuer.away = True
    assert [watch.passes(call, sweep) for _ in range(2)] == [set(), {"ServiceTokensUnavailable"}]
