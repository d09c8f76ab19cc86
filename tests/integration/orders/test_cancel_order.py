"""Orders that are called off, in time or nearly."""

import io
import json

import pytest

from common.observability import logger
from orders import api, consumer
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import ALICE, BOB, STAFF, Answer, ask, deliver, event
from tests.integration.orders.shop import MUG, get, placed, report, sell, timeline


def cancel(order_id: str, sub: str = ALICE, **request: object) -> Answer:
    return ask(api.handler, "POST", f"/orders/{order_id}/cancel", sub=sub, **request)


@pytest.fixture
def order_id() -> str:
    sell(MUG)
    return placed()


@pytest.mark.parametrize("reports", [[], ["StockReserved"]])
def test_an_order_that_is_not_confirmed_is_cancelled_at_once(order_id: str, bus: FakeBus, reports: list[str]) -> None:
    for detail_type in reports:
        report(detail_type, order_id)
    answer = cancel(order_id)
    assert (answer.status, answer.json["status"]) == (202, "cancelled")
    assert get(f"/orders/{order_id}").json == answer.json
    [cancelled] = bus.details("OrderCancelled")
    assert cancelled["data"] == {"order_id": order_id, "customer_id": "alice-sub", "reason": None}
    report("PaymentCaptured", order_id)
    assert timeline(order_id)[-1] == "cancelled"
    assert "OrderConfirmed" not in bus.types


def test_of_a_confirmed_order_shipping_is_asked_and_its_answer_counts(order_id: str, bus: FakeBus) -> None:
    report("PaymentCaptured", order_id)
    assert cancel(order_id).json["status"] == "cancelling"
    [asked] = bus.details("CancellationRequested")
    assert asked["data"] == {"order_id": order_id, "customer_id": "alice-sub"}
    report("ShipmentCancelled", order_id)
    assert timeline(order_id) == ["placed", "reserved", "confirmed", "cancelling", "cancelled"]
    assert bus.types.count("OrderCancelled") == 1


def test_an_order_whose_parcel_has_left_is_shipped_though_it_was_to_be_cancelled(order_id: str, bus: FakeBus) -> None:
    report("PaymentCaptured", order_id)
    cancel(order_id)
    report("ShipmentDelivered", order_id)
    report("ShipmentDispatched", order_id)
    assert timeline(order_id) == ["placed", "reserved", "confirmed", "cancelling", "shipped", "delivered"]
    assert cancel(order_id).status == 409
    assert "OrderCancelled" not in bus.types


@pytest.mark.parametrize("confirmed", [False, True])
def test_cancelling_again_changes_nothing_and_announces_nothing(order_id: str, bus: FakeBus, confirmed: bool) -> None:
    if confirmed:
        report("PaymentCaptured", order_id)
    first = cancel(order_id)
    announced = len(bus.accepted)
    again = cancel(order_id)
    assert (again.status, again.text, len(bus.accepted)) == (202, first.text, announced)


@pytest.mark.parametrize("refusal", ["StockRejected", "PaymentDeclined"])
def test_a_rejected_order_cannot_be_cancelled(order_id: str, refusal: str) -> None:
    report(refusal, order_id, reason="no")
    answer = cancel(order_id)
    assert (answer.status, answer.json["detail"]) == (409, "the order is rejected")


def test_only_its_owner_and_staff_can_cancel_an_order(order_id: str) -> None:
    assert cancel(order_id, sub=BOB).status == 404
    assert cancel(order_id, sub=None).status == 401  # type: ignore[arg-type]
    assert timeline(order_id) == ["placed"]
    assert cancel(order_id, sub=STAFF, groups="staff").status == 202


def test_what_comes_of_a_cancellation_belongs_to_the_orders_story(bus: FakeBus) -> None:
    sell(MUG)
    order_id = placed()
    [first] = bus.details("OrderPlaced")
    cancel(order_id, request_id="a-later-request")
    [cancelled] = bus.details("OrderCancelled")
    assert cancelled["correlation_id"] == first["correlation_id"] != "a-later-request"


def test_a_request_that_is_refused_is_found_by_its_id_though_it_belongs_to_the_orders_story(
    order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report("StockRejected", order_id, reason="no")
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    answer = cancel(order_id, request_id="a-later-request")
    assert (answer.status, answer.json["request_id"]) == (409, "a-later-request")
    [line] = [json.loads(line) for line in log.getvalue().splitlines() if "a-later-request" in line]
    assert line["correlation_id"] != "a-later-request"


def test_a_cancellation_and_a_confirmation_at_once_tell_one_story(database: Database, bus: FakeBus) -> None:
    sell(MUG)
    for _ in range(5):
        order_id = placed()

        def confirm(order_id: str = order_id) -> list[str]:
            assert deliver(consumer.handler, event("PaymentCaptured", {"order_id": order_id})) == []
            return [name for name in bus.types if name == "OrderConfirmed"]

        def call_off(order_id: str = order_id) -> list[str]:
            assert cancel(order_id).status == 202
            return [name for name in bus.types if name in ("OrderCancelled", "CancellationRequested")]

        running = [Elsewhere(confirm), Elsewhere(call_off)]
        announced = sorted(name for one in running for name in one.result())
        if announced == ["OrderCancelled"]:
            assert timeline(order_id) == ["placed", "cancelled"]
        else:
            assert announced == ["CancellationRequested", "OrderConfirmed"]
            assert timeline(order_id) == ["placed", "reserved", "confirmed", "cancelling"]
