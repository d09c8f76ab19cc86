"""A function's environment variables, typed and checked once, at first use."""

import os
from functools import cache

import msgspec


class ConfigurationError(Exception):
    """An environment variable is missing or cannot be what it says; the message names it."""


class Configuration(msgspec.Struct, frozen=True, rename="upper"):
    """Fields are read from environment variables of the same name in capitals."""

    service: str
    database_host: str
    aws_region: str
    database_port: int = 3306
    database_password: str = ""  # empty: sign an IAM token
    database_ca_file: str = ""  # empty: the roots that RDS Proxy's certificates chain to
    event_bus: str = ""


@cache
def configuration() -> Configuration:
    """The environment as it was at first use. Raises ConfigurationError."""
    try:
        return msgspec.convert(dict(os.environ), Configuration, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"environment: {error}") from error
