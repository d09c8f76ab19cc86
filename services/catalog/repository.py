"""The SQL of catalog. Anybody may read all of it."""

from collections.abc import Collection, Sequence
from uuid import UUID

from catalog.domain import Product, ProductNotFound
from common.database import Row, Transaction
from common.requests import Page


def add(tx: Transaction, product: Product) -> None:
    tx.execute(
        """
        INSERT INTO products (product_id, name, description, price, retired, revision)
        VALUES (%s, %s, %s, %s, %s, %s)
        """,
        (
            product.product_id.bytes,
            product.name,
            product.description,
            product.price,
            product.retired,
            product.revision,
        ),
    )


def get(tx: Transaction, product_id: UUID) -> Product:
    """The product, retired or not. Raises ProductNotFound."""
    row = tx.one(
        "SELECT product_id, name, description, price, retired, revision FROM products WHERE product_id = %s",
        (product_id.bytes,),
    )
    if row is None:
        raise ProductNotFound(product_id)
    return _product(row)


def those_of(tx: Transaction, product_ids: Collection[UUID]) -> Sequence[Product]:
    """Those of the products that there are, retired or not, in no order."""
    rows = tx.all(
        "SELECT product_id, name, description, price, retired, revision FROM products WHERE product_id IN %s",
        ([product_id.bytes for product_id in product_ids],),
    )
    return [_product(row) for row in rows]


def lock(tx: Transaction, product_id: UUID) -> Product:
    """The product, which nobody else can change until the transaction ends. Raises ProductNotFound."""
    row = tx.one(
        """
        SELECT product_id, name, description, price, retired, revision
          FROM products
         WHERE product_id = %s
           FOR UPDATE
        """,
        (product_id.bytes,),
    )
    if row is None:
        raise ProductNotFound(product_id)
    return _product(row)


def page(tx: Transaction, search: str, page: Page) -> Sequence[Product]:
    """Those on sale whose name contains `search`, newest first; and one more than asked, if there is one."""
    rows = tx.all(
        """
        SELECT product_id, name, description, price, retired, revision
          FROM products
         WHERE product_id < %s AND NOT retired AND name LIKE %s
         ORDER BY product_id DESC
         LIMIT %s
        """,
        (page.after.bytes, f"%{_literally(search)}%", page.limit + 1),
    )
    return [_product(row) for row in rows]


def save(tx: Transaction, product: Product) -> None:
    """Keep a later revision of a product that came from `lock`."""
    tx.execute(
        """
        UPDATE products
           SET name = %s, description = %s, price = %s, retired = %s, revision = %s
         WHERE product_id = %s
        """,
        (
            product.name,
            product.description,
            product.price,
            product.retired,
            product.revision,
            product.product_id.bytes,
        ),
    )


def _literally(text: str) -> str:
    """A pattern for LIKE in which no character stands for another."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _product(row: Row) -> Product:
    return Product(
        product_id=UUID(bytes=row["product_id"]),
        name=row["name"],
        description=row["description"],
        price=row["price"],
        retired=bool(row["retired"]),
        revision=row["revision"],
    )
