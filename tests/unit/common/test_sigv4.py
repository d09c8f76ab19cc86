"""Credentials, and requests signed with them, held equal to botocore's."""

import io
import json
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import botocore.auth
import botocore.compat
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from common import iam_token, sigv4

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
REGION = "ap-northeast-1"
SERVED = {"AccessKeyId": "ASIASERVED", "SecretAccessKey": "served/secret", "Token": "served+token=="}


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    sigv4.forget()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[urllib.request.Request]:
    """Requests for credentials; each is answered with some."""
    requests: list[urllib.request.Request] = []
    valid_until = datetime.now(UTC) + timedelta(hours=6)

    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert timeout <= 2
        requests.append(request)
        return io.BytesIO(json.dumps(SERVED | {"Expiration": f"{valid_until:%Y-%m-%dT%H:%M:%SZ}"}).encode())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return requests


def test_credentials_of_a_fargate_task_come_from_its_own_host(
    monkeypatch: pytest.MonkeyPatch, asked: list[urllib.request.Request]
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/abc")
    assert sigv4.credentials() == ("ASIASERVED", "served/secret", "served+token==")
    assert [request.full_url for request in asked] == ["http://169.254.170.2/v2/credentials/abc"]
    assert not asked[0].has_header("Authorization")


def test_credentials_under_snapstart_come_with_a_token(
    monkeypatch: pytest.MonkeyPatch, asked: list[urllib.request.Request]
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9001/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc")
    sigv4.credentials()
    assert (asked[0].full_url, asked[0].get_header("Authorization")) == (
        "http://127.0.0.1:9001/credentials",
        "Basic abc",
    )


def test_a_token_file_is_read_whenever_credentials_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: list[urllib.request.Request], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "stale")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    for text in ("first", "second\n"):
        sigv4.forget()
        file.write_text(text)
        sigv4.credentials()
    assert [request.get_header("Authorization") for request in asked] == ["first", "second"]


def test_an_environment_without_credentials_is_told() -> None:
    with pytest.raises(LookupError, match="credentials"):
        sigv4.credentials()


@pytest.mark.parametrize("session_token", [None, "IQoJb3JpZ2luX2VjE/+abc~_-.==" * 20], ids=["long-lived", "session"])
@given(body=st.binary(max_size=200), host=st.sampled_from(["events.ap-northeast-1.amazonaws.com", "127.0.0.1:4566"]))
def test_a_request_is_signed_as_botocore_does_byte_for_byte(session_token: str | None, body: bytes, host: str) -> None:
    key, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-target": "AWSEvents.PutEvents"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        if session_token:
            patch.setenv("AWS_SESSION_TOKEN", session_token)

        def now(*_: Any, **__: Any) -> datetime:
            return NOW.replace(tzinfo=None)

        patch.setattr(botocore.auth, "get_current_datetime", now)
        request = AWSRequest("POST", f"https://{host}/", headers=dict(headers), data=body)
        botocore.auth.SigV4Auth(Credentials(key, secret, session_token), "events", REGION).add_auth(request)
        ours = sigv4.signed("events", REGION, headers, body, NOW)
    assert ours == {name.lower(): value for name, value in request.headers.items()}


def test_served_credentials_are_kept_until_five_minutes_before_they_expire(
    monkeypatch: pytest.MonkeyPatch, asked: list[urllib.request.Request]
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/creds")
    began = time.time()
    for hours, times in ((0, 1), (5.9, 1), (5.95, 2)):
        monkeypatch.setattr("common.sigv4.time.time", partial(float, began + hours * 3600))
        assert sigv4.credentials().access_key == "ASIASERVED"
        assert len(asked) == times


def test_credentials_that_aws_did_not_accept_are_asked_for_anew(
    monkeypatch: pytest.MonkeyPatch, asked: list[urllib.request.Request]
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/creds")
    sigv4.credentials()
    sigv4.forget()
    sigv4.credentials()
    assert len(asked) == 2


def test_a_token_is_signed_with_served_credentials_too(
    monkeypatch: pytest.MonkeyPatch, asked: list[urllib.request.Request]
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/creds")
    assert "ASIASERVED" in iam_token.token("db.example", 3306, "orders", REGION, NOW)
