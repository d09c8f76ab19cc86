"""The port for delivering mail. Another provider is one more class behind it."""

from typing import Protocol

from notifications.domain import Letter


class MailerUnavailable(Exception):
    """The provider does not answer, or not now. Whether the mail was sent is open when the answer was lost."""


class MailRefused(Exception):
    """The provider will never send this mail, such as one to an address that cannot be."""


class Mailer(Protocol):
    def send(self, email: str, letter: Letter, correlation_id: str) -> str:
        """Send to one address; the header X-Correlation-Id tells of which story the mail is a part. Returns the
        provider's name for it. Raises MailerUnavailable, MailRefused. An implementation has a time-out of its own."""
