"""The password of an IAM database user, held equal to boto3's."""

from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.auth
import botocore.compat
import pytest

from common import iam_token

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
HOST, PORT, USER, REGION = "kumiki.proxy-abc.ap-northeast-1.rds.amazonaws.com", 3306, "orders", "ap-northeast-1"


def of_boto3(monkeypatch: pytest.MonkeyPatch, key: str, secret: str, token: str | None) -> str:
    """What boto3 signs at the moment NOW."""

    def now(*_: Any, **__: Any) -> datetime:
        return NOW.replace(tzinfo=None)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)
    client = boto3.Session(key, secret, token, REGION).client("rds")
    return str(client.generate_db_auth_token(DBHostname=HOST, Port=PORT, DBUsername=USER))


@pytest.mark.parametrize("session_token", [None, "IQoJb3JpZ2luX2VjE/+abc~_-.==" * 20], ids=["long-lived", "session"])
def test_a_token_is_boto3s_byte_for_byte(monkeypatch: pytest.MonkeyPatch, session_token: str | None) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    if session_token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session_token)
    expected = of_boto3(monkeypatch, "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token)
    assert "20260504T030201Z" in expected
    assert iam_token.token(HOST, PORT, USER, REGION, NOW) == expected


def test_a_token_is_signed_for_this_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    before = datetime.now(UTC).replace(microsecond=0)
    [date] = [part[11:] for part in iam_token.token(HOST, PORT, USER, REGION).split("&") if part[:10] == "X-Amz-Date"]
    assert before <= datetime.strptime(date, "%Y%m%dT%H%M%S%z") <= datetime.now(UTC)
