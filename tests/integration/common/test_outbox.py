"""The outbox: announced if and only if committed, and sent sooner or later, once."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from common import outbox
from common.database import transaction
from common.event_bridge import BusUnavailable, Refused
from common.observability import flush
from tests.integration.common.workshop import NoteWritten, write
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import Entry, FakeBus

THROTTLED = Refused("ThrottlingException")
AWAY = BusUnavailable()


def announce(*note_ids: int) -> None:
    with transaction() as tx:
        for note_id in note_ids:
            write(tx, note_id)


def wait_ten_seconds(database: Database) -> None:
    database.execute("UPDATE outbox SET available_at = available_at - INTERVAL 10 SECOND")


def wait_a_minute(database: Database) -> None:
    database.execute("UPDATE outbox SET available_at = available_at - INTERVAL 60 SECOND")


def noted(bus: FakeBus) -> list[int]:
    return [detail["data"]["note_id"] for detail in bus.details("NoteWritten")]


def of_note(*note_ids: int) -> Any:
    def when(entry: Entry) -> bool:
        return json.loads(entry["Detail"])["data"]["note_id"] in note_ids

    return when


def test_an_event_is_sent_right_after_the_commit_and_leaves_no_row(database: Database, bus: FakeBus) -> None:
    with transaction() as tx:
        write(tx, 1)
        assert (bus.calls, database.count("outbox")) == ([], 0)
    assert (noted(bus), database.count("outbox")) == ([1], 0)
    [entry] = bus.accepted
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == ("kumiki-test", "workshop", "NoteWritten")


def test_an_event_is_in_the_outbox_when_the_commit_is_made(database: Database, bus: FakeBus) -> None:
    bus.fail(AWAY)
    announce(1)
    [row] = database.rows("SELECT *, TIMESTAMPDIFF(SECOND, created_at, available_at) AS wait FROM outbox")
    assert json.loads(row["detail"])["id"].replace("-", "") == row["event_id"].hex()
    assert (row["detail_type"], row["attempts"], row["wait"], row["parked_at"]) == ("NoteWritten", 0, 10, None)


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("error", [THROTTLED, AWAY, RuntimeError("odd")])
def test_a_bus_that_fails_fails_no_request_and_the_sweep_sends_later(
    database: Database, bus: FakeBus, error: Exception
) -> None:
    bus.fail(error)
    announce(1, 2)
    assert (database.count("notes"), database.count("outbox")) == (2, 2)
    bus.recover()
    assert (outbox.sweep(), noted(bus)) == (0, []), "for ten seconds the row is its writer's"
    wait_ten_seconds(database)
    assert (outbox.sweep(), sorted(noted(bus)), database.count("outbox")) == (2, [1, 2], 0)
    assert outbox.sweep() == 0


def test_a_sweep_that_fails_is_seen_and_tried_again_after_a_minute(database: Database, bus: FakeBus) -> None:
    bus.fail(AWAY)
    announce(1)
    wait_ten_seconds(database)
    with pytest.raises(BusUnavailable):
        outbox.sweep()
    bus.recover()
    assert outbox.sweep() == 0, "the row is leased"
    wait_a_minute(database)
    assert (outbox.sweep(), noted(bus)) == (1, [1])


def test_entries_that_are_refused_stay_and_no_others(database: Database, bus: FakeBus) -> None:
    bus.refuse("ThrottlingException", of_note(2))
    announce(1, 2, 3)
    assert (noted(bus), database.count("outbox")) == ([1, 3], 1)
    assert database.value("SELECT attempts FROM outbox") == 0, "throttling says nothing against the event"
    bus.recover()
    wait_ten_seconds(database)
    outbox.sweep()
    assert (noted(bus), database.count("outbox")) == ([1, 3, 2], 0)


def test_of_several_calls_the_one_that_failed_leaves_its_events_and_no_others(database: Database, bus: FakeBus) -> None:
    put = bus.put_events

    def fail_second(**entries: Any) -> dict[str, Any]:
        if bus.calls:
            raise THROTTLED
        return put(**entries)

    bus.put_events = fail_second  # type: ignore[method-assign]
    announce(*range(15))
    assert (len(noted(bus)), database.count("outbox")) == (10, 5)


def test_a_refusal_for_good_is_counted_and_in_the_end_the_row_is_parked(
    database: Database, bus: FakeBus, capsys: pytest.CaptureFixture[str]
) -> None:
    bus.refuse("MalformedDetail", of_note(1))
    announce(1)
    for attempt in range(1, outbox.HOPELESS_ATTEMPTS):
        [row] = database.rows("SELECT attempts, last_error, parked_at FROM outbox")
        assert row == {"attempts": attempt, "last_error": "MalformedDetail", "parked_at": None}
        wait_a_minute(database)
        assert outbox.sweep() == 1
    [row] = database.rows("SELECT attempts, parked_at IS NOT NULL AS parked FROM outbox")
    assert row == {"attempts": outbox.HOPELESS_ATTEMPTS, "parked": 1}

    flush()
    capsys.readouterr()
    wait_a_minute(database)
    assert outbox.sweep() == 0, "nobody tries a parked row"
    flush()
    assert json.loads(capsys.readouterr().out)["OutboxParked"] == [1.0]


def test_an_event_that_fails_every_call_it_is_in_holds_nobody_up_and_is_parked(
    database: Database, bus: FakeBus
) -> None:
    bus.fail(AWAY)
    announce(*range(30))
    bus.fail(Refused("ValidationException"), of_note(13))
    wait_ten_seconds(database)
    assert outbox.sweep() == 30
    assert sorted(noted(bus)) == [note_id for note_id in range(30) if note_id != 13]
    for attempt in range(1, outbox.HOPELESS_ATTEMPTS):
        [row] = database.rows("SELECT attempts, last_error, parked_at FROM outbox")
        assert row == {"attempts": attempt, "last_error": "ValidationException", "parked_at": None}
        wait_a_minute(database)
        assert outbox.sweep() == 1
    [row] = database.rows("SELECT attempts, parked_at IS NOT NULL AS parked FROM outbox")
    assert row == {"attempts": outbox.HOPELESS_ATTEMPTS, "parked": 1}


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InvalidSignatureException", "503"])
def test_calls_that_fail_by_no_fault_of_their_events_are_not_counted_against_them(
    database: Database, bus: FakeBus, code: str
) -> None:
    bus.fail(Refused(code))
    announce(*range(15))
    wait_ten_seconds(database)
    bus.calls.clear()
    assert outbox.sweep() == 15
    assert sorted(len(call) for call in bus.calls) == [5, 10], "sent one by one they would fail as well"
    assert database.value("SELECT SUM(attempts) FROM outbox") == 0
    bus.recover()
    wait_a_minute(database)
    assert (outbox.sweep(), database.count("outbox")) == (15, 0)


def test_of_calls_at_the_same_time_those_that_reached_the_bus_are_deleted_and_no_others(
    database: Database, bus: FakeBus
) -> None:
    bus.fail(AWAY)
    announce(*range(30))
    bus.fail(AWAY, of_note(13))
    wait_ten_seconds(database)
    with pytest.raises(BusUnavailable):
        outbox.sweep()
    assert sorted(noted(bus)) == [*range(10), *range(20, 30)]
    assert (database.count("outbox"), database.value("SELECT SUM(attempts) FROM outbox")) == (10, 0)


def test_a_parked_row_holds_nobody_up(database: Database, bus: FakeBus) -> None:
    bus.refuse("MalformedDetail", of_note(1))
    announce(1)
    database.execute("UPDATE outbox SET parked_at = NOW(6)")
    bus.fail(THROTTLED)
    announce(2)
    bus.recover()
    wait_ten_seconds(database)
    outbox.sweep()
    assert (noted(bus), database.count("outbox")) == ([2], 1)


def test_more_than_one_lease_of_rows_is_swept_in_one_go(
    database: Database, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SWEEP_SECONDS", 600)
    bus.fail(THROTTLED)
    for start in range(0, 250, 50):
        announce(*range(start, start + 50))
    bus.recover()
    wait_ten_seconds(database)
    assert (outbox.sweep(), database.count("outbox")) == (250, 0)
    assert sorted(noted(bus)) == list(range(250))
    assert len(bus.calls[-1]) <= 10


def test_a_slow_bus_does_not_keep_a_sweep_from_coming_to_an_end_nor_from_deleting_what_it_sent(
    database: Database, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.fail(THROTTLED)
    for start in range(0, 250, 50):
        announce(*range(start, start + 50))
    bus.recover()
    wait_ten_seconds(database)
    put_events, now = bus.put_events, [0.0]

    def slowly(**entries: Any) -> dict[str, Any]:
        now[0] += 2
        return put_events(**entries)

    monkeypatch.setattr(bus, "put_events", slowly)
    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: now[0]), raising=False)
    taken = outbox.sweep()
    assert taken == 100
    assert database.count("outbox") == 250 - taken
    wait_a_minute(database)
    assert outbox.sweep() > 0
    assert len(set(noted(bus))) == len(noted(bus)), "nothing is sent twice"


def test_two_sweepers_at_once_send_each_row_once(database: Database, bus: FakeBus) -> None:
    bus.fail(THROTTLED)
    for start in range(0, 200, 50):
        announce(*range(start, start + 50))
    bus.recover()
    wait_ten_seconds(database)

    def sweep() -> list[int]:
        outbox.sweep()
        return noted(bus)

    both = [Elsewhere(sweep), Elsewhere(sweep)]
    sent = [one.result() for one in both]
    assert sorted(sent[0] + sent[1]) == list(range(200))
    assert database.count("outbox") == 0


def test_the_age_of_the_oldest_row_is_measured(
    database: Database, bus: FakeBus, capsys: pytest.CaptureFixture[str]
) -> None:
    bus.fail(THROTTLED)
    announce(1)
    flush()
    capsys.readouterr()
    database.execute("UPDATE outbox SET created_at = created_at - INTERVAL 1 HOUR")
    outbox.sweep()
    flush()
    metrics = json.loads(capsys.readouterr().out)
    assert metrics["OutboxAgeSeconds"][0] >= 3600
    assert metrics["OutboxParked"] == [0.0]


def test_the_age_is_told_also_when_the_bus_cannot_be_reached(
    database: Database, bus: FakeBus, capsys: pytest.CaptureFixture[str]
) -> None:
    bus.fail(ConnectionError())
    announce(1)
    flush()
    capsys.readouterr()
    database.execute("UPDATE outbox SET created_at = created_at - INTERVAL 1 HOUR, available_at = NOW(6)")
    with pytest.raises(ConnectionError):
        outbox.sweep()
    flush()
    assert json.loads(capsys.readouterr().out)["OutboxAgeSeconds"][0] >= 3600


def test_an_empty_outbox_has_no_age(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    outbox.sweep()
    flush()
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["OutboxAgeSeconds"], metrics["OutboxParked"]) == ([0.0], [0.0])


def test_a_connection_lost_after_sending_leaves_the_row_to_be_sent_again(database: Database, bus: FakeBus) -> None:
    put = bus.put_events

    def lose(**entries: Any) -> dict[str, Any]:
        answer = put(**entries)
        database.kill_connections()
        return answer

    bus.put_events = lose  # type: ignore[method-assign]
    announce(1)  # raises nothing: the work is committed
    bus.put_events = put  # type: ignore[method-assign]
    wait_ten_seconds(database)
    outbox.sweep()
    assert noted(bus) in ([1], [1, 1]), "at least once"
    assert database.count("outbox") == 0


def test_many_large_events_fit_into_statements_and_calls(database: Database, bus: FakeBus) -> None:
    class Essay(NoteWritten):
        text: str

    with transaction() as tx:
        for note_id in range(20):
            tx.publish(Essay(note_id, "灯" * 3_000))
    assert (len(bus.details("Essay")), database.count("outbox")) == (20, 0)
