"""What a payment is, when it is charged, and how much of it can be refunded: no clock, no randomness, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5


class State(StrEnum):
    """How far the charge is. Once it is attempted, only the provider knows whether there is money to give back."""

    NOTED = "noted"
    ATTEMPTED = "attempted"
    CAPTURED = "captured"
    DECLINED = "declined"


class Status(StrEnum):
    """What readers see."""

    PENDING = "pending"
    CAPTURED = "captured"
    DECLINED = "declined"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"


class PaymentNotFound(Exception):
    """There is no such payment, or none that the reader may see."""

    def __init__(self, order_id: UUID) -> None:
        super().__init__(f"there is no payment of order {order_id}")


class NotEnoughLeft(Exception):
    """A refund asks for more than is left, or there is nothing left at all."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} is left to be refunded")


class AnotherRefund(Exception):
    """The request's key began a refund that was asked for in other words."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another body")


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back, or `done`. `asked` tells the request that began it from others; None at an order's end."""

    refund_id: UUID
    order_id: UUID
    amount: int
    asked: bytes | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Payment:
    """Amounts are in minor units. `amount` and `token` are empty until the order is known."""

    order_id: UUID
    correlation_id: str
    state: State
    amount: int
    token: str
    captured: int
    refunded: int

    @property
    def status(self) -> Status:
        if self.state in (State.NOTED, State.ATTEMPTED):
            return Status.PENDING
        if self.refunded:
            return Status.REFUNDED if self.refunded == self.captured else Status.PARTLY_REFUNDED
        return Status(self.state)

    def left(self, refunds: Sequence[Refund]) -> int:
        """What was captured and is not given back by `refunds`, which are all there are: pending ones count as gone."""
        return self.captured - sum(refund.amount for refund in refunds)

    def refund(self, refunds: Sequence[Refund], refund_id: UUID, asked: bytes, amount: int | None) -> Refund:
        """The refund of that id, begun now or before, of `amount` or of all that is left.

        Raises NotEnoughLeft, and AnotherRefund when what was begun before had been asked for in other words.
        """
        for begun in refunds:
            if begun.refund_id == refund_id:
                if begun.asked != asked:
                    raise AnotherRefund
                return begun
        left = self.left(refunds)
        if not 0 < (amount or left) <= left:
            raise NotEnoughLeft(left)
        return Refund(refund_id, self.order_id, amount or left, asked)

    def refund_rest(self, refunds: Sequence[Refund]) -> Refund | None:
        """What gives back all that is left of an order that has ended: one an order. None if nothing is left."""
        left = self.left(refunds)
        return Refund(uuid5(self.order_id, "the order has ended"), self.order_id, left) if left else None
