"""The use cases of shipping, one function each: load, decide in the domain, save, publish.

Dispatch and cancellation may come at the same time. Each moves the shipment by one conditional update from the state in
which it found it; the second one looks again, and finds that it is too late.
"""

from uuid import UUID

from common.database import Contention, Transaction
from common.observability import correlate, correlation
from common.requests import Principal
from shipping import repository
from shipping.domain import Parcel, Shipment, ShipmentNotFound, Status
from shipping.models import CancellationRequested, OrderConfirmed, announcement


def read_shipment(tx: Transaction, order_id: UUID, reader: Principal) -> Shipment:
    """Raises ShipmentNotFound."""
    return repository.get(tx, order_id, reader)


def prepare(tx: Transaction, event: OrderConfirmed) -> Shipment | None:
    """There is a parcel to be packed. None when something is known of the order already: above all, that it is over."""
    parcel = Parcel(tuple(event.lines), event.shipping_address)
    shipment = Shipment(event.order_id, correlation().correlation_id, Status.PREPARING)
    return shipment if repository.add(tx, shipment, event.customer_id, parcel) else None


def read_prepared(tx: Transaction, order_id: UUID) -> Shipment:
    """The order's shipment, whoever it belongs to. Raises ShipmentNotFound."""
    shipment = repository.get_for_event(tx, order_id)
    if shipment is None:
        raise ShipmentNotFound(order_id)
    return shipment


def dispatch(tx: Transaction, order_id: UUID, caller: Principal, tracking_number: str) -> Shipment:
    """Record and announce that the carrier has it, unless that was done. Raises ShipmentNotFound, WrongState."""
    shipment = _of_the_story(repository.get(tx, order_id, caller))
    return _move(tx, shipment, shipment.dispatch(tracking_number))


def deliver(tx: Transaction, order_id: UUID, caller: Principal) -> Shipment:
    """Record and announce that the customer has it, unless that was done. Raises ShipmentNotFound, WrongState."""
    shipment = _of_the_story(repository.get(tx, order_id, caller))
    return _move(tx, shipment, shipment.deliver())


def cancel(tx: Transaction, event: CancellationRequested) -> None:
    """As `stop`, and announce what came of it, each time that one asks."""
    tx.publish(announcement(stop(tx, event)))


def stop(tx: Transaction, event: CancellationRequested) -> Shipment:
    """See that nothing is sent, or never will be, or that it is too late.

    Raises Contention when the order's shipment is being made or moved at this very moment.
    """
    before = repository.get_for_event(tx, event.order_id)
    if before is None:
        after = Shipment(event.order_id, correlation().correlation_id, Status.CANCELLED)
        if not repository.add(tx, after, event.customer_id):
            raise Contention(f"the shipment of order {event.order_id} has just been made")
    else:
        after = before.cancel()
        if after != before:
            repository.advance(tx, before, after)
    return after


def _of_the_story(shipment: Shipment) -> Shipment:
    """A request about the shipment is a part of its order's story."""
    correlate(shipment.correlation_id)
    return shipment


def _move(tx: Transaction, before: Shipment, after: Shipment) -> Shipment:
    if after != before:
        repository.advance(tx, before, after)
        tx.publish(announcement(after))
    return after
