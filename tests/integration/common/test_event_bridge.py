"""PutEvents over real connections: what is sent, what an answer means, which connections are kept, when it gives up."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from select import select
from typing import Any

import boto3
import pytest
import trustme

from common import bus, event_bridge
from common.configuration import configuration
from common.connection import of_the_rest, within
from common.event_bridge import READ_SECONDS, BusUnavailable, EventBridge, Refused
from common.events import Sealed
from common.values import uuid7
from tests.e2e.waiting import eventually
from tests.infrastructure.aws import account

ENTRY = {"EventBusName": "lamps", "Source": "workshop", "DetailType": "LampLit", "Detail": '{"n": "灯"}'}
TAKEN = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
Answer = tuple[int, bytes]
OK: Answer = 200, json.dumps(TAKEN).encode()


def error(status: int, code: str) -> Answer:
    return status, json.dumps({"__type": code, "message": "no"}).encode()


class Service:
    """Answers as it is told, then well; an exception is a connection that ends without an answer."""

    def __init__(self) -> None:
        self.answers: list[Answer | type[Exception]] = []
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.connections: list[Any] = []
        self.keeps, self.url = True, ""

    def hang_up(self) -> None:
        """On all, as after some idle time."""
        for connection in self.connections:
            connection.shutdown(2)


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            service.connections.append(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            answer = service.answers.pop(0) if service.answers else OK
            if not isinstance(answer, tuple):
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            if not service.keeps:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that does not trust this server hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited between attempts, of which this test waits for none; chance has it wait longest."""
    slept: list[float] = []
    monkeypatch.setattr("common.event_bridge.time.sleep", slept.append)
    monkeypatch.setattr("common.event_bridge.random.random", lambda: 1.0)
    return slept


