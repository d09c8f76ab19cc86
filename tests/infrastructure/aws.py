"""An AWS account of moto's behind HTTP, as a program of its own such as SAM finds it."""

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
import urllib3

from tests.infrastructure.templates import ACCOUNT, REGION

ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"
PUBLISHED = {
    "data-key-arn": ARN,
    "logs-key-arn": ARN,
    "messages-key-arn": ARN,
    "permissions-boundary-arn": f"arn:aws:iam::{ACCOUNT}:policy/kumiki/account/boundary",
}
"""By infra/bootstrap.yaml, under /kumiki/account/."""


@contextmanager
def account(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Empty but for what bootstrap publishes."""
    cors = types.ModuleType("flask_cors")  # for browsers, and none comes here
    cors.CORS = lambda *_, **__: None  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "flask_cors", cors)
    from moto.server import ThreadedMotoServer  # only now

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1",
    }.items():
        patch.setenv(name, value)
    try:
        urllib3.request("POST", f"http://127.0.0.1:{port}/moto-api/reset")  # servers of one process share an account
        ssm = boto3.client("ssm")
        for name, value in PUBLISHED.items():
            ssm.put_parameter(Name=f"/kumiki/account/{name}", Value=value, Type="String")
        yield
    finally:
        server.stop()
