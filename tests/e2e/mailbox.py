"""Mails that left the shop, as the emulator's SES took them."""

import json
from dataclasses import dataclass

import urllib3

from localcloud.stack import Stack

_HTTP = urllib3.PoolManager(timeout=40, retries=False)


@dataclass(frozen=True)
class Mail:
    message_id: str
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Mailbox:
    stack: Stack

    def about(self, order_id: str) -> list[Mail]:
        """Whoever they are to, in the order of their sending."""
        answer = _HTTP.request("GET", f"{self.stack.endpoint_url}/_ministack/ses/messages")
        kept = [mail for mails in json.loads(answer.data)["messages"].values() for mail in mails]
        found = [
            Mail(
                message_id=mail["MessageId"],
                sender=mail["Source"],
                to=tuple(mail["To"]),
                subject=mail["Subject"],
                text=mail["BodyText"],
                html=mail["BodyHtml"],
            )
            for mail in sorted(kept, key=lambda mail: float(mail["Timestamp"]))
        ]
        return [mail for mail in found if order_id in mail.text]
