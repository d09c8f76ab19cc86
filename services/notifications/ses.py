"""Amazon SES."""

import re
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from typing import Any

from notifications.domain import Letter
from notifications.mailer import MailerUnavailable, MailRefused
from notifications.settings import mail_sender

# What SES delivers to without SMTPUTF8: no quotes, no comment, no second address.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_FOR_GOOD = {"InvalidParameterValue", "MessageRejected"}


class Ses:
    """A `notifications.mailer.Mailer`."""

    def send(self, email: str, letter: Letter, correlation_id: str) -> str:
        from botocore.exceptions import BotoCoreError, ClientError  # not before there is a mail, as those below

        sender = mail_sender()
        raw = _message(sender, email, letter, correlation_id)
        try:
            answer = _client().send_raw_email(Source=sender, Destinations=[email], RawMessage={"Data": raw})
        except ClientError as error:
            refused = error.response["Error"]["Code"] in _FOR_GOOD
            # A sender, or in SES's sandbox a recipient, that is not verified yet says nothing against the mail.
            refused = refused and "not verified" not in error.response["Error"].get("Message", "")
            raise (MailRefused if refused else MailerUnavailable) from error
        except BotoCoreError as error:
            raise MailerUnavailable from error
        return str(answer["MessageId"])


def _message(sender: str, email: str, letter: Letter, correlation_id: str) -> bytes:
    if not _ADDRESS.fullmatch(email):
        raise MailRefused
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))  # SES takes nothing else
    message["From"], message["To"], message["Subject"] = sender, email, letter.subject
    message["Auto-Submitted"] = "auto-generated"
    message["X-Correlation-Id"] = correlation_id
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return bytes(message)


@cache
def _client() -> Any:
    from botocore.config import Config
    from botocore.session import get_session

    retries: Any = {"mode": "standard", "total_max_attempts": 2}
    return get_session().create_client("ses", config=Config(connect_timeout=2, read_timeout=5, retries=retries))
