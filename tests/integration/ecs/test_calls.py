"""Calls to a neighbour whose tasks come, go, hang, are late and talk nonsense."""

import io
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from common.connection import at_most, left, within
from common.observability import correlate, forget, logger, metrics
from common.values import Money
from ecs.runtime import breaker, calls, service_tokens, tasks
from ecs.runtime.calls import Neighbour, NeighbourRefused, NeighbourUnavailable
from ecs.runtime.settings import settings
from tests.e2e.waiting import eventually
from tests.integration.ecs import neighbours
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.neighbours import HOST, Behaviour, Task, Zone, after, never, raw, says

ONE, TWO, GONE = "127.0.1.1", "127.0.1.2", "127.0.1.3"
BUSY = says(409, {"detail": "still at work"}, Retry_After="5")

Start = Callable[..., Zone]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, pool: Identity) -> Iterator[Start]:
    """Call it with tasks, and with addresses where nobody is, and they are what the neighbour's name stands for."""
    with ExitStack() as stack:

        def start(*several: Task | str) -> Zone:
            port = stack.enter_context(neighbours.tasks(*[task for task in several if isinstance(task, Task)]))
            zone = Zone([task.address if isinstance(task, Task) else task for task in several], port)
            monkeypatch.setattr(socket, "getaddrinfo", zone.getaddrinfo)
            for name, value in pool.environment.items() | {
                ("SERVICE", "orders"),
                ("CLIENT_ID", "orders"),
                ("NEIGHBOUR_URL", f"http://{{service}}.shop.internal:{port}"),
            }:
                monkeypatch.setenv(name, value)
            settings.cache_clear()
            return zone

        correlate("story-1")
        yield start
    forget()
    settings.cache_clear()
    service_tokens._kept.clear()
    metrics.clear_metrics()


