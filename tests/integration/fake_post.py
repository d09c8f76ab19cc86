"""A post office in memory, in place of the mail provider."""

import time
from collections.abc import Callable
from typing import NamedTuple

from notifications.domain import Letter
from notifications.mailer import MailRefused


class Sent(NamedTuple):
    email: str
    letter: Letter
    correlation_id: str


class FakePost:
    """A `notifications.mailer.Mailer` that keeps what it accepts. It can be told to fail, or to take its time."""

    def __init__(self) -> None:
        self.asked: list[Sent] = []
        """Every mail, whatever became of it."""
        self.sent: list[Sent] = []
        self.seconds = 0.0
        self._failure: Callable[[Sent], Exception | None] = lambda mail: None

    def send(self, email: str, letter: Letter, correlation_id: str) -> str:
        mail = Sent(email, letter, correlation_id)
        self.asked.append(mail)
        time.sleep(self.seconds)
        if error := self._failure(mail):
            raise error
        self.sent.append(mail)
        return f"mail-{len(self.sent)}"

    def fail(self, error: Exception, when: Callable[[Sent], bool] = lambda mail: True) -> None:
        """From now on, mails for which `when` holds are not accepted."""
        self._failure = lambda mail: error if when(mail) else None

    def refuse(self, when: Callable[[Sent], bool] = lambda mail: True) -> None:
        self.fail(MailRefused(), when)

    def recover(self) -> None:
        self._failure = lambda mail: None

    @property
    def subjects(self) -> list[str]:
        return [mail.letter.subject for mail in self.sent]
