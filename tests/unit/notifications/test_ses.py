"""Amazon SES behind the port: what it is given, and what its answers mean."""

import email
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses import ses_backends

from notifications import ses
from notifications.domain import Letter
from notifications.mailer import MailerUnavailable, MailRefused
from notifications.ses import Ses

ROOT = Path(ses.__file__).parents[2]
LETTER = Letter("ご注文が確定しました", "檜のお盆 × 1\n", "<p>檜のお盆 × 1</p>\n")


@pytest.fixture(autouse=True)
def _sender(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MAIL_SENDER", "Kumiki <shop@example.com>")
    forget = ses._client.cache_clear
    forget()
    yield
    forget()


@pytest.fixture
def aws() -> Iterator[Any]:
    """SES in memory, where the shop's address is verified."""
    with mock_aws():
        boto3.client("ses").verify_email_identity(EmailAddress="shop@example.com")
        yield ses_backends[DEFAULT_ACCOUNT_ID]["ap-northeast-1"]


def answering(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    class Client:
        def send_raw_email(self, **_: Any) -> Any:
            raise error

    monkeypatch.setattr(ses, "_client", Client)


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "SendRawEmail")


def test_a_mail_is_sent_to_one_address_in_plain_text_and_html_and_tells_its_story(aws: Any) -> None:
    name = Ses().send("alice@example.com", LETTER, "the-first-request")
    [sent] = aws.sent_messages
    assert sent.id == name
    assert set(sent.destinations) == {"alice@example.com"}

    message = email.message_from_string(sent.raw_data, policy=default)
    assert isinstance(message, EmailMessage)
    told = {header: str(message[header]) for header in ("From", "To", "Subject", "X-Correlation-Id", "Auto-Submitted")}
    assert told == {
        "From": "Kumiki <shop@example.com>",
        "To": "alice@example.com",
        "Subject": LETTER.subject,
        "X-Correlation-Id": "the-first-request",
        "Auto-Submitted": "auto-generated",
    }
    assert message.get_content_type() == "multipart/alternative"
    parts = [(part.get_content_type(), part.get_content()) for part in message.iter_parts()]  # type: ignore[attr-defined]
    assert parts == [
        ("text/plain", LETTER.text.replace("\n", "\r\n")),
        ("text/html", LETTER.html.replace("\n", "\r\n")),
    ]
    assert sent.raw_data.isascii()
    assert max(map(len, sent.raw_data.splitlines())) < 1000, "RFC 5321's limit"


@pytest.mark.parametrize(
    "address",
    [
        "", "alice", "alice@", "@example.com", "a@b@c", "alice@example.com, mallory@example.com",
        "alice@example.com\nBcc: mallory@example.com", "alice@example.com\r\n\r\nHello", "Alice <alice@example.com>",
        "アリス@example.com", "alice@例.jp", '"a b"@example.com', "alice@example.com ",
    ],
)  # fmt: skip
def test_what_is_no_single_address_is_refused_before_anything_is_sent(aws: Any, address: str) -> None:
    with pytest.raises(MailRefused):
        Ses().send(address, LETTER, "story")
    assert not aws.sent_messages


@pytest.mark.parametrize(
    ("subject", "story"), [("Hello\nBcc: mallory@example.com", "story"), ("Hello", "story\r\nBcc: mallory@example.com")]
)
def test_no_text_can_add_a_header(aws: Any, subject: str, story: str) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        Ses().send("alice@example.com", Letter(subject, "text", "html"), story)
    assert not aws.sent_messages


@pytest.mark.parametrize(
    "error",
    [refusal("MessageRejected", "Address blacklisted."), refusal("InvalidParameterValue", "Invalid domain name")],
)
def test_what_ses_will_never_send_is_refused(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    answering(monkeypatch, error)
    with pytest.raises(MailRefused):
        Ses().send("alice@example.com", LETTER, "story")


@pytest.mark.parametrize(
    "error",
    [
        refusal("Throttling", "Maximum sending rate exceeded."),
        refusal("Throttling", "Daily message quota exceeded."),
        refusal("AccessDenied"),
        refusal("AccountSendingPausedException"),
        refusal("ServiceUnavailable"),
        refusal("MessageRejected", "Email address is not verified. The following identities failed the check …"),
        EndpointConnectionError(endpoint_url="https://email.example"),
        ReadTimeoutError(endpoint_url="https://email.example"),
    ],
)
def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    answering(monkeypatch, error)
    with pytest.raises(MailerUnavailable):
        Ses().send("alice@example.com", LETTER, "story")


@mock_aws
def test_a_sender_that_is_not_verified_says_nothing_against_the_mail() -> None:
    with pytest.raises((MailerUnavailable, MailRefused)) as raised:
        Ses().send("alice@example.com", LETTER, "story")
    cause = raised.value.__cause__
    assert isinstance(cause, ClientError)
    assert cause.response["Error"]["Code"] == "MessageRejected"


@pytest.mark.usefixtures("aws")
def test_the_client_gives_up_soon() -> None:
    config = ses._client().meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (2, 5, 2)


def test_boto3_is_not_imported_before_there_is_a_mail_to_send() -> None:
    none = "assert not [name for name in sys.modules if name.startswith(('boto3', 'botocore.'))]"
    program = f"import sys; import notifications.consumer; {none}"
    path = f"{ROOT / 'services'}:{ROOT / 'layers'}"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": path})
