"""In the ECS design, whoever is away: the customer is told to come back, the order is settled or ends in time, and what
was taken for an order that ended goes back."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from common.database import announce_through
from ecs import orders as ecs_orders
from ecs.runtime import calls
from payments.provider import Charge
from payments.sandbox import Sandbox
from tests.faults import figures
from tests.faults.books import Books
from tests.faults.calling_shop import CallingShop, mugs, placing
from tests.faults.crashing import IN_STOCK, QUANTITY, REACHABLE, Environments, Moment, points
from tests.integration.gateway import Context, api_event


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()
    yield counted
    figures.note("neighbours_away", **counted)


@pytest.fixture
def shop(callers: Environments) -> CallingShop:
    assert isinstance(callers.shop, CallingShop)
    return callers.shop


def come_back(shop: CallingShop) -> None:
    """Everybody is there again, and time has passed: nobody remembers who was away."""
    shop.roads.recover()
    shop.start("orders")
    shop.settle_for_good()


def check_settled(shop: CallingShop, books: Books, mug: str) -> None:
    books.check({UUID(mug): IN_STOCK})
    books.check_settled()
    assert (shop.journal(), shop.unsent(), shop.bus.types) == ([], 0, [])


@pytest.mark.parametrize(
    ("neighbour", "how"),
    [("catalog", "away"), ("inventory", "away"), ("inventory", "mute"), ("payments", "away"), ("payments", "mute")],
)
def test_the_customer_is_told_to_come_back_and_then_served_under_the_same_key(
    shop: CallingShop, books: Books, counted: Counter[str], neighbour: str, how: str
) -> None:
    mug = shop.open()
    getattr(shop.roads, how).add(neighbour)
    began = time.monotonic()
    answers = [shop.place(mugs(mug), "k") for _ in range(3)]
    assert {(answer.status, answer.headers["Retry-After"]) for answer in answers} == {(503, "5")}
    assert time.monotonic() - began < 30  # else each would wait for 20
    come_back(shop)
    answer = shop.place(mugs(mug), "k")
    assert (answer.status, answer.json["status"]) == (201, "confirmed")
    assert shop.place(mugs(mug), "k").text == answer.text
    assert shop.databases["orders"].count("orders") == 1
    check_settled(shop, books, mug)
    counted["requests_told_to_come_back"] += len(answers)


def test_an_order_is_settled_though_the_provider_takes_longer_than_orders_waits_for_payments(
    shop: CallingShop, books: Books
) -> None:
    charge = Sandbox.charge

    def slowly(sandbox: Sandbox, key: UUID, amount: int, token: str) -> Charge:
        answer = charge(sandbox, key, amount, token)
        time.sleep(calls.ATTEMPT_SECONDS + 0.3)
        return answer

    shop.start("payments", lambda: setattr(Sandbox, "charge", slowly))
    mug = shop.open()
    answer = shop.place(mugs(mug), "k")
    assert (answer.status, answer.json["status"]) == (201, "confirmed")
    check_settled(shop, books, mug)


@pytest.mark.parametrize(
    ("neighbour", "how"), [("inventory", "away"), ("inventory", "mute"), ("payments", "away"), ("payments", "mute")]
)
def test_an_order_that_nobody_settles_expires_and_gives_back_all_that_it_got(
    shop: CallingShop, books: Books, counted: Counter[str], neighbour: str, how: str
) -> None:
    mug = shop.open()
    getattr(shop.roads, how).add(neighbour)
    assert shop.place(mugs(mug), "k").status == 503
    [row] = shop.databases["orders"].rows("SELECT order_id FROM orders")
    order = str(UUID(bytes=row["order_id"]))
    shop.pass_deadline(order)
    shop.sweep("orders")
    assert (shop.placed_as(order), "OrderExpired" in shop.journal()) == ("expired", True)
    come_back(shop)
    answer = shop.place(mugs(mug), "k")
    assert (answer.status, answer.json["status"]) == (201, "expired")
    check_settled(shop, books, mug)
    assert shop.stock(mug) == (IN_STOCK, 0)
    taken, back = books.captured(UUID(order)), books.refunded(UUID(order))
    assert taken == back == (1_600 if (neighbour, how) == ("payments", "mute") else 0)
    counted["orders_expired"] += 1
    counted["yen_taken_in_silence_and_given_back"] += back


@pytest.mark.parametrize(("neighbour", "how"), [("shipping", "away"), ("shipping", "mute"), ("notifications", "mute")])
def test_an_order_is_confirmed_though_who_has_to_do_with_it_later_is_away(
    shop: CallingShop, books: Books, counted: Counter[str], neighbour: str, how: str
) -> None:
    mug = shop.open()
    getattr(shop.roads, how).add(neighbour)
    answer = shop.place(mugs(mug), "k")
    assert (answer.status, answer.json["status"]) == (201, "confirmed")
    waiting = {"shipping": ["OrderConfirmed"], "notifications": ["ContactGiven", "OrderConfirmed"]}
    assert sorted(shop.journal()) == waiting[neighbour]
    come_back(shop)
    check_settled(shop, books, mug)
    told = Counter(shop.bus.mails[answer.json["order_id"]])
    assert told == {"Your order is confirmed": 1}
    counted["events_told_later"] += len(waiting[neighbour])


@pytest.mark.parametrize("neighbour", ["inventory", "shipping", "payments"])
def test_an_order_is_cancelled_and_all_given_back_though_somebody_is_away_meanwhile(
    shop: CallingShop, books: Books, neighbour: str
) -> None:
    mug = shop.open()
    order = shop.place(mugs(mug), "k").json["order_id"]
    shop.roads.away.add(neighbour)
    answer = shop.customer("POST", f"/orders/{order}/cancel")
    assert (answer.status, answer.json["status"]) == (202, "cancelling")
    come_back(shop)
    assert shop.placed_as(order) == "cancelled"
    check_settled(shop, books, mug)
    assert shop.stock(mug) == (IN_STOCK, 0)


@pytest.mark.parametrize("moment", Moment)
def test_an_order_that_is_cancelled_while_its_stock_is_being_held_is_not_charged_though_payments_was_not_told(
    shop: CallingShop, callers: Environments, books: Books, moment: Moment
) -> None:
    mug = shop.open()
    calls = callers.calls_of("orders", placing(mugs(mug), "undisturbed"))
    [holding] = [point for point in points(calls) if "/reservations/" in point.call and point.moment is moment]
    shop.roads.away.add("payments")
    with callers.held_up("orders", placing(mugs(mug), "k"), holding) as checkout:
        [row] = shop.databases["orders"].rows("SELECT order_id FROM orders WHERE status = 'placed'")
        order = UUID(bytes=row["order_id"])
        assert shop.customer("POST", f"/orders/{order}/cancel").json["status"] == "cancelled"
    answer = checkout.result()
    assert (answer.status, answer.json["status"]) == (201, "cancelled")
    come_back(shop)
    check_settled(shop, books, mug)
    assert (books.captured(order), shop.stock(mug)) == (0, (IN_STOCK, QUANTITY))


@dataclass(frozen=True)
class Impatient(Context):
    """Of 6 s the time to wait for others is what is left but for 4."""

    def get_remaining_time_in_millis(self) -> int:
        return 6_000


def test_who_does_not_answer_is_waited_for_no_longer_than_the_customer_has_time(
    shop: CallingShop, callers: Environments
) -> None:
    mug = shop.open()
    request = api_event("POST", "/orders", mugs(mug), key="k", claims=REACHABLE)

    def place() -> Any:
        announce_through(ecs_orders.journal)
        began = time.monotonic()
        return ecs_orders.overrides.handler(request, Impatient())["statusCode"], time.monotonic() - began

    shop.observed.stuck.add("payments")
    status, took = callers.begin("orders", place).result()
    assert (status, took < 15) == (503, True)  # else it would wait for 20
    assert all(millis < 2_000 for millis in shop.observed.deadlines)
    assert shop.observed.deadlines == sorted(shop.observed.deadlines, reverse=True), "each has less than the one before"
    [row] = shop.databases["orders"].rows("SELECT status FROM orders")
    assert row["status"] == "reserved"
    [row] = shop.databases["orders"].rows(
        "SELECT last_error, TIMESTAMPDIFF(SECOND, NOW(6), available_at) AS due FROM journal WHERE detail_type = %s",
        ("OrderPlaced",),
    )
    assert (row["last_error"], row["due"] <= 5) == ("NeighbourUnavailable", True)


def test_control_without_compensation_an_order_that_expired_keeps_what_it_got(
    shop: CallingShop, books: Books, counted: Counter[str]
) -> None:
    def forget() -> None:
        del ecs_orders.journal._reactions._of["OrderExpired"]

    shop.start("orders", forget)
    mug = shop.open()
    shop.roads.mute.add("payments")
    assert shop.place(mugs(mug), "k").status == 503
    shop.databases["orders"].execute("UPDATE orders SET due_at = NOW(6)")
    shop.sweep("orders")
    shop.roads.recover()
    shop.start("orders", forget)
    shop.settle_for_good()
    books.read()
    [order] = books.orders
    assert books.orders[order]["status"] == "expired"
    assert (shop.stock(mug), books.captured(order), books.refunded(order)) == ((IN_STOCK, QUANTITY), 1_600, 0)
    counted["without_compensation_yen_kept"] = books.captured(order)
