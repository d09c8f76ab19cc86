"""What stock is, and how much of it may be reserved: no clock, no randomness, no I/O."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

LONGEST_REASON = 200
NAMED_IN_REASON = 2  # products; a third does not fit


class StockNotFound(Exception):
    """Inventory does not know the product, or not yet."""

    def __init__(self, product_id: UUID) -> None:
        super().__init__(f"there is no stock of product {product_id}")


class BelowReserved(Exception):
    """Orders hold more than would be left."""

    def __init__(self, on_hand: int, reserved: int) -> None:
        super().__init__(f"{on_hand} is less than the {reserved} that orders hold")


@dataclass(frozen=True, slots=True)
class Line:
    product_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True)
class Stock:
    """`reserved` units of those `on_hand` belong to orders and are not available to others."""

    product_id: UUID
    on_hand: int = 0
    reserved: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved

    def count(self, on_hand: int) -> "Stock":
        """The stock after somebody counted it. Raises BelowReserved."""
        if on_hand < self.reserved:
            raise BelowReserved(on_hand, self.reserved)
        return replace(self, on_hand=on_hand)


class NothingReserved(Exception):
    """A parcel left, of an order that holds nothing: somebody has made a mistake."""

    def __init__(self, order_id: UUID) -> None:
        super().__init__(f"nothing is reserved for order {order_id}")


class Status(StrEnum):
    RESERVED = "reserved"
    REJECTED = "rejected"
    DISPATCHED = "dispatched"
    RELEASED = "released"  # also when nothing had been reserved: what comes late is to find the order over


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order holds, held, or could not have: the reason says why. One that was released before it was made has
    no lines."""

    order_id: UUID
    status: Status
    lines: tuple[Line, ...] = ()
    reason: str | None = None


def by_product(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The same units with a line a product."""
    quantities: Counter[UUID] = Counter()
    for line in lines:
        quantities[line.product_id] += line.quantity
    return tuple(Line(product_id, quantity) for product_id, quantity in quantities.items())


def refusal(lines: Sequence[Line], stock: Mapping[UUID, Stock]) -> str | None:
    """Why the lines, one a product, cannot all be had, for the customer to read; None when they can."""
    short = []
    for line in lines:
        available = stock.get(line.product_id, Stock(line.product_id)).available
        if available < line.quantity:
            short.append(f"{line.product_id} (asked {line.quantity}, available {available})")
    if not short:
        return None
    more = f" and {len(short) - NAMED_IN_REASON} more" if len(short) > NAMED_IN_REASON else ""
    return f"out of stock: {', '.join(short[:NAMED_IN_REASON])}{more}"[:LONGEST_REASON]
