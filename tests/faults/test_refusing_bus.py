"""No event is lost when the bus is throttled, refuses a part, or does not answer."""

from collections import Counter
from collections.abc import Iterator

import pytest

from common.event_bridge import Refused
from common.outbox import HOPELESS_ATTEMPTS
from common.values import uuid7
from orders import api
from tests.faults import figures
from tests.faults.crashing import IN_STOCK, QUANTITY, CrashingShop, Environments
from tests.faults.http_bus import Silence
from tests.integration.environments import Elsewhere
from tests.integration.gateway import ALICE, BOB, ask, event
from tests.integration.orders.shop import order_of

THROTTLED = Refused("ThrottlingException")
CONFIRMED = [("confirmed", ["placed", "reserved", "confirmed"], 0)]


@pytest.fixture
def shop(environments: Environments) -> CrashingShop:
    return environments.shop


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()
    yield counted
    figures.note("refusing_bus", **counted)


def outbox(shop: CrashingShop, service: str) -> list[tuple[str, int, bool]]:
    """Detail-type, attempts counted, whether it is parked; of each row."""
    rows = shop.databases[service].rows("SELECT detail_type, attempts, parked_at FROM outbox ORDER BY event_id")
    return [(row["detail_type"], row["attempts"], row["parked_at"] is not None) for row in rows]


def wait_and_sweep(shop: CrashingShop, service: str) -> None:
    shop.make_due(service)
    shop.sweep(service)


def test_throttling_parks_nothing_however_long_it_lasts(shop: CrashingShop, counted: Counter[str]) -> None:
    mug = shop.open()
    shop.bus.refuse("ThrottlingException")
    order = shop.order(mug, "key").json["order_id"]
    for _ in range(HOPELESS_ATTEMPTS + 5):
        wait_and_sweep(shop, "orders")
    assert outbox(shop, "orders") == [("OrderPlaced", 0, False), ("ContactGiven", 0, False)]
    assert shop.events_of(order) == {}
    shop.bus.recover()
    wait_and_sweep(shop, "orders")
    assert (shop.unsent(), shop.events_of(order)) == (0, {"OrderPlaced": 1, "ContactGiven": 1})
    shop.settle_for_good()
    assert shop.outcome(order)["order"] == CONFIRMED
    counted["sweeps_throttled"] = HOPELESS_ATTEMPTS + 5


def test_a_call_that_is_throttled_as_a_whole_is_made_again_later(shop: CrashingShop) -> None:
    mug = shop.open()
    shop.bus.fail(THROTTLED)
    order = shop.order(mug, "key").json["order_id"]
    wait_and_sweep(shop, "orders")
    assert outbox(shop, "orders") == [("OrderPlaced", 0, False), ("ContactGiven", 0, False)]
    shop.bus.recover()
    shop.settle_for_good()
    assert (shop.outcome(order)["order"], shop.unsent(), shop.unreceived()) == (CONFIRMED, 0, [])


def test_of_a_call_that_fails_in_part_only_that_part_is_sent_again(shop: CrashingShop, counted: Counter[str]) -> None:
    mug = shop.open()
    orders = [str(uuid7()) for _ in range(10)]
    lines = [{"product_id": mug, "quantity": QUANTITY}]
    shop.bus.refuse("InternalFailure", lambda entry: any(order in entry["Detail"] for order in orders[2:5]))
    placed = [event("OrderPlaced", {"order_id": order, "lines": lines}) for order in orders]
    assert shop.deliver("inventory", *placed) == []
    assert outbox(shop, "inventory") == [("StockReserved", 0, False)] * 3

    shop.bus.refuse("MalformedDetail", lambda entry: orders[4] in entry["Detail"])
    wait_and_sweep(shop, "inventory")
    assert outbox(shop, "inventory") == [("StockReserved", 1, False)], "this one may be to blame"

    shop.bus.recover()
    wait_and_sweep(shop, "inventory")
    assert shop.unsent() == 0
    said = [detail["data"]["order_id"] for detail in shop.bus.details("StockReserved")]
    assert sorted(said) == sorted(orders), "each once"
    counted["entries_refused_and_sent_later"] = 4


def test_a_bus_that_does_not_answer_delays_a_request_but_no_event_is_lost_or_has_two_effects(
    shop: CrashingShop, environments: Environments, counted: Counter[str]
) -> None:
    """It took the events of one customer, and not those of another; both requests wait for it at the same time. Whoever
    comes next to the same environments does not wait for it as well."""
    mug = shop.open()

    def waiting_for_the_bus(customer: str) -> Elsewhere[str]:
        def placed(key: str) -> str:
            answer = ask(api.handler, "POST", "/orders", order_of((mug, QUANTITY)), key=key, sub=customer)
            assert answer.status == 202
            return str(answer.json["order_id"])

        def place() -> str:
            first = placed("key")
            placed("next key")
            return first

        return environments.begin("orders", place)

    silence = {ALICE: Silence.DEAF, BOB: Silence.MUTE}
    shop.bus.fall_silent(lambda entry: next(kind for customer, kind in silence.items() if customer in entry["Detail"]))
    environments.calls.listen()
    requests = [waiting_for_the_bus(customer) for customer in silence]
    unheard, heard = [request.result() for request in requests]
    asked = environments.calls.made.count("PutEvents")
    assert asked == 2 * len(silence), "twice for each one's first order, and not for the next"
    shop.bus.recover()
    left = [("ContactGiven", 0, False), ("OrderPlaced", 0, False)]
    assert sorted(outbox(shop, "orders")) == sorted(left * 4), "the requests' rows may lie between one another"
    assert (shop.events_of(unheard), shop.events_of(heard)["OrderPlaced"]) == ({}, 1)

    shop.settle_for_good()
    assert shop.outcome(unheard) == shop.outcome(heard)
    assert shop.outcome(heard)["order"] == CONFIRMED
    assert shop.stock(mug) == (IN_STOCK, 4 * QUANTITY)
    assert (shop.unsent(), shop.unreceived()) == (0, [])
    copies = [detail["id"] for detail in shop.bus.details("OrderPlaced") if detail["data"]["order_id"] == heard]
    assert len(copies) > len(set(copies)) == 1, "sent more than once, and the same event each time"
    counted["copies_of_an_event_that_the_bus_took_in_silence"] = len(copies)
