"""Inventory's HTTP routes."""

from common.database import transaction
from common.http import Resolver
from common.operation import operation
from common.requests import body, identifier, staff
from inventory import use_cases
from inventory.domain import BelowReserved, StockNotFound
from inventory.models import SetStock, StockView

app = Resolver("inventory", {StockNotFound: 404, BelowReserved: 409})
handler = app.handler


@app.get("/stock/<product_id>")
@operation("anyone")
def read_stock(product_id: str) -> StockView:
    """How many units there are, and how many of them no order holds: those are `available`."""
    with transaction() as tx:
        return StockView.of(use_cases.read_stock(tx, identifier(product_id)))


@app.put("/stock/<product_id>")
@operation("staff", takes=SetStock, refuses=(BelowReserved,))
def set_stock(product_id: str) -> StockView:
    """Record how many units there are, as counted; never fewer than orders hold."""
    staff(app)
    request = body(app, SetStock)
    with transaction() as tx:
        return StockView.of(use_cases.set_stock(tx, identifier(product_id), request.on_hand))
