"""Environment variables that only notifications has."""

import os


def mail_sender() -> str:
    """From whom mails come: `Name <address>`."""
    return os.environ["MAIL_SENDER"]
