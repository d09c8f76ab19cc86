"""The pool's keys are fetched when they are needed, kept, and not fetched for everybody who names another."""

import time
from collections.abc import Iterator

import pytest

from ecs.runtime import tokens
from ecs.runtime.tokens import Keys, KeysUnavailable, NoValidToken, Tokens
from tests.integration.ecs.identity import ISSUER, USERS, Identity, identity


@pytest.fixture
def pool() -> Iterator[Identity]:
    with identity() as pool:
        yield pool


@pytest.fixture
def verified(pool: Identity) -> Tokens:
    return Tokens(ISSUER, USERS, Keys(f"{pool.url}/jwks.json"))


def test_keys_are_fetched_once(verified: Tokens, pool: Identity) -> None:
    assert pool.keys_asked == 0
    assert [verified.user(pool.user("alice"))["sub"] for _ in range(5)] == ["alice"] * 5
    assert pool.keys_asked == 1


def test_a_token_that_is_none_asks_for_no_keys(verified: Tokens, pool: Identity) -> None:
    with pytest.raises(NoValidToken):
        verified.user("nonsense")
    assert pool.keys_asked == 0


def test_a_token_for_another_use_is_none_whatever_else_it_says(verified: Tokens, pool: Identity) -> None:
    with pytest.raises(NoValidToken, match="another use"):
        verified.user(pool.service("orders", "workshop", aud=USERS))
    with pytest.raises(NoValidToken, match="another use"):
        verified.service(pool.user("alice", client_id="orders", scope="shop.internal/workshop"), "workshop")


def test_a_new_key_is_found(verified: Tokens, pool: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    verified.user(pool.user("alice"))
    pool.kids = ["key-2"]
    monkeypatch.setattr(tokens, "PAUSE_SECONDS", 0)
    assert verified.user(pool.user("alice", kid="key-2"))["sub"] == "alice"
    with pytest.raises(NoValidToken):
        verified.user(pool.user("alice", kid="key-1"))


def test_whoever_makes_up_keys_does_not_make_us_ask_for_each(verified: Tokens, pool: Identity) -> None:
    verified.user(pool.user("alice"))
    for kid in ("made-up-1", "made-up-2", "made-up-1"):
        with pytest.raises(NoValidToken):
            verified.user(pool.user("mallory", kid=kid))
    assert pool.keys_asked == 1


def test_keys_serve_on_while_the_pool_is_away(
    verified: Tokens, pool: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified.user(pool.user("alice"))
    pool.away = True
    monkeypatch.setattr(tokens, "FRESH_SECONDS", 0)
    monkeypatch.setattr(tokens, "PAUSE_SECONDS", 0)
    assert verified.user(pool.user("alice"))["sub"] == "alice"
    assert pool.keys_asked == 2
    with pytest.raises(NoValidToken):
        verified.user(pool.user("alice", kid="key-2"))


def test_without_any_keys_nobody_can_be_told_from_anybody_else(
    verified: Tokens, pool: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.away = True
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            verified.user(pool.user("alice"))
    assert pool.keys_asked == 1, "a pool that hangs keeps not everybody waiting"
    pool.away = False
    monkeypatch.setattr(tokens, "WITHOUT_SECONDS", 0)
    assert verified.user(pool.user("alice"))["sub"] == "alice"


def test_a_token_of_just_now_is_taken_also_where_the_clock_is_behind(verified: Tokens, pool: Identity) -> None:
    now = int(time.time())
    assert verified.user(pool.user("alice", iat=now + 3))["sub"] == "alice"
    for faulty in ({"iat": now + 3, "exp": now - 1}, {"iat": now + 60}):
        with pytest.raises(NoValidToken):
            verified.user(pool.user("alice", **faulty))
