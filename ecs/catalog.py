"""What catalog answers other services."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from catalog import use_cases
from catalog.consumer import consumer
from catalog.models import ProductAdded
from common.database import transaction
from common.http import Problem
from common.requests import identifier
from ecs.runtime.internal import InternalResolver

__all__ = ["app", "consumer", "journal", "overrides"]

MOST = 100

app = InternalResolver("catalog", {})
overrides = journal = None


class Products(Struct):
    """Each as catalog's events tell of it."""

    items: Sequence[ProductAdded]


@app.get("/internal/products")
def products() -> Products:
    """Those of `ids`, up to 100 with commas between them, that there are, retired or not."""
    with transaction() as tx:
        return Products([ProductAdded.of(product) for product in use_cases.read_products(tx, _asked())])


def _asked() -> Sequence[UUID]:
    ids = app.current_event.query.get("ids", "").split(",")
    if len(ids) > MOST:
        raise Problem(422, "bad query", [{"field": "ids", "message": f"expected at most {MOST}"}])
    return [identifier(text) for text in ids]
