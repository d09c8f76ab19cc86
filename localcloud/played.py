"""Orders, played through the API as customers and staff would, and told as they happen."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from localcloud.api import Api
from localcloud.shop import find

ADDRESS = {
    "name": "Alice Aoki",
    "line1": "1-2-3 Marunouchi",
    "city": "Chiyoda-ku",
    "region": "Tokyo",
    "postal_code": "100-0005",
    "country": "JP",
}
SETTLED = ("confirmed", "rejected", "cancelled", "expired")
BEHIND = {
    "placed": "orders",
    "reserved": "inventory",
    "confirmed": "payments",
    "shipped": "shipping",
    "delivered": "shipping",
    "cancelling": "orders",
    "cancelled": "shipping",
}
"""By status, the service whose answer led to it."""
PATIENCE_SECONDS = 120  # the deadline of an order in the local cloud, and the sweep that would end it then


class UnexpectedEnd(Exception):
    """An order does not come to the status that it should have, or not within a long while."""


def play(alice: Api, bob: Api, staff: Api, *, accepted: int = 202) -> None:
    """`accepted` is the status with which an order is taken. Raises UnexpectedAnswer and UnexpectedEnd."""
    print("\nalice looks around:")
    for product in alice.get("/products")["items"]:
        print(f"  {product['name']:<32}{_money(product['price']):>10}")
    tray, bowl, lamp = (find(alice, name) for name in ("Hinoki tray", "Tea bowl, ash glaze", "Shoji lamp"))

    order = Story.begin(accepted, alice, "alice", [(tray, 1), (bowl, 2)], "tok_visa")
    order.until("confirmed")
    for product in (tray, bowl):
        stock = alice.get(f"/stock/{product['product_id']}")
        print(f"  stock of {product['name']}: {stock['on_hand']} on hand, {stock['reserved']} reserved")
    order.tell_payment()
    print("  staff hand the parcel over, and it arrives:")
    for step, status in (("dispatch", "shipped"), ("deliver", "delivered")):
        order.eventually(staff, "POST", f"/shipments/{order.order_id}/{step}")
        order.until(status)

    Story.begin(accepted, alice, "alice", [(lamp, 500)], "tok_visa").until("rejected")
    Story.begin(accepted, bob, "bob", [(bowl, 1)], "tok_declined").until("rejected")

    order = Story.begin(accepted, bob, "bob", [(bowl, 1)], "tok_visa")
    order.until("confirmed")
    print("  bob changes his mind:")
    bob.expect(202, "POST", f"/orders/{order.order_id}/cancel")
    order.until("cancelled")
    order.tell_payment("refunded")


@dataclass
class Story:
    """An order, told as its timeline grows."""

    customer: Api
    order_id: str
    start: float
    told: int = field(default=0)

    @classmethod
    def begin(cls, accepted: int, customer: Api, name: str, lines: list[tuple[Any, int]], card: str) -> "Story":
        wanted = ", ".join(f"{quantity} × {product['name']}" for product, quantity in lines)
        print(f"\n{name} orders {wanted}, paying with {card}:")
        body = {
            "lines": [{"product_id": product["product_id"], "quantity": quantity} for product, quantity in lines],
            "payment_method": card,
            "shipping_address": ADDRESS,
        }
        start, key = time.monotonic(), str(uuid.uuid4())
        order_id = customer.expect(accepted, "POST", "/orders", body, **{"Idempotency-Key": key})["order_id"]
        return cls(customer, order_id, start)

    def until(self, status: str) -> None:
        """Tell what happens until the order has that status. Raises UnexpectedEnd."""
        while True:
            order = self.customer.get(f"/orders/{self.order_id}")
            for entry in order["timeline"][self.told :]:
                reason = f" ({entry['reason']})" if entry["reason"] else ""
                # Not told by the position: a declined payment may overtake the reservation.
                service = BEHIND.get(entry["status"]) or ("inventory" if "out of stock" in reason else "payments")
                print(f"  {self._seconds():6.2f} s  {entry['status']:<10} by {service}{reason}", flush=True)
                self.told += 1
            if order["status"] == status:
                return
            if (order["status"] in SETTLED and order["status"] != "confirmed") or self._seconds() > PATIENCE_SECONDS:
                raise UnexpectedEnd(f"order {self.order_id} is {order['status']} and not {status}")
            time.sleep(0.05)

    def eventually(self, caller: Api, method: str, path: str) -> Any:
        """What comes of a call that may be too early for the service that answers it: until then it says 404 or 409.

        Raises UnexpectedEnd.
        """
        while True:
            status, answer = caller.request(method, path)
            if status == 200:
                return answer
            if status not in (404, 409) or self._seconds() > PATIENCE_SECONDS:
                raise UnexpectedEnd(f"{method} {path} answered {status}: {answer}")
            time.sleep(0.05)

    def tell_payment(self, status: str = "captured") -> None:
        """Raises UnexpectedEnd when it does not come to that status."""
        while (payment := self.eventually(self.customer, "GET", f"/payments/{self.order_id}"))["status"] != status:
            if self._seconds() > PATIENCE_SECONDS:
                raise UnexpectedEnd(f"the payment of order {self.order_id} is {payment['status']} and not {status}")
            time.sleep(0.05)
        print(f"  payment: {status}, {_money(payment[status])}")

    def _seconds(self) -> float:
        return time.monotonic() - self.start


def _money(money: Any) -> str:
    return f"¥{money['amount']:,}"
