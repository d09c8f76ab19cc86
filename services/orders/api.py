"""Orders' HTTP routes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from common.database import Transaction, transaction
from common.http import Resolver, Response
from common.idempotency import idempotent
from common.operation import operation
from common.requests import body, cut, identifier, language, page, principal, verified_email
from common.values import uuid7
from orders import repository, use_cases
from orders.domain import Customer, DuplicateProduct, OrderNotFound, Product, TooLateToCancel, UnknownProduct
from orders.models import OrderList, OrderView, PlaceOrder

Products = Callable[[Transaction, Sequence[UUID]], Mapping[UUID, Product]]
"""Tells which of the products are sold today, and at what price."""

app = Resolver("orders", {OrderNotFound: 404, TooLateToCancel: 409, UnknownProduct: 422, DuplicateProduct: 422})
handler = app.handler


@app.post("/orders")
@operation("customer", takes=PlaceOrder, gives=OrderView, status=202, keyed=True)
def place_order() -> Response:
    """Take an order on: it is `placed`. Read it again to see, within seconds, whether it is confirmed or rejected."""
    return take_on(app, uuid7(), repository.products)


def take_on(app: Resolver, order_id: UUID, products: Products) -> Response:
    """Place the order of a request, under that identifier, unless its key has been used: then it is the first one's."""
    caller, request, now = principal(app), body(app, PlaceOrder), datetime.now(UTC)
    # A shop that sells in yen writes in Japanese, unless it is asked for another language.
    customer = Customer(caller.sub, verified_email(app), "ja" if language(app) in (None, "ja") else "en")

    def placed() -> tuple[OrderView, int]:
        on_sale = products(tx, request.product_ids())
        return OrderView.of(use_cases.place_order(tx, order_id, customer, request, on_sale, now)), 202

    with transaction() as tx:
        return idempotent(app, tx, placed)


@app.get("/orders")
@operation("customer", paged=True)
def list_orders() -> OrderList:
    """The caller's own orders, newest first and without their timelines; staff see everybody's."""
    reader, asked = principal(app), page(app)
    with transaction() as tx:
        orders, next_cursor = cut(use_cases.list_orders(tx, reader, asked), asked, lambda order: order.order_id)
    return OrderList([OrderView.of(order, timeline=False) for order in orders], next_cursor)


@app.get("/orders/<order_id>")
@operation("customer")
def read_order(order_id: str) -> OrderView:
    """One order with its timeline."""
    reader = principal(app)
    with transaction() as tx:
        return OrderView.of(use_cases.read_order(tx, identifier(order_id), reader))


@app.post("/orders/<order_id>/cancel")
@operation("customer", status=202, refuses=(TooLateToCancel,))
def cancel_order(order_id: str) -> tuple[OrderView, int]:
    """Until it is confirmed, an order is `cancelled` at once. After that it is `cancelling`, and when shipping has said
    whether it could stop the parcel, `cancelled` or `shipped`. Repeated, this answers with the order as it is.
    """
    reader, now = principal(app), datetime.now(UTC)
    with transaction() as tx:
        return OrderView.of(use_cases.cancel_order(tx, identifier(order_id), reader, now)), 202
