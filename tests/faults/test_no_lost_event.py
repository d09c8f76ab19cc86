"""No event is lost, and each has one effect: execution environments are killed between any two of their calls.

The calls are those of a run that nobody disturbs. An order whose environment was killed must end up as that run's order
did, in every service, once AWS has done what it does: a client or a queue tries again, and the schedule sweeps.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import pytest

from common import bus, event_bridge, outbox
from common import consumer as common_consumer
from common.values import uuid7
from tests.faults import figures
from tests.faults.calls import Moment
from tests.faults.crashing import (
    IN_STOCK,
    QUANTITY,
    REACHABLE,
    CrashingShop,
    Environments,
    Message,
    Point,
    Subscription,
    points,
)
from tests.integration.environments import Elsewhere
from tests.integration.gateway import STAFF, ask, deliver, event, on_schedule
from tests.integration.orders.shop import order_of

PRICE = 1_600
CONFIRMED = ("confirmed", ["placed", "reserved", "confirmed"], 0)


class Story(NamedTuple):
    """Environments of `service` are killed while they handle `detail_type`. The order ends like that."""

    service: str
    detail_type: str
    status: str
    captured: int = 0
    refunded: int = 0


STORIES = [
    Story("inventory", "OrderPlaced", "confirmed", PRICE),
    Story("payments", "OrderPlaced", "confirmed", PRICE),
    Story("payments", "StockReserved", "confirmed", PRICE),
    Story("orders", "PaymentCaptured", "confirmed", PRICE),
    Story("shipping", "OrderConfirmed", "confirmed", PRICE),
    Story("notifications", "ContactGiven", "confirmed", PRICE),
    Story("notifications", "OrderConfirmed", "confirmed", PRICE),
    Story("inventory", "OrderRejected", "rejected"),
    Story("inventory", "OrderCancelled", "cancelled", PRICE, PRICE),
    Story("payments", "OrderCancelled", "cancelled", PRICE, PRICE),
    Story("orders", "PaymentRefunded", "cancelled", PRICE, PRICE),
    Story("shipping", "CancellationRequested", "cancelled", PRICE, PRICE),
    Story("orders", "ShipmentCancelled", "cancelled", PRICE, PRICE),
    Story("inventory", "ShipmentDispatched", "shipped", PRICE),
    Story("orders", "ShipmentDispatched", "shipped", PRICE),
]
REQUESTS = {
    "/orders/{}/cancel": ("orders", "confirmed", "cancelled"),
    "/shipments/{}/dispatch": ("shipping", "confirmed", "shipped"),
    "/shipments/{}/deliver": ("shipping", "shipped", "delivered"),
}
"""Who answers them, what the order is before, and what it is in the end."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is made twice because the machine stood still: what is called is the same each time."""
    monkeypatch.setattr(event_bridge, "READ_SECONDS", 20)


@pytest.fixture
def shop(environments: Environments) -> CrashingShop:
    return environments.shop


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter[str]]:
    """What all tests of this module count together."""
    counted: Counter[str] = Counter()
    yield counted
    figures.note("no_lost_event", **counted)


def placing(mug: str, key: str) -> Callable[[], Any]:
    body = order_of((mug, QUANTITY))
    return partial(ask, import_module("orders.api").handler, "POST", "/orders", body, key=key, claims=REACHABLE)


def handling(service: str, *messages: Message) -> Callable[[], list[str]]:
    return partial(deliver, import_module(f"{service}.consumer").handler, *messages)


def sweeping(service: str) -> Callable[[], None]:
    return partial(on_schedule, import_module(f"{service}.consumer").handler)


def reports(shop: CrashingShop, mug: str, orders: int, *hold: Subscription, card: str = "tok_visa") -> list[Message]:
    """New orders, which have come to messages that wait to be delivered."""
    for _ in range(orders):
        assert shop.order(mug, str(uuid7()), card).status == 202
    messages = shop.settle_all(*hold)
    assert len(messages) == orders * len(hold)
    return messages


