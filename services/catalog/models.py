"""What comes into catalog and goes out of it: requests, answers, events."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from catalog import domain
from common.events import Event
from common.values import Money

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\A(?=.*\S)[^\x00-\x1f\x7f]*\Z")]
Description = Annotated[str, Meta(max_length=2000, pattern=r"\A[^\x00-\x08\x0b-\x1f\x7f]*\Z")]


class Price(Money, frozen=True, forbid_unknown_fields=True, kw_only=True):
    amount: Annotated[int, Meta(ge=1, le=10_000_000)]
    currency: Literal["JPY"]  # to be said: a price in another currency must not be read as yen


class AddProduct(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    description: Description = ""
    price: Price


class ChangeProduct(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    price: Price | UnsetType = UNSET


class ProductView(Struct):
    product_id: UUID
    name: str
    description: str
    price: Money
    retired: bool

    @classmethod
    def of(cls, product: domain.Product) -> "ProductView":
        return cls(product.product_id, product.name, product.description, Money(product.price), product.retired)


class ProductList(Struct):
    items: Sequence[ProductView]
    next_cursor: str | None


class ProductAdded(Event):
    """The whole product as it is at `revision`; so are ProductChanged and ProductRetired."""

    product_id: UUID
    name: str
    price: Money
    retired: bool
    revision: int

    @classmethod
    def of(cls, product: domain.Product) -> Self:
        return cls(product.product_id, product.name, Money(product.price), product.retired, product.revision)


class ProductChanged(ProductAdded):
    """Name, description or price is different."""


class ProductRetired(ProductAdded):
    """Not on sale any more."""
