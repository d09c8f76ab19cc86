"""The use cases of catalog, one function each: load, decide in the domain, save, publish."""

from collections.abc import Collection, Sequence
from uuid import UUID

from msgspec import UNSET

from catalog import repository
from catalog.domain import Product
from catalog.models import AddProduct, ChangeProduct, ProductAdded, ProductChanged, ProductRetired
from common.database import Transaction
from common.requests import Page


def add_product(tx: Transaction, product_id: UUID, request: AddProduct) -> Product:
    """Put a product on sale and announce it."""
    product = Product(product_id, request.name, request.description, request.price.amount)
    repository.add(tx, product)
    tx.publish(ProductAdded.of(product))
    return product


def read_product(tx: Transaction, product_id: UUID) -> Product:
    """The product, also when it is retired. Raises ProductNotFound."""
    return repository.get(tx, product_id)


def read_products(tx: Transaction, product_ids: Collection[UUID]) -> Sequence[Product]:
    """Those of the products that there are, retired or not, in no order."""
    return repository.those_of(tx, product_ids)


def list_products(tx: Transaction, search: str, page: Page) -> Sequence[Product]:
    """A page of what is on sale, newest first, and one product more if there is a further page."""
    return repository.page(tx, search, page)


def change_product(tx: Transaction, product_id: UUID, request: ChangeProduct) -> Product:
    """Change what the request names; announce it if anything is different then. Raises ProductNotFound."""
    before = repository.lock(tx, product_id)
    after = before.change(
        name=before.name if request.name is UNSET else request.name,
        description=before.description if request.description is UNSET else request.description,
        price=before.price if request.price is UNSET else request.price.amount,
    )
    if after != before:
        repository.save(tx, after)
        tx.publish(ProductChanged.of(after))
    return after


def retire_product(tx: Transaction, product_id: UUID) -> None:
    """Take the product off sale and announce it, once. Raises ProductNotFound."""
    before = repository.lock(tx, product_id)
    after = before.retire()
    if after != before:
        repository.save(tx, after)
        tx.publish(ProductRetired.of(after))
