"""In the ECS design, an order ends as it should wherever orders is killed: between any two of its calls, be they to its
database or to a neighbour, and when one was dealt with but not answered. The sweep finishes what was begun."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from ecs.runtime import calls, journal_rows
from inventory import repository as inventory_repository
from tests.faults import figures
from tests.faults.books import Books
from tests.faults.calling_shop import CallingShop, cancelling, mugs, placing, sweeping
from tests.faults.crashing import IN_STOCK, QUANTITY, Environments, Point, points

PRICE = 1_600


class Ending(NamedTuple):
    """How an order goes that is asked for with that card, of a product of which there are so many."""

    timeline: list[str]
    card: str = "tok_visa"
    on_hand: int = IN_STOCK


ENDINGS = {
    "confirmed": Ending(["placed", "reserved", "confirmed"]),
    "out of stock": Ending(["placed", "rejected"], on_hand=QUANTITY - 1),
    "declined": Ending(["placed", "reserved", "rejected"], card="tok_declined"),
}


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()
    yield counted
    figures.note("crash_of_checkout", **counted)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is made twice because the machine stood still: what is called is the same each time."""
    monkeypatch.setattr(calls, "ATTEMPT_SECONDS", 15)


@pytest.fixture
def shop(callers: Environments) -> CallingShop:
    assert isinstance(callers.shop, CallingShop)
    return callers.shop


def check_settled(shop: CallingShop, books: Books, counted: Counter[str], mug: str, on_hand: int = IN_STOCK) -> None:
    """Everybody agrees; there is nothing left to be done, and never was anything for a bus."""
    books.check({UUID(mug): on_hand})
    books.check_settled()
    assert (shop.journal(), shop.unsent(), shop.bus.types) == ([], 0, [])
    counted["orders"] += len(books.orders)
    sent = Counter((order, subject) for order, told in shop.bus.mails.items() for subject in told)
    counted["mails"] += len(sent)
    counted["mails_sent_twice"] += sent.total() - len(sent)


def finish(shop: CallingShop, counted: Counter[str], kills: int) -> None:
    counted["left_for_the_sweep"] += shop.settle_for_good()
    counted["kills"] += kills


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_order_is_settled_once_wherever_orders_is_killed(
    shop: CallingShop, callers: Environments, books: Books, long: bool, counted: Counter[str], ending: str
) -> None:
    expected_timeline, card, on_hand = ENDINGS[ending]
    mug = shop.open(on_hand)
    request = mugs(mug, card)
    calls = callers.calls_of("orders", placing(request, "undisturbed"))
    undisturbed = shop.place(request, "undisturbed").json["order_id"]  # the answer, once more
    kills = points(calls, long)
    for number, point in enumerate(kills):
        callers.kill("orders", placing(request, f"key {number}"), point)
    finish(shop, counted, len(kills))

    expected = shop.outcome(undisturbed)
    assert expected["order"][0][1] == expected_timeline
    fates = {}
    for number, point in enumerate(kills):
        answer = shop.place(request, f"key {number}")  # the client tries again
        assert answer.status == 201, (point, answer)
        assert [step["status"] for step in answer.json["timeline"]] == expected_timeline, point
        assert shop.place(request, f"key {number}").text == answer.text, point
        fates[point] = answer.json["order_id"]
    for point, order in fates.items():
        assert shop.outcome(order) == expected, point
    assert shop.databases["orders"].count("orders") == len({undisturbed, *fates.values()}) == len(fates) + 1
    check_settled(shop, books, counted, mug, on_hand)


def abandoned(shop: CallingShop, callers: Environments, mug: str, long: bool) -> dict[Point, str]:
    """Orders by the point at which their checkout was killed, which nobody has finished yet."""
    calls = callers.calls_of("orders", placing(mugs(mug), "undisturbed"))
    fates: dict[Point, str] = {}
    for number, point in enumerate(points(calls, long)):
        known = all_orders(shop)
        callers.kill("orders", placing(mugs(mug), f"key {number}"), point)
        for order in all_orders(shop) - known:  # none, before its commit
            fates[point] = order
    return fates


def all_orders(shop: CallingShop) -> set[str]:
    return {str(UUID(bytes=row["order_id"])) for row in shop.databases["orders"].rows("SELECT order_id FROM orders")}


def test_an_order_is_cancelled_and_all_given_back_wherever_its_checkout_was_killed(
    shop: CallingShop, callers: Environments, books: Books, long: bool, counted: Counter[str]
) -> None:
    mug = shop.open()
    fates = abandoned(shop, callers, mug, long)
    for point, order in fates.items():
        assert shop.customer("POST", f"/orders/{order}/cancel").status == 202, point
    finish(shop, counted, len(fates))
    ends = Counter(shop.outcome(order)["order"][0][1][-2] for order in fates.values())
    assert {order: shop.placed_as(order) for order in fates.values()} == dict.fromkeys(fates.values(), "cancelled")
    assert set(ends) == {"placed", "reserved", "cancelling"}, "some before and some after their money was taken"
    check_settled(shop, books, counted, mug)
    assert shop.stock(mug) == (IN_STOCK, QUANTITY), "of the order that nobody disturbed"