def waiting(shop: CrashingShop, mug: str, orders: int, story: Story) -> list[Message]:
    """As `reports`, of orders that end as the story says."""
    hold = (story.service, story.detail_type)
    if story.status in ("confirmed", "rejected"):
        return reports(shop, mug, orders, hold, card="tok_declined" if story.status == "rejected" else "tok_visa")
    if story.status == "shipped" or "Cancellation" in story.detail_type or "Shipment" in story.detail_type:
        confirmed = [str(shop.order(mug, str(uuid7())).json["order_id"]) for _ in range(orders)]
        shop.settle_all()
        for order in confirmed:
            path = "/shipments/{}/dispatch" if story.status == "shipped" else "/orders/{}/cancel"
            assert shop.staff(REQUESTS[path][0], "POST", path.format(order)).status < 300
    else:  # it has been paid, but orders hears of that too late
        for message in reports(shop, mug, orders, ("orders", "PaymentCaptured")):
            assert shop.cancel(order_of_message(message)).json["status"] == "cancelled"
            assert shop.deliver("orders", message) == []
    messages = shop.settle_all(hold)
    assert len(messages) == orders
    return messages


def order_of_message(message: Message) -> str:
    return str(message["detail"]["data"]["order_id"])


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.15)  # asked more often, InnoDB repeats what it said of locks


def check_all_arrived(shop: CrashingShop, counted: Counter[str]) -> None:
    assert (shop.unsent(), shop.unreceived()) == (0, [])
    sent = [detail["id"] for detail in shop.bus.details()]
    committed = {str(event_id) for ids in shop.seen.values() for event_id in ids}
    assert committed <= set(sent)
    counted["events_committed"] += len(set(sent))
    counted["events_sent_twice"] += len(sent) - len(set(sent))
    counted["events_lost"] += len(committed - set(sent))
    subjects = [(order, subject) for order, told in shop.bus.mails.items() for subject in told]
    counted["mails"] += len(set(subjects))
    counted["mails_sent_twice"] += len(subjects) - len(set(subjects))


