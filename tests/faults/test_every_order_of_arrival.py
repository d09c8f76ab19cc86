"""What may overtake what, told one by one: each story ends with all agreeing on the order, its money and its stock."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from localcloud.mariadb import Server
from tests.faults.books import Books
from tests.faults.rough_shop import WELL, RoughShop
from tests.integration.gateway import STAFF
from tests.integration.whole_shop import NAMES

ADDRESS = {"name": "A. Sato", "line1": "1-2-3 Ginza", "city": "Tokyo", "postal_code": "104-0061", "country": "JP"}
VERIFIED = {"claims": {"email": "alice@example.com", "email_verified": "true"}}
STAFFED: dict[str, Any] = {"sub": STAFF, "groups": ["staff"]}
PRICE, ON_HAND = 100, 3
BEFORE_SHIPPING = ("inventory", "payments", "orders")


class Story:
    """One order of one mug, placed and heard of by nobody yet."""

    def __init__(self, shop: RoughShop, books: Books) -> None:
        self.shop, self.books = shop, books
        product = {"name": "Mug", "price": {"amount": PRICE, "currency": "JPY"}}
        self.product_id = self._answer("catalog", "POST", "/products", 201, product, **STAFFED)["product_id"]
        self.all_arrives()
        self._answer("inventory", "PUT", f"/stock/{self.product_id}", 200, {"on_hand": ON_HAND}, **STAFFED)
        body = {
            "lines": [{"product_id": self.product_id, "quantity": 1}],
            "payment_method": "tok_visa",
            "shipping_address": ADDRESS,
        }
        self.order_id = self._answer("orders", "POST", "/orders", 202, body, key="one", **VERIFIED)["order_id"]

    def arrives(self, service: str, *detail_types: str, mishap: str = WELL) -> None:
        """The service gets these, in this order, each in a batch of its own; what else is queued for it waits."""
        for detail_type in detail_types:
            messages = self.shop.bus.queue(service).messages
            [position] = [n for n, message in enumerate(messages) if message.detail_type == detail_type][:1]
            self.shop.receive(service, [position], mishap)

    def all_arrives(self, *services: str) -> None:
        self.shop.calm_down(*(services or NAMES))

    def happens_again(self, detail_type: str) -> None:
        """The bus sends everybody an event that they had long ago."""
        [event] = [event for event in self.shop.bus.events if event["detail-type"] == detail_type][:1]
        self.shop.bus.send(event)

    def cancel(self, status: int = 202, **request: Any) -> str:
        return str(self._answer("orders", "POST", f"/orders/{self.order_id}/cancel", status, **request).get("status"))

    def dispatch(self, status: int = 200, **request: Any) -> None:
        self._answer("shipping", "POST", f"/shipments/{self.order_id}/dispatch", status, **STAFFED, **request)

    def deliver(self) -> None:
        self._answer("shipping", "POST", f"/shipments/{self.order_id}/deliver", 200, **STAFFED)

    def refund(self, amount: int | None = None, status: int = 200) -> None:
        body = {} if amount is None else {"amount": {"amount": amount, "currency": "JPY"}}
        self._answer("payments", "POST", f"/payments/{self.order_id}/refund", status, body, key=f"{amount}", **STAFFED)

    def passes(self, seconds: int, *sweeping: str) -> None:
        self.books.pass_time(seconds)
        for service in sweeping:
            self.shop.sweep(service)

    def ends(self) -> tuple[str, int, int, int]:
        """When all has arrived: the order's status, what the provider captured and gave back, and how many are left."""
        self.all_arrives()
        order_id = UUID(self.order_id)
        self.books.check({UUID(self.product_id): ON_HAND})
        self.books.check_announced(self.shop.bus.events)
        self.books.check_settled()
        self.books.check_copies()
        assert self.books.unrest() == []
        stock, status = self.books.stock[UUID(self.product_id)], self.books.orders[order_id]["status"]
        return (
            status,
            self.books.captured(order_id),
            self.books.refunded(order_id),
            stock["on_hand"] - stock["reserved"],
        )

    def _answer(self, service: str, method: str, path: str, status: int, body: Any = None, **request: Any) -> Any:
        answer = self.shop.request(service, method, path, body, **request)
        assert answer is not None
        assert answer.status == status, answer
        return answer.json


