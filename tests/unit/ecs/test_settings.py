"""What a container is told is checked once, and what is wrong is named."""

from collections.abc import Iterator

import pytest

from common.configuration import ConfigurationError
from ecs.runtime.settings import settings

TOLD = {"SERVICE": "orders", "TOKEN_ISSUER": "https://issuer.example/pool", "USER_CLIENT_ID": "users"}


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_what_is_not_said_is_as_on_fargate() -> None:
    found = settings()
    assert (found.host, found.port, found.workers, found.sweep_seconds, found.lame_seconds) == (
        "0.0.0.0",
        8080,
        2,
        10,
        20,
    )
    assert found.neighbour_url.format(service="payments") == "http://payments.shop.internal:8080"


def test_keys_are_where_the_issuer_has_them_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().keys_url == "https://issuer.example/pool/.well-known/jwks.json"
    monkeypatch.setenv("JWKS_URL", "http://127.0.0.1:1/keys")
    settings.cache_clear()
    assert settings().keys_url == "http://127.0.0.1:1/keys"


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://127.0.0.1:8080"), ("10.1.2.3", "http://10.1.2.3:8080")])
def test_a_container_reaches_itself_where_it_listens(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    monkeypatch.setenv("HOST", host)
    assert settings().own_url == url


@pytest.mark.parametrize("name", TOLD)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=name):
        settings()


@pytest.mark.parametrize(("name", "value"), [("PORT", "http"), ("WORKERS", ""), ("LAME_SECONDS", "soon")])
def test_what_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        settings()
