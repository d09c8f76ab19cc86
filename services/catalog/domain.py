"""What a product is and how it changes: no clock, no randomness, no I/O."""

from dataclasses import dataclass, replace
from uuid import UUID


class ProductNotFound(Exception):
    """There is no such product, and there never was."""

    def __init__(self, product_id: UUID) -> None:
        super().__init__(f"there is no product {product_id}")


@dataclass(frozen=True, slots=True)
class Product:
    """`price` is in minor units. `revision` grows by one with every change, so that others can tell old from new."""

    product_id: UUID
    name: str
    description: str
    price: int
    retired: bool = False
    revision: int = 1

    def change(self, name: str, description: str, price: int) -> "Product":
        """The next revision; the very same product when nothing is different."""
        return self._next(replace(self, name=name, description=description, price=price))

    def retire(self) -> "Product":
        """The next revision, not sold any more; the very same product when it was retired before."""
        return self._next(replace(self, retired=True))

    def _next(self, changed: "Product") -> "Product":
        return self if changed == self else replace(changed, revision=self.revision + 1)
