"""A function's code in this process, warm: what it logs is written, but not here."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from unittest import mock

os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}

from bench.shop import settings
from common import bus as common_bus
from common import connection
from common.configuration import configuration
from common.observability import logger, metrics
from localcloud.home import REGION
from localcloud.mariadb import Server
from tests.integration.fake_bus import FakeBus


@contextmanager
def become(service: str, server: Server, events: str | None = None) -> Iterator[None]:
    """This process is an execution environment of `service`, with a connection of its own. Its bus answers at once, or
    is at the address `events`."""
    there = {"AWS_ENDPOINT_URL": events} if events else {}
    where = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, **settings(service, server), **there}
    with mock.patch.dict(os.environ, where), Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        metrics.provider.namespace = "Kumiki"
        for handler in logger.handlers:
            handler.setStream(nowhere)  # type: ignore[attr-defined]
        _forget()
        answers_at_once = FakeBus()
        try:
            with nullcontext() if events else mock.patch.object(common_bus, "_client", return_value=answers_at_once):
                yield
        finally:
            _forget()
            for handler in logger.handlers:
                handler.setStream(sys.__stdout__)  # type: ignore[attr-defined]


def _forget() -> None:
    """What an execution environment keeps."""
    if connection.kept.cache_info().currsize:
        connection.kept().drop()
    connection.kept.cache_clear()
    configuration.cache_clear()
    common_bus._client.cache_clear()
