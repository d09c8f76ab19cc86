"""The shop as a state machine: everything that people, queues, clocks and accidents can do to it, in any order."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.faults.books import Books
from tests.faults.rough_bus import Message
from tests.faults.rough_shop import MISHAPS, WELL, RoughShop
from tests.integration.gateway import STAFF, Answer
from tests.integration.whole_shop import NAMES

CONSUMERS = [name for name in NAMES if name != "catalog"]
ADDRESS = {"name": "A. Sato", "line1": "1-2-3 Ginza", "city": "Tokyo", "postal_code": "104-0061", "country": "JP"}
VERIFIED = {"email": "somebody@example.com", "email_verified": "true"}
STAFFED: dict[str, Any] = {"sub": STAFF, "groups": ["staff"]}
ROUNDS = 8
MOST_PRODUCTS = 3
SO_FAR = {
    "placed": [],
    "reserved": ["inventory"],
    "paid": ["inventory", "payments"],
    "confirmed": ["inventory", "payments", "orders"],
    "in shipping's hands": NAMES,
    "being cancelled": NAMES,
    "shipped": NAMES,
}
"""Who has heard all that there was to hear of a first order, one after the other."""


def is_known(*statuses: str) -> Callable[[Any], Any]:
    """A rule for stories in which some order is, or was a moment ago, in one of these states."""
    return precondition(lambda self: any(row["status"] in statuses for row in self.books.orders.values()))


an_order_is_known = precondition(lambda self: bool(self.books.orders))
something_is_queued = precondition(lambda self: bool(self.waiting()))
mishaps = st.runner().flatmap(lambda self: self.MISHAPS)
openings = st.runner().flatmap(lambda self: st.sampled_from(self.OPENINGS))
cards = st.sampled_from(["tok_visa", "tok_visa", "tok_visa", "tok_flaky", "tok_declined"])
products = st.integers(0, MOST_PRODUCTS - 1)
picks = st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True)


def yen(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "JPY"}


@dataclass(eq=False)
class Product:
    name: str
    product_id: UUID


@dataclass
class Refund:
    """What staff asked for. `answer` is the first one that came, if any did."""

    key: str
    body: dict[str, Any]
    answer: Answer | None = None


@dataclass(eq=False)
class Order:
    """What a customer asked for. `order_id` is unknown until there is an answer."""

    name: str
    customer: str
    body: dict[str, Any]
    answer: Answer | None = None
    order_id: UUID | None = None
    refunds: list[Refund] = field(default_factory=list)


class QuietShop(RuleBasedStateMachine):
    """What people and the bus do on any day, without a mishap."""

    MISHAPS = st.just(WELL)
    OPENINGS: Sequence[str] = list(SO_FAR)
    order = Bundle("order")

    def __init__(self, shop: RoughShop, books: Books, count: Counter[str]) -> None:
        super().__init__()
        self.shop, self.books, self.count = shop, books, count
        self.products: list[Product] = []
        self.orders: list[Order] = []
        self.counted: Counter[UUID] = Counter()
        self.newest_first = False
        self.checked = -1
        self.crashes = count["crashes"]
        """As many there were before this story."""
        shop.start_over()
        books.start_over(self.called)
        books.read()
        count["examples"] += 1

    # What people do

    @initialize(
        target=order,
        on_hand=st.integers(2, 6),
        card=cards,
        so_far=openings,
        newest_first=st.booleans(),
    )
    def opens(self, on_hand: int, card: str, so_far: str, newest_first: bool) -> Order:
        """Two products, of the first some units; and an order of one, which some have heard of already. When it comes
        to rest, queues are emptied from the one end or the other."""
        self.newest_first = newest_first
        self._add(100)
        self._add(250)
        self.shop.calm_down(*NAMES)
        self._count_stock(self.products[0], on_hand)
        order = self._order("alice", {0: 1}, card, WELL)
        self.shop.calm_down(*SO_FAR[so_far])
        if so_far == "being cancelled":
            self._cancel(order, "the customer", WELL)
        if so_far == "shipped":
            self._ship(order, "dispatch", WELL)
        return order

    @rule(
        target=order,
        who=st.sampled_from(["alice", "bob"]),
        lines=st.dictionaries(products, st.integers(1, 3), min_size=1, max_size=3),
        card=cards,
        mishap=mishaps,
    )
    def orders_(self, who: str, lines: dict[int, int], card: str, mishap: str) -> Order:
        """`lines`: of which product how many."""
        return self._order(who, lines, card, mishap)

    @an_order_is_known
    @rule(order=order, who=st.sampled_from(["the customer", "staff", "somebody else"]), mishap=mishaps)
    def cancels(self, order: Order, who: str, mishap: str) -> None:
        self._cancel(order, who, mishap)

    @is_known("confirmed", "cancelling")
    @rule(order=order, mishap=mishaps)
    def dispatches(self, order: Order, mishap: str) -> None:
        self._ship(order, "dispatch", mishap)

    @is_known("reserved", "confirmed", "cancelling", "shipped", "delivered", "cancelled")
    @rule(order=order, amount=st.sampled_from([None, 1, 100, 300]), mishap=mishaps)
    def refunds(self, order: Order, amount: int | None, mishap: str) -> None:
        body = {} if amount is None else {"amount": yen(amount)}
        order.refunds.append(Refund(f"{order.name}-refund-{len(order.refunds)}", body))
        self._refund(order, order.refunds[-1], mishap)

    # What the bus and the clock do

    @something_is_queued
    @rule(to=st.integers(0, len(CONSUMERS) - 1), which=picks, twice=st.booleans(), mishap=mishaps)
    def a_batch(self, to: int, which: Sequence[int], twice: bool, mishap: str) -> None:
        waiting = self.waiting()
        self._receive(waiting[to % len(waiting)], which, mishap, twice)

    @something_is_queued
    @rule(newest_first=st.booleans())
    def all_is_delivered(self, newest_first: bool) -> None:
        self.shop.calm_down(*NAMES, newest_first=newest_first)

    @rule(position=st.integers(0, 50))
    def an_old_event_again(self, position: int) -> None:
        if events := self.shop.bus.events:
            event = events[position % len(events)]
            note(f"    {self._tell(Message(event))}")
            self.count["duplicates"] += 1
            self.shop.bus.send(event)

    @rule(
        seconds=st.sampled_from([70, 70, 3600]),
        sweeping=st.sampled_from(["everybody", "everybody", *NAMES]),
        mishap=mishaps,
    )
    def time_passes(self, seconds: int, sweeping: str, mishap: str) -> None:
        self.books.pass_time(seconds)
        for service in NAMES if sweeping == "everybody" else [sweeping]:
            self.shop.sweep(service, mishap)

    @an_order_is_known
    @something_is_queued
    @rule(order=order, which=picks)
    def cancels_while_orders_hears_something(self, order: Order, which: Sequence[int]) -> None:
        self._cancel(order, "the customer", WELL, meanwhile=lambda: self._receive("orders", which))

    @an_order_is_known
    @something_is_queued
    @rule(which=st.integers(0, 9), other=picks)
    def orders_hears_two_things_at_once(self, which: int, other: Sequence[int]) -> None:
        self._receive("orders", [which], meanwhile=lambda: self._receive("orders", other))

    @is_known("confirmed", "cancelling")
    @rule(order=order, which=picks)
    def dispatches_while_shipping_hears_something(self, order: Order, which: Sequence[int]) -> None:
        self._ship(order, "dispatch", WELL, meanwhile=lambda: self._receive("shipping", which))

    # What must hold

    @invariant()
    def promises_hold(self) -> None:
        self.count["steps"] += 1
        if self.shop.invocations == self.checked:
            return  # nothing can have changed
        self.checked = self.shop.invocations
        self.books.check(self.counted)
        self.books.check_announced(self.shop.bus.events)
        self.books.check_mails(self.shop.mails, self.count["crashes"] > self.crashes)
        self._check_refunds()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # else there is a story to tell already
            self.comes_to_rest()

    def comes_to_rest(self) -> None:
        """All is well again for as long as it takes: dead letters are moved back, everything due is swept, everything
        queued is delivered."""
        for passing in range(ROUNDS):
            for queue in self.shop.bus.queues.values():
                self.count["dead letters"] += len(queue.dead)
                queue.redrive()
            self.shop.calm_down(*NAMES, newest_first=self.newest_first)
            unrest = self.books.unrest()
            if not unrest:
                break
            self.books.pass_time(70 if passing < ROUNDS / 2 else 3600)
            for service in NAMES:
                self.shop.sweep(service)
        assert not unrest, f"no rest: {unrest}"
        self.promises_hold()
        self.books.check_settled()
        self.books.check_copies()
        for order in self.orders:
            if order.order_id:
                self.count[str(self.books.orders[order.order_id]["status"])] += 1

    def waiting(self) -> list[str]:
        """Those who have something in their queue."""
        return [service for service in CONSUMERS if self.shop.bus.queue(service).messages]

    def called(self, identifier: UUID) -> str:
        names = {product.product_id: product.name for product in self.products}
        names |= {order.order_id: order.name for order in self.orders if order.order_id}
        return names.get(identifier, "an order that nobody was told of")

    def _add(self, price: int) -> Product:
        name = f"product_{len(self.products)}"
        answer = self.shop.request("catalog", "POST", "/products", {"name": name, "price": yen(price)}, **STAFFED)
        assert answer
        self.products.append(Product(name, UUID(answer.json["product_id"])))
        return self.products[-1]

    def _count_stock(self, product: Product, on_hand: int) -> None:
        path = f"/stock/{product.product_id}"
        answer = self.shop.request("inventory", "PUT", path, {"on_hand": on_hand}, **STAFFED)
        assert answer
        assert answer.status in (200, 404, 409), answer
        self.books.read()
        if answer.status == 200:
            self.counted[product.product_id] = on_hand + self.books.units("dispatched")[product.product_id]
        elif answer.status == 409:
            assert self.books.stock[product.product_id]["reserved"] > on_hand

    def _order(self, who: str, lines: dict[int, int], card: str, mishap: str) -> Order:
        known = [(product, quantity) for product, quantity in lines.items() if product < len(self.products)]
        wanted = [
            {"product_id": str(self.products[product].product_id), "quantity": quantity}
            for product, quantity in known or [(0, 1)]
        ]
        body = {"lines": wanted, "payment_method": card, "shipping_address": ADDRESS}
        order = Order(f"order_{len(self.orders)}", who, body)
        self.orders.append(order)
        self._place(order, mishap)
        return order

    def _place(self, order: Order, mishap: str) -> None:
        caller = {"sub": order.customer, "claims": VERIFIED, "key": order.name}
        answer = self.shop.request("orders", "POST", "/orders", order.body, mishap, **caller)
        note(f"    {order.name}: {answer.status if answer else 'no answer'}")
        if answer and answer.status == 202:
            first = order.answer = order.answer or answer
            assert answer.text == first.text, f"{order.name} was answered in two ways"
            order.order_id = UUID(answer.json["order_id"])
        elif answer:
            assert answer.status == 422, answer
            assert order.answer is None, f"{order.name} was accepted, and is refused"

    def _cancel(self, order: Order, who: str, mishap: str, **request: Any) -> None:
        if order.order_id is None:
            return
        callers = {"staff": STAFFED, "somebody else": {"sub": "mallory"}, "the customer": {"sub": order.customer}}
        path = f"/orders/{order.order_id}/cancel"
        answer = self.shop.request("orders", "POST", path, mishap=mishap, **callers[who], **request)
        note(f"    {order.name}: {answer.status if answer else 'no answer'}")
        if answer:
            expected = {404} if who == "somebody else" else {202, 409}
            assert answer.status in expected, answer
            if answer.status == 202:
                assert answer.json["status"] in ("cancelled", "cancelling"), answer

    def _ship(self, order: Order, step: str, mishap: str, **request: Any) -> None:
        if order.order_id:
            path = f"/shipments/{order.order_id}/{step}"
            answer = self.shop.request("shipping", "POST", path, mishap=mishap, **STAFFED, **request)
            note(f"    {order.name}: {answer.status if answer else 'no answer'}")
            assert not answer or answer.status in (200, 404, 409), answer

    def _refund(self, order: Order, refund: Refund, mishap: str) -> None:
        if order.order_id is None:
            return
        path = f"/payments/{order.order_id}/refund"
        answer = self.shop.request("payments", "POST", path, refund.body, mishap, key=refund.key, **STAFFED)
        note(f"    {order.name}: {answer.status if answer else 'no answer'}")
        if answer and answer.status == 200:
            first = refund.answer = refund.answer or answer
            assert answer.text == first.text, f"a refund of {order.name} was answered in two ways"
        elif answer:
            assert answer.status in (404, 409, 503), answer
            assert refund.answer is None, f"a refund of {order.name} was accepted, and is refused"

    def _check_refunds(self) -> None:
        for order in self.orders:
            if order.order_id:
                asked, accepted = len(order.refunds), sum(refund.answer is not None for refund in order.refunds)
                done = len(self.books.by_staff(order.order_id))
                assert accepted <= done <= asked, f"{order.name}: {done} refunds, {asked} asked, {accepted} accepted"

    def _receive(
        self, service: str, which: Sequence[int], mishap: str = WELL, twice: bool = False, **request: Any
    ) -> None:
        batch, back = self.shop.receive(service, which, mishap, twice, **request)
        if batch:
            note(f"    {service} gets {', '.join(map(self._tell, batch))}")
        if back:
            note(f"    and gives back {', '.join(map(self._tell, back))}")

    def _tell(self, message: Message) -> str:
        subject = message.data.get("order_id") or message.data.get("product_id")
        return f"{message.detail_type} of {self.called(UUID(subject))}"


class TroubledShop(QuietShop):
    """All that can happen."""

    MISHAPS = st.one_of(st.just(WELL), st.just(WELL), st.sampled_from(MISHAPS))

    @rule(price=st.sampled_from([100, 250]))
    def adds_a_product(self, price: int) -> None:
        if len(self.products) < MOST_PRODUCTS:
            self._add(price)

    @rule(product=products, on_hand=st.integers(0, 5))
    def counts_stock(self, product: int, on_hand: int) -> None:
        self._count_stock(self.products[product % len(self.products)], on_hand)

    @rule(product=products, price=st.sampled_from([100, 250, 400]), mishap=mishaps)
    def changes_the_price(self, product: int, price: int, mishap: str) -> None:
        path = f"/products/{self.products[product % len(self.products)].product_id}"
        self.shop.request("catalog", "PATCH", path, {"price": yen(price)}, mishap, **STAFFED)

    @precondition(lambda self: bool(self.orders))
    @rule(order=QuietShop.order, mishap=mishaps)
    def asks_again(self, order: Order, mishap: str) -> None:
        self._place(order, mishap)

    @is_known("confirmed", "cancelling", "shipped")
    @rule(order=QuietShop.order, mishap=mishaps)
    def delivers(self, order: Order, mishap: str) -> None:
        self._ship(order, "deliver", mishap)

    @precondition(lambda self: any(order.refunds for order in self.orders))
    @rule(order=QuietShop.order, mishap=mishaps)
    def refunds_again(self, order: Order, mishap: str) -> None:
        if order.refunds:
            self._refund(order, order.refunds[-1], mishap)

    @something_is_queued
    @rule(which=picks)
    def a_batch_for_each(self, which: Sequence[int]) -> None:
        for service in CONSUMERS:
            self._receive(service, which)
