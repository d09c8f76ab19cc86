"""What comes into inventory and goes out of it: requests, answers, events."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from common.events import Event
from inventory import domain


class SetStock(Struct, frozen=True, forbid_unknown_fields=True):
    on_hand: Annotated[int, Meta(ge=0, le=1_000_000_000)]


class StockView(Struct):
    product_id: UUID
    on_hand: int
    reserved: int
    available: int

    @classmethod
    def of(cls, stock: domain.Stock) -> "StockView":
        return cls(stock.product_id, stock.on_hand, stock.reserved, stock.available)


class StockReserved(Event):
    """All lines of the order are held."""

    order_id: UUID


class StockRejected(Event):
    """Nothing is held for the order: the reason says what is short."""

    order_id: UUID
    reason: str


class ProductAdded(Event):
    """Of a product, as of those in ProductChanged and ProductRetired, only that it exists is of interest."""

    product_id: UUID
    revision: int


class ProductChanged(ProductAdded):
    pass


class ProductRetired(ProductAdded):
    pass


class OrderPlaced(Event):
    order_id: UUID
    lines: Sequence[domain.Line]


class ShipmentDispatched(Event):
    order_id: UUID


class OrderRejected(Event):
    order_id: UUID


class OrderCancelled(Event):
    order_id: UUID


class OrderExpired(Event):
    order_id: UUID