@pytest.fixture
def story(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    books = Books(server)
    books.start_over(str)
    shop = RoughShop(server, monkeypatch, lambda what: None)
    yield Story(shop, books)
    shop.end()
    books.close()


NOTHING_SOLD = {
    "never charged": ("cancelled", 0, 0, ON_HAND),
    "given back": ("cancelled", PRICE, PRICE, ON_HAND),
    "expired": ("expired", PRICE, PRICE, ON_HAND),
    "expired, never charged": ("expired", 0, 0, ON_HAND),
}
SOLD = ("confirmed", PRICE, 0, ON_HAND - 1)


def test_a_cancellation_that_comes_before_the_order_leaves_nothing_to_reserve_or_charge(story: Story) -> None:
    assert story.cancel() == "cancelled"
    story.arrives("inventory", "OrderCancelled", "OrderPlaced")
    story.arrives("payments", "OrderCancelled", "OrderPlaced")
    assert story.ends() == NOTHING_SOLD["never charged"]


def test_a_cancellation_that_overtakes_the_reservation_at_payments_leaves_nothing_to_charge(story: Story) -> None:
    story.all_arrives("inventory")
    assert story.cancel() == "cancelled"
    story.arrives("payments", "OrderCancelled", "StockReserved", "OrderPlaced")
    assert story.ends() == NOTHING_SOLD["never charged"]


def test_a_request_to_cancel_that_comes_before_the_confirmation_leaves_nothing_to_ship(story: Story) -> None:
    story.all_arrives(*BEFORE_SHIPPING)
    assert story.cancel() == "cancelling"
    story.arrives("shipping", "CancellationRequested", "OrderConfirmed")
    story.dispatch(409)
    assert story.ends() == NOTHING_SOLD["given back"]


def test_a_capture_after_the_cancellation_is_given_back(story: Story) -> None:
    story.all_arrives("inventory", "payments")
    assert story.cancel() == "cancelled"
    story.arrives("orders", "PaymentCaptured", "StockReserved")
    assert story.ends() == NOTHING_SOLD["given back"]


@pytest.mark.parametrize("mishap", ["killed before commit 3", "the provider's answers are lost"])
def test_a_charge_of_which_we_never_learned_is_given_back_when_the_order_is_cancelled(
    story: Story, mishap: str
) -> None:
    """Commits: the attempt's, the provider's own, the outcome's."""
    story.all_arrives("inventory")
    story.arrives("payments", "OrderPlaced")
    story.arrives("payments", "StockReserved", mishap=mishap)
    story.books.read()
    order_id = UUID(story.order_id)
    assert (story.books.captured(order_id), story.books.payments[order_id]["captured"]) == (PRICE, 0)
    assert story.cancel() == "cancelled"
    story.arrives("payments", "OrderCancelled", "StockReserved")
    assert story.ends() == NOTHING_SOLD["given back"]


def test_an_order_that_expires_first_is_not_confirmed_and_its_money_goes_back(story: Story) -> None:
    story.all_arrives("inventory", "payments")
    story.passes(3600, "orders")
    story.arrives("orders", "PaymentCaptured")
    assert story.ends() == NOTHING_SOLD["expired"]


def test_an_order_that_is_confirmed_first_does_not_expire(story: Story) -> None:
    story.all_arrives(*BEFORE_SHIPPING)
    story.passes(3600, "orders")
    assert story.ends() == SOLD


def test_an_order_of_which_nobody_ever_heard_expires(story: Story) -> None:
    story.passes(3600, "orders")
    assert story.ends() == NOTHING_SOLD["expired, never charged"]


def test_a_cancellation_while_the_order_is_being_confirmed_asks_shipping(story: Story) -> None:
    story.all_arrives("inventory", "payments")
    assert story.cancel(meanwhile=lambda: story.arrives("orders", "PaymentCaptured")) == "cancelling"
    assert story.ends() == NOTHING_SOLD["given back"]


def test_a_dispatch_before_the_cancellation_wins(story: Story) -> None:
    story.all_arrives()
    assert story.cancel() == "cancelling"
    story.dispatch()
    assert story.ends() == ("shipped", PRICE, 0, ON_HAND - 1)
    story.cancel(409)


def test_a_cancellation_before_the_dispatch_wins(story: Story) -> None:
    story.all_arrives()
    assert story.cancel() == "cancelling"
    story.all_arrives("shipping")
    story.dispatch(409)
    assert story.ends() == NOTHING_SOLD["given back"]


def test_a_cancellation_within_the_dispatch_wins_and_the_dispatch_is_refused(story: Story) -> None:
    story.all_arrives()
    assert story.cancel() == "cancelling"
    story.dispatch(409, meanwhile=lambda: story.arrives("shipping", "CancellationRequested"))
    assert story.ends() == NOTHING_SOLD["given back"]


def test_a_delivery_that_overtakes_the_dispatch_goes_through_it(story: Story) -> None:
    story.all_arrives()
    story.dispatch()
    story.deliver()
    story.arrives("orders", "ShipmentDelivered", "ShipmentDispatched")
    assert story.ends() == ("delivered", PRICE, 0, ON_HAND - 1)


def test_a_question_that_shipping_never_answers_is_asked_again_every_minute(story: Story) -> None:
    story.all_arrives()
    assert story.cancel() == "cancelling"
    queue = story.shop.bus.queue("shipping")
    for asked in range(1, 4):
        assert [message.detail_type for message in queue.messages] == ["CancellationRequested"] * asked
        story.passes(70, "orders")
    assert story.ends() == NOTHING_SOLD["given back"]


@pytest.mark.parametrize(
    "again", ["OrderPlaced", "StockReserved", "PaymentCaptured", "OrderConfirmed", "CancellationRequested"]
)
def test_what_comes_again_days_after_a_cancellation_changes_nothing(story: Story, again: str) -> None:
    story.all_arrives()
    story.cancel()
    assert story.ends() == NOTHING_SOLD["given back"]
    story.passes(10 * 86_400, *NAMES)
    mails = story.shop.mails.copy()
    story.happens_again(again)
    assert story.ends() == NOTHING_SOLD["given back"]
    assert story.shop.mails == mails


@pytest.mark.parametrize("again", ["PaymentCaptured", "OrderConfirmed", "ShipmentDispatched", "ShipmentDelivered"])
def test_what_comes_again_days_after_a_delivery_changes_nothing(story: Story, again: str) -> None:
    story.all_arrives()
    story.dispatch()
    story.deliver()
    assert story.ends() == ("delivered", PRICE, 0, ON_HAND - 1)
    story.passes(10 * 86_400, *NAMES)
    mails = story.shop.mails.copy()
    story.happens_again(again)
    assert story.ends() == ("delivered", PRICE, 0, ON_HAND - 1)
    assert story.shop.mails == mails


def test_a_refund_before_there_is_a_payment_is_refused(story: Story) -> None:
    story.refund(status=404)
    story.arrives("payments", "OrderPlaced")
    story.refund(status=409)
    assert story.ends() == SOLD


def test_a_part_given_back_by_staff_is_not_given_back_again_when_the_order_is_cancelled(story: Story) -> None:
    story.all_arrives()
    story.refund(30)
    story.cancel()
    story.refund(20)
    assert story.ends() == NOTHING_SOLD["given back"]
    story.refund(1, status=409)


@pytest.mark.parametrize("state", ["reserved", "confirmed", "shipped", "delivered"])
def test_a_refund_leaves_the_orders_status_as_it_is(story: Story, state: str) -> None:
    story.all_arrives(*(("inventory", "payments") if state == "reserved" else NAMES))
    if state in ("shipped", "delivered"):
        story.dispatch()
    if state == "delivered":
        story.deliver()
    story.refund(40)
    story.refund()
    story.refund(1, status=409)
    status = "confirmed" if state == "reserved" else state
    assert story.ends() == (status, PRICE, PRICE, ON_HAND - 1)


def test_a_refund_of_a_cancelled_order_finds_nothing_left(story: Story) -> None:
    story.all_arrives()
    story.cancel()
    assert story.ends() == NOTHING_SOLD["given back"]
    story.refund(status=409)
