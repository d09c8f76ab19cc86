"""Idempotency keys: a repeat gets the first answer and has no second effect."""

import time
from typing import Any

import msgspec
import pytest

from common.database import transaction
from common.http import Resolver
from common.idempotency import amend, idempotent
from common.requests import body
from tests.integration.common.workshop import write
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import BOB, Answer, ask


class TooLong(Exception):
    pass


class WriteNote(msgspec.Struct):
    note_id: int
    pages: int = 0
    crash: bool = False
    refuse: bool = False
    answer: int = 0


app = Resolver("workshop", {TooLong: 422})


@app.post("/notes")
@app.post("/other-notes")
def _write() -> Any:
    request = body(app, WriteNote)

    with transaction() as tx:

        def work() -> tuple[Any, int]:
            if request.refuse:
                raise TooLong("too long")
            write(tx, request.note_id)
            if request.crash:
                raise ZeroDivisionError
            return {"note_id": request.note_id, "at": time.time_ns(), "text": "é灯" * request.answer}, 201

        return idempotent(app, tx, work)


@app.post("/drafts")
def _draft() -> Any:
    """Answers 202, until it is amended: then 201, once."""
    with transaction() as tx:
        draft = idempotent(app, tx, lambda: ({"at": time.time_ns()}, 202))
    with transaction() as tx:
        return draft if body(app, WriteNote).pages == 0 else amend(app, tx, {"at": time.time_ns()}, 201, {202})


def post(request: Any, key: str | None = "key", path: str = "/notes", **more: Any) -> Answer:
    return ask(app.handler, "POST", path, request, key=key, **more)


def test_a_repeat_gets_the_same_bytes_and_has_no_effect(database: Database, bus: FakeBus) -> None:
    first, second = post({"note_id": 1}), post({"note_id": 1})
    assert (first.status, first.text, first.headers) == (second.status, second.text, second.headers)
    assert first.status == 201
    assert (database.count("notes"), bus.types) == (1, ["NoteWritten"])


def test_spacing_and_the_order_of_members_make_no_other_body(database: Database) -> None:
    first = post('{"note_id": 1, "pages": 0}')
    assert post('{ "pages":0,\n"note_id":1 }').text == first.text
    assert database.count("notes") == 1


@pytest.mark.parametrize("other", ['{"note_id": 2}', '{"note_id": 1, "pages": 0}', '{"note_id": 1, "unknown": 0}'])
def test_another_body_is_refused(database: Database, other: str) -> None:
    post({"note_id": 1})
    answer = post(other)
    assert (answer.status, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert "Idempotency-Key" in answer.json["detail"]
    assert database.count("notes") == 1


def test_a_key_belongs_to_its_caller_and_path(database: Database) -> None:
    assert post({"note_id": 1}).json["note_id"] == 1
    assert post({"note_id": 2}, sub=BOB).json["note_id"] == 2
    assert post({"note_id": 3}, path="/other-notes").json["note_id"] == 3
    assert post({"note_id": 4}, key="KEY").json["note_id"] == 4
    assert database.count("notes") == database.count("idempotency_keys") == 4


def test_parts_of_a_key_cannot_run_into_each_other(database: Database) -> None:
    post({"note_id": 1}, sub="a", key="b")
    assert post({"note_id": 2}, sub="a b", key="").status == 400
    assert post({"note_id": 3}, sub="ab", key=" ").json["note_id"] == 3


def test_failures_are_not_remembered(database: Database) -> None:
    assert post({"note_id": 1, "crash": True}).status == 500
    assert post({"note_id": 1, "refuse": True}).status == 422
    assert database.counts() == dict.fromkeys(database.counts(), 0)
    assert post({"note_id": 1}).status == 201


def test_a_repeat_that_could_be_done_once_more_is_not(database: Database, bus: FakeBus) -> None:
    first = post({"note_id": 1})
    database.execute("DELETE FROM notes")
    assert post({"note_id": 1}).text == first.text
    assert (database.count("notes"), bus.types) == (0, ["NoteWritten"])


def test_without_a_key_nothing_is_done(database: Database) -> None:
    assert post({"note_id": 1}, key=None).status == 400
    assert database.count("notes") == 0


def test_a_long_answer_is_kept_in_a_short_statement(database: Database) -> None:
    first = post({"note_id": 1, "answer": 20_000})
    assert len(first.text.encode()) > 80_000
    assert post({"note_id": 1, "answer": 20_000}).text == first.text


def test_a_repeat_after_the_connection_was_lost_gets_the_answer(database: Database) -> None:
    first = post({"note_id": 1})
    database.kill_connections()
    assert post({"note_id": 1}).text == first.text


def test_an_answer_that_is_provisional_is_amended_once_and_from_then_on_repeated() -> None:
    drafted = post({"note_id": 1, "pages": 0}, path="/drafts")
    assert post({"note_id": 1, "pages": 0}, path="/drafts").text == drafted.text
    first, second = (post({"note_id": 2, "pages": 2}, "another", path="/drafts") for _ in range(2))
    assert (drafted.status, first.status, second.status) == (202, 201, 201)
    assert first.text == second.text