def test_an_order_is_confirmed_or_expires_with_all_given_back_wherever_its_checkout_was_killed(
    shop: CallingShop, callers: Environments, books: Books, long: bool, counted: Counter[str]
) -> None:
    mug = shop.open()
    fates = abandoned(shop, callers, mug, long)
    for order in fates.values():
        shop.pass_deadline(order)
    finish(shop, counted, len(fates))
    ends = Counter(shop.placed_as(order) for order in fates.values())
    assert set(ends) == {"confirmed", "expired"}
    check_settled(shop, books, counted, mug)
    assert shop.stock(mug) == (IN_STOCK, QUANTITY * (ends["confirmed"] + 1))


@pytest.mark.parametrize("ending", ["confirmed", "expired"])
def test_a_sweep_that_is_killed_anywhere_is_finished_by_the_next(
    shop: CallingShop, callers: Environments, books: Books, long: bool, counted: Counter[str], ending: str
) -> None:
    mug = shop.open()
    calls = callers.calls_of("orders", placing(mugs(mug), "known"))
    [charging] = [point for point in points(calls, every=False) if point.call.endswith("/charge")]

    def left_behind(key: str) -> str:
        """An order that was charged, by a request that was killed before it heard of that."""
        known = all_orders(shop)
        callers.kill("orders", placing(mugs(mug), key), charging)
        [order] = all_orders(shop) - known
        shop.make_due("orders")
        if ending == "expired":
            shop.pass_deadline(order)
        return order

    undisturbed = left_behind("undisturbed")
    kills = points(callers.calls_of("orders", sweeping()), long)
    finish(shop, counted, 0)
    fates = {}
    for number, point in enumerate(kills):
        fates[point] = left_behind(f"key {number}")
        callers.kill("orders", sweeping(), point)
        if ending == "expired":
            shop.pass_deadline(fates[point])
        finish(shop, counted, 2)
    expected = shop.outcome(undisturbed)
    assert (expected["order"][0][0], expected["payment"][0]["captured"]) == (ending, PRICE)
    for point, order in fates.items():
        assert shop.outcome(order) == expected, point
    check_settled(shop, books, counted, mug)


def test_a_confirmed_order_is_cancelled_once_wherever_the_request_is_killed(
    shop: CallingShop, callers: Environments, books: Books, long: bool, counted: Counter[str]
) -> None:
    mug = shop.open()

    def confirmed(key: str) -> str:
        return str(shop.place(mugs(mug), key).json["order_id"])

    undisturbed = confirmed("undisturbed")
    kills = points(callers.calls_of("orders", cancelling(undisturbed)), long)
    fates = {}
    for number, point in enumerate(kills):
        fates[point] = confirmed(f"key {number}")
        callers.kill("orders", cancelling(fates[point]), point)
    for point, order in fates.items():
        assert shop.customer("POST", f"/orders/{order}/cancel").status == 202, point  # the client tries again
    finish(shop, counted, len(kills))
    expected = shop.outcome(undisturbed)
    assert expected["order"][0][1][-2:] == ["cancelling", "cancelled"]
    for point, order in fates.items():
        assert shop.outcome(order) == expected, point
    check_settled(shop, books, counted, mug)
    assert shop.stock(mug) == (IN_STOCK, 0)


def test_control_without_its_row_in_the_journal_an_order_is_stuck_for_ever(
    shop: CallingShop, callers: Environments, monkeypatch: pytest.MonkeyPatch, counted: Counter[str]
) -> None:
    monkeypatch.setattr(journal_rows, "add", lambda connection, events: None)
    fates = abandoned(shop, callers, shop.open(), long=False)
    shop.settle_for_good()
    stuck = {point: shop.placed_as(order) for point, order in fates.items()}
    assert {"placed", "reserved"} <= set(stuck.values())
    counted["without_journal_orders_stuck"] = sum(status in ("placed", "reserved") for status in stuck.values())


def test_control_without_a_reservation_that_can_be_repeated_stock_is_taken_twice(
    shop: CallingShop, callers: Environments, counted: Counter[str]
) -> None:
    add = inventory_repository.add

    def add_and_never_mind(*arguments: Any) -> bool:
        add(*arguments)
        return True

    shop.start("inventory", lambda: setattr(inventory_repository, "add", add_and_never_mind))
    mug = shop.open()
    fates = abandoned(shop, callers, mug, long=False)
    shop.settle_for_good()
    taken = shop.stock(mug)[1]
    assert taken > QUANTITY * (len(fates) + 1)
    counted["without_idempotence_units_held_too_many"] = taken - QUANTITY * (len(fates) + 1)