def test_an_order_is_placed_once_wherever_it_is_killed(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug = shop.open()

    calls = environments.calls_of("orders", placing(mug, "undisturbed"))
    undisturbed = shop.order(mug, "undisturbed").json["order_id"]  # the answer, once more
    fates = {}
    for number, point in enumerate(points(calls, long)):
        environments.kill("orders", placing(mug, f"key {number}"), point)
        answer = shop.order(mug, f"key {number}")  # the client tries again
        assert answer.status == 202, point
        fates[point] = answer.json["order_id"]
    swept = shop.settle_for_good()

    expected = shop.outcome(undisturbed)
    assert expected["order"] == [CONFIRMED]
    for point, order in fates.items():
        assert shop.outcome(order) == expected, point
    assert shop.databases["orders"].count("orders") == len({undisturbed, *fates.values()}) == len(fates) + 1
    assert shop.stock(mug) == (IN_STOCK, QUANTITY * (len(fates) + 1))
    assert swept > 0, "the schedule sent what nobody else could"
    counted["left_for_the_sweep"] += swept
    check_all_arrived(shop, counted)
    counted["kills"] += len(fates)
    counted["orders"] += len(fates) + 1


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.detail_type} in {story.service}")
def test_an_event_has_one_effect_wherever_its_consumer_is_killed(
    story: Story, shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug = shop.open()
    [undisturbed] = waiting(shop, mug, 1, story)
    calls = environments.calls_of(story.service, handling(story.service, undisturbed))
    kills = points(calls, long)
    fates = {}
    for point, message in zip(kills, waiting(shop, mug, len(kills), story), strict=True):
        environments.kill(story.service, handling(story.service, message), point)
        assert shop.deliver(story.service, message) == [], point  # the queue delivers again
        fates[point] = order_of_message(message)
    counted["left_for_the_sweep"] += shop.settle_for_good()

    expected = shop.outcome(order_of_message(undisturbed))
    assert expected["order"][0][0] == story.status
    assert (expected["payment"][0]["captured"], expected["payment"][0]["refunded"]) == (story.captured, story.refunded)
    for point, order in fates.items():
        assert shop.outcome(order) == expected, point
    units = QUANTITY * (len(fates) + 1)
    on_hand = IN_STOCK - units if story.status == "shipped" else IN_STOCK
    assert shop.stock(mug) == (on_hand, units if story.status == "confirmed" else 0)
    check_all_arrived(shop, counted)
    counted["kills"] += len(fates)
    counted["orders"] += len(fates) + 1


def ledger(shop: CrashingShop, order: str) -> dict[str, int]:
    """What the provider says that it has done for an order."""
    return {row["outcome"]: row["amount"] for row in shop.outcome(order)["ledger"]}


def test_money_comes_back_wherever_the_charge_was_killed_before_the_order_was_cancelled(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug, hold = shop.open(), ("payments", "StockReserved")
    [undisturbed] = reports(shop, mug, 1, hold)
    kills = points(environments.calls_of("payments", handling("payments", undisturbed)), long)
    charged = []
    fates = {}
    for point, message in zip(kills, reports(shop, mug, len(kills), hold), strict=True):
        order = order_of_message(message)
        environments.kill("payments", handling("payments", message), point)
        charged += shop.outcome(order)["ledger"]
        assert shop.cancel(order).json["status"] == "cancelled", point
        shop.settle_all()
        assert ledger(shop, order) in ({}, {"captured": PRICE, "refunded": PRICE}), point
        assert shop.deliver("payments", message) == [], point  # the queue delivers again, too late
        fates[point] = order
    assert {"outcome": "captured", "amount": PRICE} in charged, "some were killed after the provider had the money"
    counted["left_for_the_sweep"] += shop.settle_for_good()

    taken = given_back = 0
    for point, order in fates.items():
        outcome = shop.outcome(order)
        [payment], moved = outcome["payment"], ledger(shop, order)
        assert payment["captured"] == payment["refunded"] == moved.get("captured", 0) == moved.get("refunded", 0), point
        assert outcome["reservation"] == ["released"], point
        taken, given_back = taken + moved.get("captured", 0), given_back + moved.get("refunded", 0)
    assert shop.stock(mug) == (IN_STOCK, QUANTITY), "of the order that nobody disturbed or cancelled"
    check_all_arrived(shop, counted)
    counted["kills"] += len(fates)
    counted["orders"] += len(fates) + 1
    counted["yen_captured_of_cancelled_orders"], counted["yen_refunded_of_cancelled_orders"] = taken, given_back


def test_an_order_that_ends_before_a_killed_reservation_is_repeated_holds_nothing(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug, hold = shop.open(), ("inventory", "OrderPlaced")
    [undisturbed] = reports(shop, mug, 1, hold)
    kills = points(environments.calls_of("inventory", handling("inventory", undisturbed)), long)
    fates = {}
    for point, message in zip(kills, reports(shop, mug, len(kills), hold), strict=True):
        fates[point] = order_of_message(message)
        environments.kill("inventory", handling("inventory", message), point)
        shop.pass_deadline(fates[point])
        shop.sweep("orders")
        shop.settle_all()
        assert shop.deliver("inventory", message) == [], point
    counted["left_for_the_sweep"] += shop.settle_for_good()
    for point, order in fates.items():
        outcome = shop.outcome(order)
        assert (outcome["order"][0][0], outcome["reservation"]) == ("expired", ["released"]), point
        assert outcome["payment"][0]["captured"] == outcome["payment"][0]["refunded"] == outcome["order"][0][2], point
    assert shop.stock(mug) == (IN_STOCK, QUANTITY)
    check_all_arrived(shop, counted)
    counted["kills"] += len(fates)
    counted["orders"] += len(fates) + 1


def test_a_batch_of_ten_has_ten_effects_and_one_call_to_the_bus_wherever_it_is_killed(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug = shop.open()

    def batch() -> list[Message]:
        lines = [{"product_id": mug, "quantity": QUANTITY}]
        return [event("OrderPlaced", {"order_id": str(uuid7()), "lines": lines}) for _ in range(10)]

    batches = [batch()]
    calls = environments.calls_of("inventory", handling("inventory", *batches[0]))
    assert calls.count("PutEvents") == 1
    counted["bus_calls_of_a_batch_of_ten"] = calls.count("PutEvents")
    alike = range(12, len(calls) - 12)  # messages between the first and the last: for a long run
    for point in [point for point in points(calls, long) if long or point.number not in alike]:
        batches.append(batch())
        environments.kill("inventory", handling("inventory", *batches[-1]), point)
        assert shop.deliver("inventory", *batches[-1]) == [], point
    shop.make_due("inventory")
    shop.sweep("inventory")

    orders = [order_of_message(message) for messages in batches for message in messages]
    assert shop.databases["inventory"].count("reservations") == len(orders)
    assert shop.stock(mug) == (IN_STOCK, QUANTITY * len(orders))
    said = {(detail["data"]["order_id"], detail["id"]) for detail in shop.bus.details("StockReserved")}
    assert sorted(order for order, _ in said) == sorted(orders), "one event an order, though it may come twice"
    assert shop.unsent() == 0
    counted["kills"] += len(batches) - 1


def test_a_sweep_that_is_killed_anywhere_loses_nothing(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug = shop.open()

    def left_behind() -> str:
        """An order whose event could not be sent."""
        shop.bus.refuse("ThrottlingException")
        order = str(shop.order(mug, str(uuid7())).json["order_id"])
        shop.bus.recover()
        assert shop.make_due("orders") > 0
        return order

    undisturbed = left_behind()
    calls = environments.calls_of("orders", sweeping("orders"))
    assert {"OrderPlaced", "ContactGiven"} <= set(shop.bus.types)
    fates = {}
    for point in points(calls, long):
        fates[point] = left_behind()
        environments.kill("orders", sweeping("orders"), point)
        shop.make_due("orders")
        shop.sweep("orders")
    counted["left_for_the_sweep"] += shop.settle_for_good()
    expected = shop.outcome(undisturbed)
    assert expected["order"][0][0] == "confirmed"
    for point, order in fates.items():
        assert shop.outcome(order) == expected, point
    check_all_arrived(shop, counted)
    counted["kills"] += len(fates)
    counted["orders"] += len(fates) + 1


def test_a_charge_that_only_the_schedule_can_finish_is_finished_once_wherever_that_is_killed(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    """The attempt is committed, and its message never comes again."""
    mug, hold = shop.open(), ("payments", "StockReserved")
    [undisturbed, first] = reports(shop, mug, 2, hold)
    calls = environments.calls_of("payments", handling("payments", undisturbed))
    [asking] = [point for point in points(calls, every=False) if point.call == "connect" and point.number > 0]

    def abandon(message: Message) -> str:
        environments.kill("payments", handling("payments", message), asking._replace(moment=Moment.UNHEARD))
        shop.make_due("payments")
        return str(message["detail"]["data"]["order_id"])

    orders = [abandon(first)]
    kills = points(environments.calls_of("payments", sweeping("payments")), long)
    for point, message in zip(kills, reports(shop, mug, len(kills), hold), strict=True):
        orders.append(abandon(message))
        environments.kill("payments", sweeping("payments"), point)
        shop.make_due("payments")
        shop.sweep("payments")
    counted["left_for_the_sweep"] += shop.settle_for_good()
    expected = shop.outcome(order_of_message(undisturbed))
    for point, order in zip([None, *kills], orders, strict=True):
        assert shop.outcome(order) == expected, point
    check_all_arrived(shop, counted)
    counted["kills"] += len(kills) + len(orders)
    counted["orders"] += len(orders) + 1


def test_orders_expire_once_wherever_the_schedule_that_does_it_is_killed(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug, hold = shop.open(), ("inventory", "OrderPlaced")

    def overdue(orders: int) -> list[Message]:
        messages = reports(shop, mug, orders, hold)
        for message in messages:
            shop.pass_deadline(order_of_message(message))
        return messages

    [undisturbed] = overdue(1)
    kills = points(environments.calls_of("orders", sweeping("orders")), long)
    late = [undisturbed]
    for point in kills:
        late += overdue(1)
        environments.kill("orders", sweeping("orders"), point)
        shop.pass_deadline(order_of_message(late[-1]))
        shop.sweep("orders")
    counted["left_for_the_sweep"] += shop.settle_for_good()
    for message in late:
        assert shop.deliver("inventory", message) == []
    expected = shop.outcome(order_of_message(undisturbed))
    assert (expected["order"], expected["reservation"]) == ([("expired", ["placed", "expired"], 0)], ["released"])
    for point, message in zip(kills, late[1:], strict=True):
        assert shop.outcome(order_of_message(message)) == expected, point
    check_all_arrived(shop, counted)
    counted["kills"] += len(kills)
    counted["orders"] += len(late)


def asking(service: str, path: str) -> Callable[[], Any]:
    handler = import_module(f"{service}.api").handler
    return partial(ask, handler, "POST", path, sub=STAFF, groups="staff")


def test_an_order_that_is_under_way_is_cancelled_once_wherever_the_request_is_killed(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    """Its cancellation may be announced before it is paid, or after: its money is even in both cases."""
    mug = shop.open()

    def cancelling() -> tuple[str, Callable[[], Any]]:
        order = str(shop.order(mug, str(uuid7())).json["order_id"])
        return order, asking("orders", f"/orders/{order}/cancel")

    fates = {}
    for point in points(environments.calls_of("orders", cancelling()[1]), long):
        fates[point], request = cancelling()
        environments.kill("orders", request, point)
        assert shop.cancel(fates[point]).json["status"] == "cancelled", point  # the client tries again
    counted["left_for_the_sweep"] += shop.settle_for_good()
    for point, order in fates.items():
        outcome = shop.outcome(order)
        [(status, timeline, refunded)] = outcome["order"]
        [payment] = outcome["payment"]
        assert (status, timeline) == ("cancelled", ["placed", "cancelled"]), point
        assert payment["captured"] == payment["refunded"] == refunded, point
        assert (outcome["events"]["OrderCancelled"], outcome["reservation"]) == (1, ["released"]), point
    assert shop.stock(mug) == (IN_STOCK, 0)
    check_all_arrived(shop, counted)
    counted["kills"] += len(fates)
    counted["orders"] += len(fates) + 1


@pytest.mark.parametrize("path", REQUESTS)
def test_a_request_about_an_order_is_done_once_wherever_it_is_killed(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str], path: str
) -> None:
    mug, (service, before, after) = shop.open(), REQUESTS[path]

    def ordered(orders: int) -> list[str]:
        confirmed = [str(shop.order(mug, str(uuid7())).json["order_id"]) for _ in range(orders)]
        shop.settle_all()
        if before == "shipped":
            for order in confirmed:
                assert shop.staff("shipping", "POST", f"/shipments/{order}/dispatch").status == 200
            shop.settle_all()
        return confirmed

    [undisturbed] = ordered(1)
    kills = points(environments.calls_of(service, asking(service, path.format(undisturbed))), long)
    orders = ordered(len(kills))
    for point, order in zip(kills, orders, strict=True):
        environments.kill(service, asking(service, path.format(order)), point)
        assert shop.staff(service, "POST", path.format(order)).status < 300, point  # the client tries again
    counted["left_for_the_sweep"] += shop.settle_for_good()
    expected = shop.outcome(undisturbed)
    assert expected["order"][0][0] == after
    for point, order in zip(kills, orders, strict=True):
        assert shop.outcome(order) == expected, point
    units = QUANTITY * (len(kills) + 1)
    assert shop.stock(mug) == (IN_STOCK if after == "cancelled" else IN_STOCK - units, 0)
    check_all_arrived(shop, counted)
    counted["kills"] += len(kills)
    counted["orders"] += len(kills) + 1


def test_an_order_never_goes_back_wherever_one_report_is_overtaken_by_the_next(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    """Nobody is killed: one environment stands still while another does its work, or waits for the first to go on."""
    mug, subscriptions = shop.open(), (("orders", "StockReserved"), ("orders", "PaymentCaptured"))

    def pairs(orders: int) -> list[tuple[Message, Message]]:
        """For each, that its stock is reserved and that it is paid, neither delivered yet."""
        messages = reports(shop, mug, orders, *subscriptions)
        return list(zip(messages[:orders], messages[orders:], strict=True))

    [(undisturbed, _)] = pairs(1)
    stops = points(environments.calls_of("orders", handling("orders", undisturbed)), every=False)
    for point, (reserved, paid) in zip(stops, pairs(len(stops)), strict=True):
        order = order_of_message(reserved)
        assert order_of_message(paid) == order
        overtake(shop, environments, handling("orders", reserved), point, handling("orders", paid))
        outcome = shop.outcome(order)
        assert (outcome["order"], outcome["events"]["OrderConfirmed"]) == ([CONFIRMED], 1), point
    counted["overtaken"] += len(stops)


def test_an_order_is_confirmed_or_cancelled_but_not_both_wherever_one_overtakes_the_other(
    shop: CrashingShop, environments: Environments, long: bool, counted: Counter[str]
) -> None:
    mug, hold = shop.open(), ("orders", "PaymentCaptured")
    [undisturbed] = reports(shop, mug, 1, hold)
    stops = points(environments.calls_of("orders", handling("orders", undisturbed)), every=False)
    for point, paid in zip(stops, reports(shop, mug, len(stops), hold), strict=True):
        order = order_of_message(paid)
        cancelling = partial(ask, import_module("orders.api").handler, "POST", f"/orders/{order}/cancel")
        overtake(shop, environments, handling("orders", paid), point, cancelling)
        outcome = shop.outcome(order)
        said = outcome["events"].keys() & {"OrderConfirmed", "OrderCancelled", "CancellationRequested"}
        assert (outcome["order"][0][1][2:], said) in (
            (["cancelled"], {"OrderCancelled"}),
            (["confirmed", "cancelling"], {"OrderConfirmed", "CancellationRequested"}),
        ), point
    counted["overtaken"] += len(stops)


def test_a_parcel_is_sent_or_stopped_but_not_both_wherever_one_overtakes_the_other(
    shop: CrashingShop, environments: Environments, counted: Counter[str]
) -> None:
    mug, hold = shop.open(), ("shipping", "CancellationRequested")

    def asked_to_stop(orders: int) -> list[Message]:
        return waiting(shop, mug, orders, Story(*hold, "cancelled"))

    [undisturbed] = asked_to_stop(1)
    stops = points(environments.calls_of("shipping", handling("shipping", undisturbed)), every=False)
    ends = set()
    for point, message in zip(stops, asked_to_stop(len(stops)), strict=True):
        order = order_of_message(message)
        sending = asking("shipping", f"/shipments/{order}/dispatch")
        overtake(shop, environments, handling("shipping", message), point, sending, service="shipping")
        shop.settle_all()
        outcome = shop.outcome(order)
        ends.add(told := (outcome["order"][0][0], *outcome["shipment"], *outcome["reservation"]))
        assert told in (("shipped", "dispatched", "dispatched"), ("cancelled", "cancelled", "released")), point
        payment = outcome["payment"][0]
        assert payment["refunded"] == (0 if told[0] == "shipped" else PRICE), point
    assert len(ends) == 2
    counted["overtaken"] += len(stops)


def overtake(
    shop: CrashingShop,
    environments: Environments,
    slow: Callable[[], Any],
    point: Point,
    fast: Callable[[], Any],
    service: str = "orders",
) -> None:
    """Slow work comes to the point and stands still until other work is done, or waits for it; then both end."""
    with environments.held_up(service, slow, point) as standing:
        other = Elsewhere(fast)
        wait_until(lambda: not other.running() or shop.waiting_for_locks())
    standing.result()
    other.result()


def refund_twice(shop: CrashingShop, environments: Environments, long: bool) -> dict[str, int]:
    """What is recorded as refunded, by point: orders is killed there while it records a refund, and told again. It adds
    refunds up, as there may be several of an order."""
    mug, story = shop.open(), Story("orders", "PaymentRefunded", "cancelled")
    [undisturbed] = waiting(shop, mug, 1, story)
    kills = points(environments.calls_of("orders", handling("orders", undisturbed)), long)
    recorded = {}
    for point, message in zip(kills, waiting(shop, mug, len(kills), story), strict=True):
        environments.kill("orders", handling("orders", message), point)
        assert shop.deliver("orders", message) == []
        recorded[str(point)] = shop.outcome(order_of_message(message))["order"][0][2]
    return recorded


def test_control_without_the_inbox_an_effect_that_adds_up_is_there_twice(
    shop: CrashingShop, environments: Environments, long: bool, monkeypatch: pytest.MonkeyPatch, counted: Counter[str]
) -> None:
    assert set(refund_twice(shop, environments, long).values()) == {PRICE}
    monkeypatch.setattr(common_consumer, "first_time", lambda tx, event_id: True)
    recorded = refund_twice(shop, environments, long)
    doubled = [point for point, yen in recorded.items() if yen == 2 * PRICE]
    assert doubled == [point for point in recorded if "COMMIT, dealt with" in point]
    counted["without the inbox, refunds recorded twice"] = len(doubled)


def test_control_without_the_outbox_events_of_committed_orders_are_lost(
    shop: CrashingShop, environments: Environments, long: bool, monkeypatch: pytest.MonkeyPatch, counted: Counter[str]
) -> None:
    """They are sent right after the commit, as many do it; the client tries again, and is told that all is well."""
    monkeypatch.setattr(outbox, "store", lambda connection, events: None)
    monkeypatch.setattr(outbox, "announce", lambda connection, events: list(bus.put(events)))
    mug = shop.open()
    calls = environments.calls_of("orders", placing(mug, "undisturbed"))
    fates = {}
    for number, point in enumerate(points(calls, long)):
        environments.kill("orders", placing(mug, f"key {number}"), point)
        answer = shop.order(mug, f"key {number}")
        assert answer.status == 202, point
        fates[point] = answer.json["order_id"]
    shop.settle_for_good()
    lost = {point: order for point, order in fates.items() if not shop.events_of(order)}
    assert lost
    assert {point.call for point in lost} <= {"COMMIT", "PutEvents"}
    for point, order in lost.items():
        assert shop.outcome(order)["order"] == [("placed", ["placed"], 0)], point  # and nobody will ever move it
    counted["without the outbox, orders forgotten"] = len(lost)