@pytest.fixture
def client(service: Service, monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> EventBridge:
    monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
    return EventBridge("ap-northeast-1")


def test_aws_takes_what_is_sent_and_routes_it_by_type(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SERVICE": "workshop", "DATABASE_HOST": "db.example", "EVENT_BUS": "lamps"}.items():
        monkeypatch.setenv(name, value)
    with account(monkeypatch):
        configuration.cache_clear()
        bus._client.cache_clear()
        events, sqs = boto3.client("events"), boto3.client("sqs")
        events.create_event_bus(Name="lamps")
        queue = sqs.create_queue(QueueName="lit")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = json.dumps({"source": ["workshop"], "detail-type": ["LampLit"]})
        events.put_rule(Name="lit", EventBusName="lamps", EventPattern=pattern)
        events.put_targets(Rule="lit", EventBusName="lamps", Targets=[{"Id": "queue", "Arn": arn}])

        sent = [Sealed(uuid7(), "LampLit", json.dumps({"n": n})) for n in range(12)]
        sent.append(Sealed(uuid7(), "LampMoved", "{}"))
        assert [(event, refusal) for event, refusal in bus.put(sent)] == [(event, None) for event in sent]

        received = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                received.append(json.loads(message["Body"])["detail"]["n"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert sorted(received) == list(range(12))
    bus._client.cache_clear()
    configuration.cache_clear()


def test_a_call_is_what_botocore_would_send(
    service: Service, client: EventBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a+session==")
    theirs: Any = boto3.Session().client("events", endpoint_url=service.url)
    assert client.put_events(Entries=[ENTRY]) == TAKEN
    assert theirs.put_events(Entries=[ENTRY]).items() >= TAKEN.items()
    (ours, body), (botocores, its_body) = service.calls
    assert json.loads(body) == json.loads(its_body) == {"Entries": [ENTRY]}
    same = ("host", "content-type", "x-amz-target", "x-amz-security-token")
    assert [ours[name] for name in same] == [botocores[name] for name in same]
    assert ours["authorization"].split(",")[0] == botocores["authorization"].split(",")[0], "key, day, region, service"


def test_the_address_is_the_regions_unless_the_environment_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_EVENTBRIDGE", raising=False)
    assert EventBridge("eu-west-1")._address.geturl() == "https://events.eu-west-1.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert EventBridge("eu-west-1")._address.geturl() == "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://127.0.0.1:2")
    assert EventBridge("eu-west-1")._address.geturl() == "http://127.0.0.1:2"


def test_a_connection_is_kept_for_the_next_call(service: Service, client: EventBridge) -> None:
    for _ in range(3):
        client.put_events(Entries=[ENTRY])
    assert (len(service.calls), len(service.connections)) == (3, 1)


def test_calls_at_once_have_a_connection_each_and_all_are_kept(service: Service, client: EventBridge) -> None:
    for _ in range(2):
        threads = [threading.Thread(target=client.put_events, kwargs={"Entries": [ENTRY]}) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(service.calls) == 20
    assert len(service.connections) == len(client._idle) <= 10


def test_a_connection_that_the_other_end_does_not_keep_is_not_used_again(service: Service, client: EventBridge) -> None:
    service.keeps = False
    for _ in range(2):
        client.put_events(Entries=[ENTRY])
    assert (len(service.connections), client._idle) == (2, [])


def test_a_connection_that_ended_while_it_was_idle_costs_no_attempt(
    service: Service, client: EventBridge, slept: list[float]
) -> None:
    client.put_events(Entries=[ENTRY])
    service.hang_up()
    assert select(client._idle, [], [], 60)[0], "the end of the connection has come"
    client.put_events(Entries=[ENTRY])
    assert (len(service.calls), len(service.connections), slept) == (2, 2, [])


def test_a_call_that_may_have_been_heard_is_made_once_more_on_a_new_connection(
    service: Service, client: EventBridge, slept: list[float]
) -> None:
    client.put_events(Entries=[ENTRY])
    service.answers = [ConnectionError]
    assert client.put_events(Entries=[ENTRY]) == TAKEN
    assert (len(service.calls), len(service.connections), slept) == (3, 2, [0.05])


def test_when_a_kept_connection_fails_the_others_of_its_age_are_not_tried(
    service: Service, client: EventBridge
) -> None:
    client._idle += [client._opened(), client._opened()]
    service.answers = [ConnectionError]
    assert client.put_events(Entries=[ENTRY]) == TAKEN
    assert len(client._idle) == 1
    eventually(lambda: len(service.connections) == 3, seconds=60)


def test_who_is_not_answered_twice_gives_up_and_keeps_no_connection(service: Service, client: EventBridge) -> None:
    service.answers = [ConnectionError] * 2
    with pytest.raises(BusUnavailable):
        client.put_events(Entries=[ENTRY])
    assert (len(service.calls), client._idle) == (2, [])


def test_a_bus_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BusUnavailable):
        EventBridge("ap-northeast-1").put_events(Entries=[ENTRY])
    assert slept == [0.05]


def test_it_waits_two_seconds_for_a_connection_and_five_for_an_answer(
    service: Service, client: EventBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Any] = []
    connect = socket.create_connection
    monkeypatch.setattr("socket.create_connection", lambda address, wait: waited.append(wait) or connect(address, wait))
    client.put_events(Entries=[ENTRY])
    assert (waited, client._idle[0].gettimeout()) == ([2], 5)


def test_an_answer_that_does_not_come_is_asked_for_once_more(
    service: Service, client: EventBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = iter([0.1, 60])
    monkeypatch.setattr(event_bridge, "of_the_rest", lambda seconds: next(waits) if seconds == READ_SECONDS else 60)
    released = threading.Event()

    class Slow(list[Answer]):
        def pop(self, _: Any = 0) -> Answer:
            super().pop(0)
            released.wait(60)
            return OK

    service.answers = Slow([OK])  # type: ignore[assignment]
    assert client.put_events(Entries=[ENTRY]) == TAKEN
    released.set()
    eventually(lambda: len(service.calls) == 2, seconds=60)


def test_an_invocation_is_over_before_its_time_is_though_the_bus_says_nothing(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    waits: list[float] = []

    def waited(seconds: float) -> float:
        waits.append(of_the_rest(seconds))
        return waits[-1]

    monkeypatch.setattr(event_bridge, "of_the_rest", waited)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with within(6_000), pytest.raises(BusUnavailable):
            EventBridge("ap-northeast-1").put_events(Entries=[ENTRY])
    _, first_answer, _, second_answer = waits  # each after a connection, which it had at once
    assert first_answer + second_answer < 5.9
    assert time.monotonic() - started > 4.5


@pytest.mark.parametrize(
    ("answer", "code", "waits"),
    [
        (error(400, "ThrottlingException"), "ThrottlingException", [1]),
        (error(500, "InternalException"), "InternalException", [0.05]),
        ((503, b"<html>"), "503", [0.05]),
        ((502, b""), "502", [0.05]),
        ((504, b"[]"), "504", [0.05]),
        (error(400, "com.amazon.events#ValidationException"), "ValidationException", []),
        (error(400, "AccessDeniedException:http://example"), "AccessDeniedException", []),
        ((413, b"too large"), "413", []),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_an_error_is_told_by_its_code_and_tried_once_more_where_that_may_help(
    service: Service, client: EventBridge, slept: list[float], answer: Answer, code: str, waits: list[float]
) -> None:
    service.answers = [answer] * 2
    with pytest.raises(Refused) as refused:
        client.put_events(Entries=[ENTRY])
    assert (refused.value.code, slept, len(service.calls)) == (code, waits, 1 + len(waits))
    assert len(service.connections) == 1, "an answer that is read leaves its connection as good as before"

    service.answers = [answer]
    if waits:
        assert client.put_events(Entries=[ENTRY]) == TAKEN


@pytest.mark.parametrize("answer", [error(400, "ThrottlingException"), error(404, "#OddException"), (403, b"?")])
def test_a_code_is_the_one_that_botocore_reads(service: Service, client: EventBridge, answer: Answer) -> None:
    from botocore.config import Config
    from botocore.exceptions import ClientError

    service.answers = [answer] * 4
    once: Any = {"total_max_attempts": 1}
    with pytest.raises(ClientError) as theirs:
        boto3.client("events", endpoint_url=service.url, config=Config(retries=once)).put_events(Entries=[ENTRY])
    with pytest.raises(Refused) as ours:
        client.put_events(Entries=[ENTRY])
    assert ours.value.code == theirs.value.response["Error"]["Code"]


def test_an_answer_that_makes_no_sense_is_none(service: Service, client: EventBridge) -> None:
    service.answers = [(200, b"<html>")] * 2
    with pytest.raises(BusUnavailable):
        client.put_events(Entries=[ENTRY])


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 OK 200\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
    ],
)
def test_what_is_not_a_whole_answer_is_none(monkeypatch: pytest.MonkeyPatch, slept: list[float], said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        client = EventBridge("ap-northeast-1")
        with pytest.raises(BusUnavailable):
            client.put_events(Entries=[ENTRY])
        thread.join(60)
    assert (client._idle, slept, thread.is_alive()) == ([], [0.05], False)


def test_credentials_that_have_expired_are_asked_for_anew(
    service: Service, client: EventBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[bool] = []
    monkeypatch.setattr("common.sigv4.forget", lambda: forgotten.append(True))
    service.answers = [error(400, "ExpiredTokenException")]
    with pytest.raises(Refused, match="ExpiredTokenException"):
        client.put_events(Entries=[ENTRY])
    assert forgotten == [True]


def test_without_credentials_nothing_is_sent(
    service: Service, client: EventBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(LookupError):
        client.put_events(Entries=[ENTRY])
    assert service.calls == []


@pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", True), ("127.0.0.2", False), (None, False)])
def test_only_a_server_whom_an_amazon_root_vouches_for_by_its_name_hears_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slept: list[float], name: str | None, trusted: bool
) -> None:
    """With a root of the test's own in their place; None is a server with another root than that."""
    root, stranger = trustme.CA(), trustme.CA()
    root.cert_pem.write_to_path(tmp_path / "root.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (root if name else stranger).issue_cert(name or "127.0.0.1").configure_cert(context)
    monkeypatch.setattr(event_bridge, "AMAZON_ROOTS", tmp_path / "root.pem")
    with serving(context) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        client = EventBridge("ap-northeast-1")
        if trusted:
            assert client.put_events(Entries=[ENTRY]) == client.put_events(Entries=[ENTRY]) == TAKEN
            assert (len(service.calls), len(service.connections)) == (2, 1)
        else:
            with pytest.raises(BusUnavailable) as away:
                client.put_events(Entries=[ENTRY])
            assert isinstance(away.value.__cause__, ssl.SSLCertVerificationError)
            assert service.calls == []
