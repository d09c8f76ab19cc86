"""A container answers over HTTP as a function behind API Gateway does."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import UUID

import pytest

from tests.e2e.waiting import eventually
from tests.integration.database import Database
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.serving import Task

PROBLEM = {"type", "title", "status", "detail", "request_id"}


def test_a_route_answers(task: Task) -> None:
    answer = task.ask("GET", "/anything")
    assert (answer.status, answer.json, answer.headers["Content-Type"]) == (200, {"served": True}, "application/json")


def test_the_route_of_an_override_comes_before_the_resolver(task: Task) -> None:
    assert task.ask("GET", "/overridden").json == {"by": "the override"}


def test_a_request_arrives_as_it_was_sent(task: Task) -> None:
    answer = task.ask("POST", "/echo?q=%E6%A4%80&q=2&empty=&plus=a+b", "欅".encode(), headers={"X-Word": "Kumiki"})
    assert (answer.json["body"], answer.json["query"]) == ("欅", {"q": "2", "empty": "", "plus": "a b"})
    assert answer.json["headers"]["x-word"] == "Kumiki"


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("PUT", "/echo"), ("GET", "/internal")])
def test_an_unknown_route_is_a_problem(task: Task, method: str, path: str) -> None:
    answer = task.ask(method, path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert set(answer.json) == PROBLEM


def test_a_head_has_no_route(task: Task) -> None:
    assert task.ask("HEAD", "/anything").status == 404


def test_the_id_of_a_request_is_made_here_whatever_headers_say(task: Task) -> None:
    headers = {"X-Request-Id": "mine", "X-Correlation-Id": "mine", "X-Amzn-Trace-Id": "mine"}
    ids = [UUID(task.ask("GET", "/nowhere", headers=headers).json["request_id"]) for _ in range(2)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body_is_refused(task: Task, chunked: bool) -> None:
    size = 3 * 1024 * 1024
    headers = {"Transfer-Encoding": "chunked"} if chunked else {}
    answer = task.ask("POST", "/echo", b"x" * size, headers=headers)
    assert (answer.status, set(answer.json)) == (413, PROBLEM)


def test_a_body_that_is_no_text_is_refused_by_the_route(task: Task) -> None:
    assert task.ask("POST", "/echo", b"\xff\xfe").status == 400


@pytest.mark.parametrize("length", ["some", "-1", "+3"])
def test_a_malformed_length_is_refused(task: Task, length: str) -> None:
    answer = task.raw(f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabc".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_half_requests_do_not_keep_others_waiting_for_ever(task: Task) -> None:
    """More of them than workers, of each kind: nothing, a part of the headers, a part of the body."""
    halves = [b"", b"POST /echo HT", b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"]
    for half in halves:
        with ExitStack() as connections:
            began, open_ones = time.monotonic(), []
            for _ in task.workers():
                connection = connections.enter_context(socket.create_connection(("127.0.0.1", task.port), 10))
                connection.sendall(half)
                open_ones.append(connection)
            time.sleep(0.1)
            assert task.ask("GET", "/anything").status == 200
            assert 1 < time.monotonic() - began < 20
            answers = [connection.recv(20) for connection in open_ones]
        assert set(answers) <= {b"", b"HTTP/1.1 408 Request"}
    assert answers[0] != b""


def test_callers_that_do_not_read_their_answers_do_not_keep_others_waiting_for_ever(task: Task) -> None:
    began = time.monotonic()
    with ExitStack() as connections:
        for _ in task.workers():
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", task.port), 10))
            connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        assert task.ask("GET", "/anything").status == 200
        assert 3 < time.monotonic() - began < 25


def test_a_fast_request_does_not_wait_behind_a_slow_one_while_a_worker_is_idle(task: Task) -> None:
    before = task.lingering()
    with ThreadPoolExecutor(21) as callers:
        slow = callers.submit(task.ask, "GET", "/anything?seconds=6")
        eventually(lambda: task.lingering() > before, seconds=60)
        answers = callers.map(lambda _: task.ask("GET", "/anything").status, range(20))
        assert list(answers) == [200] * 20
        assert not slow.done()


def test_requests_of_a_worker_share_its_connection(task: Task) -> None:
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: task.ask("GET", "/connection").json["id"], range(200)))
    assert 1 <= len(set(answers)) <= len(task.workers())


def test_events_of_a_service_without_a_journal_are_written_nowhere(task: Task, pool: Identity, notes: Database) -> None:
    headers = {"Idempotency-Key": "key-1"}
    assert task.ask("POST", "/notes/7", token=pool.user("alice"), headers=headers).status == 201
    assert [notes.count(table) for table in ("notes", "outbox", "journal")] == [1, 0, 0]


def test_what_the_server_itself_answers_is_logged_under_the_id_that_the_caller_is_told(
    task: Task, pool: Identity
) -> None:
    task.ask("GET", "/me", token=pool.user("alice"))
    answer = task.ask("GET", "/internal/caller", token="forged")
    told = [line for line in task.lines() if line.get("correlation_id") == answer.json["request_id"]]
    assert [line["message"] for line in told] == ["token refused", "request"]
    assert told[1]["status"] == 401
    assert not [line for line in told if "function_request_id" in line], "of another request"


def test_every_line_of_the_log_is_json_and_says_nothing_of_who_asked(task: Task, pool: Identity) -> None:
    token = pool.user("canary")
    task.ask("GET", "/me", token=token)
    task.ask("GET", "/me", token=token[:-9] + "AAAAAAAAA")
    log = json.dumps(task.lines())
    assert "token refused" in log
    assert "canary" not in log
    assert token[:30] not in log
