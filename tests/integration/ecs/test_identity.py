"""Who asks is whom a token of the pool names, made for that purpose; everybody else is nobody."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from localcloud.mariadb import Server
from tests.integration.database import Database
from tests.integration.ecs.identity import Identity, key
from tests.integration.ecs.serving import Task, serving


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def unsigned(token: str) -> str:
    """What says itself that it is not signed."""
    return f"{part({'alg': 'none', 'kid': 'key-1', 'typ': 'JWT'})}.{token.split('.')[1]}."


def signed_with_the_public_key(token: str) -> str:
    """HS256, where the secret is what everybody knows."""
    public = key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(token, options={"verify_signature": False})
    message = f"{part({'alg': 'HS256', 'kid': 'key-1', 'typ': 'JWT'})}.{part(claims)}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(message.encode(), public)
    return f"{message}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def changed(token: str) -> str:
    """Another's claims under the same signature."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{part({**claims, 'sub': 'mallory', 'scope': 'shop.internal/workshop'})}.{signature}"


FAULTY: dict[str, Callable[[Callable[..., str]], str]] = {
    "none": lambda sign: "",
    "no token": lambda sign: "alice",
    "expired": lambda sign: sign(exp=int(time.time()) - 1),
    "without an end": lambda sign: sign(exp=None),
    "of another pool": lambda sign: sign(iss="https://cognito-idp.ap-northeast-1.amazonaws.com/ap-northeast-1_Other"),
    "without a use": lambda sign: sign(token_use=None),
    "signed by nobody": lambda sign: unsigned(sign()),
    "signed with the public key": lambda sign: signed_with_the_public_key(sign()),
    "forged": lambda sign: changed(sign()),
    "signed with another key of that name": lambda sign: jwt.encode(
        jwt.decode(sign(), options={"verify_signature": False}), key("mallory"), "RS256", headers={"kid": "key-1"}
    ),
    "signed with an unknown key": lambda sign: sign(kid="mallory"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_id_token_is_as_good_as_none(task: Task, pool: Identity, fault: str) -> None:
    token = FAULTY[fault](lambda **claims: pool.user("alice", **claims))
    assert task.ask("GET", "/me", token=token).status == 401
    assert task.ask("GET", "/anything", token=token).status == 200


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_service_token_opens_no_internal_route(task: Task, pool: Identity, fault: str) -> None:
    token = FAULTY[fault](lambda **claims: pool.service("orders", "workshop", **claims))
    answer = task.ask("GET", "/internal/caller", token=token)
    assert (answer.status, answer.headers["Content-Type"]) == (401, "application/problem+json")


def test_an_id_token_of_another_client_is_none(task: Task, pool: Identity) -> None:
    assert task.ask("GET", "/me", token=pool.user("alice", aud="another-shop")).status == 401


@pytest.mark.parametrize("word", ["", "Bearer ", "bearer "])
def test_an_id_token_comes_with_or_without_a_word(task: Task, pool: Identity, word: str) -> None:
    answer = task.ask("GET", "/me", headers={"Authorization": f"{word}{pool.user('alice')}"})
    assert answer.json == {"sub": "alice", "staff": False}
    assert task.ask("GET", "/me", headers={"Authorization": f"Basic {pool.user('alice')}"}).status == 401


def test_the_groups_of_an_id_token_are_the_callers(task: Task, pool: Identity) -> None:
    assert task.ask("GET", "/me", token=pool.user("sam", "night", "staff")).json == {"sub": "sam", "staff": True}
    assert task.ask("GET", "/me", token=pool.user("eve", "staffers")).json == {"sub": "eve", "staff": False}


def test_nobody_is_whom_a_header_names(task: Task) -> None:
    headers = {"X-Amzn-Oidc-Identity": "alice", "X-Sub": "alice", "Sub": "alice", "Cognito-Groups": "staff"}
    assert task.ask("GET", "/me", headers=headers).status == 401


def test_a_service_token_opens_the_internal_routes_of_the_service_in_its_scope(task: Task, pool: Identity) -> None:
    token = pool.service("orders", "workshop", scope="shop.internal/inventory shop.internal/workshop")
    answer = task.ask("GET", "/internal/caller", token=token, headers={"X-Correlation-Id": "story-7"})
    assert (answer.status, answer.json["sub"], answer.json["story"]) == (200, "orders", "story-7")


@pytest.mark.parametrize("scope", ["shop.internal/inventory", "shop.internal/workshops", "shop.internal/", "workshop"])
def test_a_service_token_of_another_scope_is_refused(task: Task, pool: Identity, scope: str) -> None:
    answer = task.ask("GET", "/internal/caller", token=pool.service("orders", "", scope=scope))
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/problem+json")


def test_a_customers_tokens_open_no_internal_route(task: Task, pool: Identity) -> None:
    assert task.ask("GET", "/internal/caller", token=pool.user("alice", "staff")).status == 401
    assert task.ask("GET", "/internal/caller", token=pool.user("a", scope="shop.internal/workshop")).status == 401
    access = pool.service("client-of-users", "", scope="aws.cognito.signin.user.admin")
    assert task.ask("GET", "/internal/caller", token=access).status == 403


def test_a_service_token_opens_no_public_route(task: Task, pool: Identity) -> None:
    assert task.ask("GET", "/me", token=pool.service("orders", "workshop")).status == 401
    assert task.ask("GET", "/me", token=pool.service("orders", "workshop", aud="client-of-users")).status == 401


def test_an_internal_route_that_asks_for_a_person_by_mistake_has_none_not_even_the_last_one(
    task: Task, pool: Identity
) -> None:
    served = {task.ask("GET", "/me", token=pool.user("eve")).status for _ in range(20)}  # by each worker
    assert served == {200}
    assert task.ask("GET", "/internal/public", token=pool.service("orders", "workshop")).status == 401


@pytest.mark.parametrize(
    ("asked", "longest"),
    [("", 8000), ("1500", 1500), ("99999", 20_000), ("-5", 8000), ("soon", 8000), ("²", 8000), ("9" * 5000, 8000)],
    ids=lambda asked: str(asked)[:6],
)
def test_an_internal_request_has_the_time_that_its_caller_gives_it(
    task: Task, pool: Identity, asked: str, longest: int
) -> None:
    headers = {"Request-Timeout-Millis": asked.encode()} if asked else {}
    token = pool.service("orders", "workshop")
    left = task.ask("GET", "/internal/caller", token=token, headers=headers).json["left"]
    assert longest - 1000 < left <= longest


def test_keys_of_one_service_are_not_those_of_another(task: Task, pool: Identity, notes: Database) -> None:
    def write(caller: str, note: int) -> int:
        token = pool.service(caller, "workshop")
        headers = {"Idempotency-Key": "key-1"}
        return task.ask("POST", f"/internal/notes/{note}", token=token, headers=headers).status

    assert [write("orders", 1), write("orders", 1), write("shipping", 1)] == [201, 201, 500]
    assert (write("shipping", 2), notes.count("notes"), notes.count("outbox")) == (201, 2, 0)


def test_while_nobody_can_be_recognized_that_is_no_ones_fault(pool: Identity, server: Server, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9/jwks.json"
    module = "tests.integration.ecs.workshop"
    with serving("workshop", pool, server, tmp_path / "log", module, JWKS_URL=closed) as task:
        assert task.ask("GET", "/anything", token=pool.user("alice")).status == 200
        assert task.ask("GET", "/me").status == 401
        for path, token in [("/me", pool.user("alice")), ("/internal/caller", pool.service("orders", "workshop"))]:
            answer = task.ask("GET", path, token=token)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("authorization", ["", "secret", "Bearer x"])
def test_nobody_without_the_secret_has_a_service_swept(task: Task, notes: Database, authorization: str) -> None:
    assert task.ask("POST", "/sweep", headers={"Authorization": authorization}).status == 404
    assert task.ask("GET", "/sweep", headers={"Authorization": authorization}).status == 404
    assert notes.count("notes") == 0