@pytest.fixture
def workshop() -> Neighbour:
    return Neighbour("workshop")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for long waits for less."""
    monkeypatch.setattr(calls, "ATTEMPT_SECONDS", 1.5)
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 2)


def asked(several: list[Task]) -> list[int]:
    return [len(task.heard) for task in several]


def outcome(workshop: Neighbour) -> str:
    try:
        return workshop.call("GET", "/internal/thing", gives=str)
    except (NeighbourUnavailable, NeighbourRefused) as error:
        return type(error).__name__


# What is sent, what comes back


def test_a_call_brings_its_body_key_story_and_token_and_gives_what_was_asked_for(
    start: Start, workshop: Neighbour, pool: Identity
) -> None:
    task = Task(ONE, says(201, {"amount": 5, "currency": "JPY"}))
    zone = start(task)
    assert workshop.call("POST", "/internal/x", {"price": Money(3)}, key="k-1", gives=Money) == Money(5)
    [heard] = task.heard
    assert (heard.method, heard.path, heard.body) == ("POST", "/internal/x", b'{"price":{"amount":3,"currency":"JPY"}}')
    assert heard.headers["Host"] == f"{HOST}:{zone.port}"
    assert heard.headers["Idempotency-Key"] == "k-1"
    assert heard.headers["X-Correlation-Id"] == "story-1"
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.headers["Connection"] == "close"
    assert heard.headers["Authorization"].startswith("Bearer ey")
    assert pool.tokens_asked[-1] == "shop.internal/workshop"


def test_a_call_without_a_body_sends_none_and_may_get_nothing(start: Start, workshop: Neighbour) -> None:
    task = Task(ONE, says(204, b""))
    start(task)
    assert workshop.call("DELETE", "/internal/x") is None
    assert (task.heard[0].body, "Idempotency-Key" in task.heard[0].headers) == (b"", False)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 302])
def test_a_refusal_is_told_at_once_with_its_problem_and_repeated_by_nobody(
    start: Start, workshop: Neighbour, status: int
) -> None:
    elsewhere = Task(TWO)
    task = Task(ONE)
    zone = start(task, elsewhere)
    zone.addresses.remove(TWO)
    asks_for_patience = {} if status == 409 else {"Retry_After": "1"}  # a 409 that does is none
    task.answer = says(status, {"detail": "no"}, Location=f"http://{TWO}:{zone.port}/", **asks_for_patience)
    with pytest.raises(NeighbourRefused) as refusal:
        workshop.call("POST", "/internal/x", {})
    assert (refusal.value.status, refusal.value.problem) == (status, {"detail": "no"})
    assert asked([task, elsewhere]) == [1, 0]


def test_a_token_that_was_refused_is_not_shown_again(start: Start, workshop: Neighbour) -> None:
    task = Task(ONE)
    start(task)
    for status in (200, 403, 401, 200):
        task.answer = says(status, {})
        outcome(workshop)
    first, second, third, fourth = (heard.headers["Authorization"] for heard in task.heard)
    assert first == second == third != fourth


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b"[" * 100_000], ids=lambda body: str(body[:6]))
def test_an_answer_that_was_not_agreed_on_is_a_refusal(start: Start, workshop: Neighbour, body: bytes) -> None:
    task = Task(ONE, says(200, body))
    start(task)
    with pytest.raises(NeighbourRefused) as refusal:
        workshop.call("GET", "/internal/x", gives=dict)
    assert refusal.value.status == 200
    task.answer = says(400, body)
    with pytest.raises(NeighbourRefused) as refusal:
        workshop.call("GET", "/internal/x", gives=dict)
    assert (refusal.value.status, refusal.value.problem) == (400, {"detail": "no problem in JSON"})


def test_an_answer_without_end_is_a_refusal(start: Start, workshop: Neighbour) -> None:
    task = Task(ONE, says(200, "x" * (2**20 - 2)))
    start(task)
    assert len(workshop.call("GET", "/internal/x", gives=str)) == 2**20 - 2
    task.answer = raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2**21)
    with pytest.raises(NeighbourRefused) as refusal:
        workshop.call("GET", "/internal/x", gives=str)
    assert refusal.value.problem == {"detail": "more than 1048576 bytes"}


# Which task is asked


def test_calls_spread_evenly_over_tasks_where_a_plain_client_asks_one_alone(start: Start, workshop: Neighbour) -> None:
    two = [Task(ONE), Task(TWO)]
    zone = start(*two)
    plain = urllib3.PoolManager()
    for _ in range(50):
        plain.request("GET", f"http://{HOST}:{zone.port}/", headers={"Connection": "close"}, timeout=30, retries=False)
    assert asked(two) == [50, 0]

    answers = Counter(workshop.call("GET", "/internal/x", gives=str) for _ in range(500))
    assert all(200 <= answers[address] <= 300 for address in (ONE, TWO)), answers


def test_a_task_that_is_new_is_asked_from_then_on(start: Start, workshop: Neighbour) -> None:
    two = [Task(ONE), Task(TWO)]
    zone = start(*two)
    zone.addresses.remove(TWO)
    assert {outcome(workshop) for _ in range(20)} == {ONE}
    zone.addresses[:] = [TWO]
    assert {outcome(workshop) for _ in range(20)} == {TWO}


def test_an_address_where_nobody_is_costs_no_call(start: Start, workshop: Neighbour) -> None:
    start(Task(ONE), GONE)
    assert {outcome(workshop) for _ in range(100)} == {ONE}


@pytest.mark.usefixtures("quick")
def test_a_task_that_hangs_costs_one_attempt_and_is_avoided_then(
    start: Start, workshop: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: now[0]))
    hung = Task(TWO, never)
    start(Task(ONE), hung)
    assert {outcome(workshop) for _ in range(50)} == {ONE}
    assert len(hung.heard) == 1
    now[0] += tasks.AVOIDED_SECONDS  # then it is given a chance again
    assert {outcome(workshop) for _ in range(50)} == {ONE}
    assert len(hung.heard) == 2


def test_an_address_that_takes_no_connection_costs_half_a_second(start: Start, workshop: Neighbour) -> None:
    zone = start(Task(ONE), GONE)
    with socket.socket() as full, ExitStack() as waiting:
        full.bind((GONE, zone.port))
        full.listen(0)
        for _ in range(3):  # more than it has room for: from now on, who connects is not heard
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((GONE, zone.port))
        started = time.monotonic()
        assert {outcome(workshop) for _ in range(50)} == {ONE}
        assert 0.5 < time.monotonic() - started < 10, "and not half a second each time"


@pytest.mark.usefixtures("quick")
def test_the_only_task_is_asked_though_it_just_failed(start: Start, workshop: Neighbour) -> None:
    task = Task(ONE)
    start(task)
    task.answer = once(task, says(503))
    assert [outcome(workshop) for _ in range(3)] == [ONE] * 3
    assert len(task.heard) == 4


def once(task: Task, behaviour: Behaviour) -> Behaviour:
    """Behaves so once, and well from then on."""

    def answer(handler: Any) -> None:
        task.answer = None
        behaviour(handler)

    return answer


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "behaviour",
    [
        says(502),
        says(503, {"detail": "try again"}, Retry_After="5"),
        says(504),
        BUSY,
        raw(b""),
        raw(b"nonsense\r\n\r\n"),
        raw(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"cut'),
        raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n"cut'),
        after(3, says(200, "late")),
        raw(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"trickle"', pause=0.1),
    ],
    ids="502 503 504 busy silent nonsense short cut late trickling".split(),
)
def test_what_passes_is_asked_again_elsewhere(start: Start, workshop: Neighbour, behaviour: Behaviour) -> None:
    two = [Task(ONE), Task(TWO)]
    start(*two)
    for task in two:
        task.answer = once(task, behaviour)
    assert outcome(workshop) in (ONE, TWO)
    if behaviour is not BUSY:  # who is busy has not failed
        assert sorted(asked(two)) == [1, 2]


# How long it takes, and when it is given up


def test_a_name_that_nobody_knows_is_a_neighbour_that_is_away(start: Start) -> None:
    start(Task(ONE))
    with pytest.raises(NeighbourUnavailable):
        Neighbour("stranger").call("GET", "/internal/x")


@pytest.mark.parametrize("behaviour", [never, BUSY, says(503), raw(b"H" * 300, pause=0.1)])
def test_a_call_never_takes_longer_than_there_is_time(
    start: Start, workshop: Neighbour, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FAILURES", 1000)
    monkeypatch.setattr(calls, "ATTEMPT_SECONDS", 15)
    start(Task(ONE, behaviour), Task(TWO, behaviour))
    for seconds in (0.2, 1):
        started = time.monotonic()
        with at_most(seconds), pytest.raises(NeighbourUnavailable):
            Neighbour("workshop").call("GET", "/internal/x")
        assert time.monotonic() - started < 10, "an attempt alone may take 15"


def test_who_has_no_time_left_does_not_ask(start: Start, workshop: Neighbour) -> None:
    task = Task(ONE)
    start(task)
    with at_most(0), pytest.raises(NeighbourUnavailable):
        workshop.call("GET", "/internal/x")
    assert not task.heard


@pytest.mark.parametrize("seconds", [0.4, 1, 2, 10])
def test_deadlines_nest(start: Start, workshop: Neighbour, seconds: float) -> None:
    task = Task(ONE)
    start(task)
    service_tokens.token("workshop")
    with at_most(seconds), suppress(NeighbourUnavailable):  # on a bad day, it is asked and does not answer in time
        ours = min(left(), calls.ATTEMPT_SECONDS)
        workshop.call("GET", "/internal/x", gives=str)
    eventually(lambda: task.heard, seconds=60)
    with within(int(task.heard[0].headers["Request-Timeout-Millis"]), to_answer=0.3):
        assert 0 < left() < ours


# The circuit breaker


@pytest.mark.usefixtures("quick")
def test_a_neighbour_that_is_away_is_left_alone_for_a_while_and_then_tried_once(start: Start) -> None:
    task = Task(ONE, says(503))
    start(task)
    workshop = Neighbour("workshop")
    assert (outcome(workshop), len(task.heard)) == ("NeighbourUnavailable", 5)

    assert {outcome(workshop) for _ in range(20)} == {"NeighbourUnavailable"}
    assert len(task.heard) == 5

    time.sleep(breaker.OPEN_SECONDS)
    assert (outcome(workshop), len(task.heard)) == ("NeighbourUnavailable", 6)
    time.sleep(breaker.OPEN_SECONDS)
    task.answer = None
    assert [outcome(workshop) for _ in range(3)] == [ONE] * 3
    assert counted() == {"BreakersOpened": 2, "BreakersTried": 2, "BreakersClosed": 1, "CallsRepeated": 4}


def counted() -> dict[str, float]:
    return {name: sum(metric["Value"]) for name, metric in metrics.metric_set.items()}


def test_refusals_open_no_breaker(start: Start, workshop: Neighbour) -> None:
    task = Task(ONE, says(404, {}))
    start(task)
    assert {outcome(workshop) for _ in range(20)} == {"NeighbourRefused"}
    task.answer = None
    assert (outcome(workshop), counted()) == (ONE, {})


def test_failures_in_between_open_no_breaker(start: Start, workshop: Neighbour) -> None:
    task = Task(ONE)
    start(task)
    for _ in range(7):
        task.answer = once(task, says(503))
        assert outcome(workshop) == ONE
    assert counted() == {"CallsRepeated": 7}


# What is written down


def test_a_failure_is_logged_without_what_was_sent(
    start: Start, workshop: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    start(GONE)
    with pytest.raises(NeighbourUnavailable):
        workshop.call("POST", "/internal/x?who=alice", {"email": "alice@shop.example"}, gives=str)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["no answer from a neighbour"] * 5 + ["circuit breaker"]
    assert (
        lines[0].items()
        >= {
            "host": HOST,
            "address": GONE,
            "method": "POST",
            "path": "/internal/x",
            "error": "ConnectionRefusedError",
            "correlation_id": "story-1",
        }.items()
    )
    assert "alice" not in log.getvalue()
    assert "Bearer" not in log.getvalue()
