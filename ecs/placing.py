"""POST /orders in the ECS design: answered when the order is settled. How it is settled is in ecs/checkout.py."""

import time
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from common.database import transaction
from common.http import RequestInProgress, Resolver, Response
from common.idempotency import amend, status
from common.requests import Principal, principal
from common.values import uuid7
from ecs import neighbours_of_orders as neighbours
from ecs.checkout import CHECKOUT_SECONDS
from ecs.runtime.calls import NeighbourUnavailable
from orders import use_cases
from orders.api import app as public
from orders.api import take_on
from orders.domain import UNSETTLED
from orders.models import OrderView

# What is kept for a key: the answer; or that a request is at work, or has left the rest to the sweep.
SETTLED, AT_WORK, LEFT = 201, 202, 503
PATIENCE_SECONDS = 10.0  # of a repeat, with the first request
LOOK_SECONDS = 0.1


class NotSettledYet(Exception):
    """A neighbour is away. The order stays, to be settled as soon as may be, or to expire."""


class Placed(msgspec.Struct):
    order_id: UUID
    created_at: datetime


overrides = Resolver("orders", {**public.statuses, NeighbourUnavailable: 503, NotSettledYet: 503})


@overrides.post("/orders")
def place_order() -> Response:
    """Take an order on and settle it: the journal checks it out as soon as it is committed. Repeats get the first one's
    answer; who comes too early for that is told to come back."""
    order_id, reader = uuid7(), principal(overrides)
    kept = take_on(overrides, order_id, lambda _, product_ids: neighbours.products(product_ids))
    if kept.status == SETTLED:
        return kept
    placed = msgspec.json.decode(kept.body or "", type=Placed)
    waits = kept.status == AT_WORK and placed.order_id != order_id
    until = time.monotonic() + _patience(placed)
    while not (answer := _settled(placed.order_id, reader)):
        waits = waits and not _left()
        if not waits or time.monotonic() > until:
            if waits and _patience(placed) > 0:
                raise RequestInProgress(f"order {placed.order_id} is being settled")
            with transaction() as tx:
                amend(overrides, tx, placed, LEFT, {AT_WORK})
            raise NotSettledYet(f"order {placed.order_id} is not settled yet: ask again, with the same key")
        time.sleep(LOOK_SECONDS)
    return answer


def _patience(placed: Placed) -> float:
    """After so long, the first request does not answer any more."""
    return min(PATIENCE_SECONDS, CHECKOUT_SECONDS - (datetime.now(UTC) - placed.created_at).total_seconds())


def _left() -> bool:
    """Whether the first request has answered that it leaves the order to the sweep: then nobody is at work on it."""
    with transaction() as tx:
        return status(overrides, tx) == LEFT


def _settled(order_id: UUID, reader: Principal) -> Response | None:
    """The order as the answer for its key, or None while it is not settled."""
    with transaction() as tx:
        order = use_cases.read_order(tx, order_id, reader)
        if order.status in UNSETTLED:
            return None
        return amend(overrides, tx, OrderView.of(order), SETTLED, {AT_WORK, LEFT})
