"""What customers are told about an order, and how often it is tried: no clock, no randomness, no I/O."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

HOPELESS_ATTEMPTS = 48  # two days, nearly all of them an hour apart
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5, 3600


class Topic(StrEnum):
    """What a mail is about. Where several of an order wait, they are sent in this order."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"


class Locale(StrEnum):
    JAPANESE = "ja"
    ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Address:
    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    line2: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What happened to an order. `amount`, in yen, was paid or given back; `reason` is in the services' own words."""

    order_id: UUID
    topic: Topic
    amount: int | None = None
    lines: tuple[Line, ...] = ()
    address: Address | None = None
    tracking_number: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """News on their way to somebody, as JSON until they are told, since another version may have written them;
    `attempts` counts the one that is being made."""

    mail_id: UUID
    order_id: UUID
    topic: str
    news: str
    email: str
    locale: Locale
    correlation_id: str
    attempts: int

    @property
    def hopeless(self) -> bool:
        return self.attempts >= HOPELESS_ATTEMPTS

    @property
    def pause_seconds(self) -> int:
        """After this attempt, should it fail: so short at first that the next delivery of the event finds it due, later
        so long that an event whose mail has to wait is not delivered again until it counts as dead."""
        return int(min(FIRST_PAUSE_SECONDS * 4 ** (self.attempts - 1), LONGEST_PAUSE_SECONDS))


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail in words: the same in plain text and in HTML. The subject is one line."""

    subject: str
    text: str
    html: str
