"""A container's environment variables, besides those of common.configuration: typed, checked once, at first use."""

import os
from functools import cache

import msgspec

from common.configuration import ConfigurationError


class Settings(msgspec.Struct, frozen=True, rename="upper"):
    """Fields are read from environment variables of the same name in capitals."""

    service: str
    token_issuer: str
    user_client_id: str
    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    jwks_url: str = ""  # empty: where the issuer has it
    neighbour_url: str = "http://{service}.shop.internal:8080"
    host: str = "0.0.0.0"
    port: int = 8080
    workers: int = 2
    sweep_seconds: float = 10
    lame_seconds: float = 20

    @property
    def keys_url(self) -> str:
        return self.jwks_url or f"{self.token_issuer}/.well-known/jwks.json"

    @property
    def own_url(self) -> str:
        """Where the container reaches itself."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"


@cache
def settings() -> Settings:
    """The environment as it was at first use. Raises ConfigurationError, which names the variable."""
    try:
        return msgspec.convert(dict(os.environ), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"environment: {error}") from error


def scope(service: str) -> str:
    """What a token must be good for, and is asked for, to call that service."""
    return f"shop.internal/{service}"
