"""What inventory answers other services, and how it learns of products: it asks catalog when asked for their stock."""

from collections.abc import Callable, Sequence
from uuid import UUID

from msgspec import Struct

from common.database import Transaction, transaction
from common.http import JSON, Resolver, Response
from common.requests import body, identifier, staff
from ecs.runtime.calls import Neighbour, NeighbourUnavailable
from ecs.runtime.internal import InternalResolver
from inventory import use_cases
from inventory.consumer import consumer
from inventory.domain import BelowReserved, Line, NothingReserved, Status, Stock, StockNotFound
from inventory.models import OrderPlaced, ProductAdded, SetStock, StockView

__all__ = ["app", "consumer", "journal", "overrides"]

app = InternalResolver("inventory", {NothingReserved: 409})
overrides = Resolver("inventory", {StockNotFound: 404, BelowReserved: 409, NeighbourUnavailable: 503})
journal = None
catalog = Neighbour("catalog")


class Wanted(Struct):
    lines: Sequence[Line]


class Decision(Struct):
    """What was decided for an order, and became of it since. The reason is of what was rejected."""

    status: Status
    reason: str | None


class Known(Struct):
    """What catalog has of the products that were asked for."""

    items: Sequence[ProductAdded]


@app.post("/internal/reservations/<order_id>")
def reserve(order_id: str) -> Decision:
    """Hold all lines or none. Decided once an order, on record for good: no key has to be remembered for that."""
    event = OrderPlaced(identifier(order_id), body(app, Wanted).lines)
    with transaction() as tx:
        decided = use_cases.reserve(tx, event) or use_cases.read_reservation(tx, event.order_id)
    return Decision(decided.status, decided.reason)


@app.delete("/internal/reservations/<order_id>")
def release(order_id: str) -> Response:
    with transaction() as tx:
        use_cases.release(tx, identifier(order_id))
    return Response(204, JSON, "")


@app.post("/internal/reservations/<order_id>/dispatch")
def dispatch(order_id: str) -> Response:
    with transaction() as tx:
        use_cases.dispatch(tx, identifier(order_id))
    return Response(204, JSON, "")


@overrides.get("/stock/<product_id>")
def read_stock(product_id: str) -> StockView:
    return _of(identifier(product_id), use_cases.read_stock)


@overrides.put("/stock/<product_id>")
def set_stock(product_id: str) -> StockView:
    staff(overrides)
    request = body(overrides, SetStock)
    return _of(identifier(product_id), lambda tx, product: use_cases.set_stock(tx, product, request.on_hand))


def _of(product_id: UUID, work: Callable[[Transaction, UUID], Stock]) -> StockView:
    """Of a product that only catalog knows there is a stock from now on. Raises NeighbourUnavailable, and as `work`."""
    try:
        with transaction() as tx:
            return StockView.of(work(tx, product_id))
    except StockNotFound:
        found = catalog.call("GET", f"/internal/products?ids={product_id}", gives=Known).items
    with transaction() as tx:
        for product in found:
            use_cases.record_product(tx, product)
        return StockView.of(work(tx, product_id))
