"""Configuration: read once, typed, and what is wrong with it is named."""

from collections.abc import Iterator

import pytest

from common.configuration import ConfigurationError, configuration


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SERVICE", "workshop")
    monkeypatch.setenv("DATABASE_HOST", "db.example")
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
    for optional in ("DATABASE_PORT", "DATABASE_PASSWORD", "DATABASE_CA_FILE", "EVENT_BUS"):
        monkeypatch.delenv(optional, raising=False)
    configuration.cache_clear()
    yield
    configuration.cache_clear()


def test_values_have_their_types_and_optional_ones_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (configuration().service, configuration().database_port) == ("workshop", 3306)
    assert (configuration().database_password, configuration().database_ca_file) == ("", "")
    configuration.cache_clear()
    monkeypatch.setenv("DATABASE_PORT", "13306")
    assert configuration().database_port == 13306


@pytest.mark.parametrize("name", ["SERVICE", "DATABASE_HOST", "AWS_REGION"])
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=name):
        configuration()


def test_an_odd_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PORT", "mysql")
    with pytest.raises(ConfigurationError, match="DATABASE_PORT"):
        configuration()


def test_a_password_that_looks_like_a_number_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "0012")
    assert configuration().database_password == "0012"


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = configuration()
    monkeypatch.setenv("SERVICE", "another")
    assert configuration() is first
