"""What the tests do in the shop again and again."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from localcloud.api import Api
from localcloud.played import ADDRESS, SETTLED
from tests.e2e.waiting import eventually

_HTTP = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=40), maxsize=50, retries=False)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def send(api: Api, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
    """One call with exactly these bytes; underscores in names of headers become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if api.token:
        named.setdefault("Authorization", f"Bearer {api.token}")
    answer = _HTTP.request(method, api.url + path, body=body, headers=named)
    return Answer(answer.status, answer.headers, answer.data)


def request(lines: Mapping[str, int], card: str = "tok_visa", **changes: Any) -> dict[str, Any]:
    """The body of an order of so many of each product."""
    wanted = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines.items()]
    return {"lines": wanted, "payment_method": card, "shipping_address": ADDRESS, **changes}


def new_key() -> str:
    return str(uuid.uuid4())


def place(customer: Api, lines: Mapping[str, int], card: str = "tok_visa") -> str:
    """Place an order, for products that may be too new for orders to know them. Returns its identifier."""
    key, body = new_key(), json.dumps(request(lines, card))

    def accepted() -> Answer | None:
        answer = send(customer, "POST", "/orders", body, Idempotency_Key=key)
        if answer.status == 422 or (answer.status == 503 and "Retry-After" in answer.headers):
            return None  # not known yet, or not settled yet: to be asked again, under the same key
        assert answer.status in (201, 202), answer
        return answer

    order_id: str = eventually(accepted).json["order_id"]
    return order_id


def settled(customer: Api, order_id: str, seconds: float = 90) -> Any:
    """The order once it is confirmed or rejected."""

    def order() -> Any:
        found = customer.get(f"/orders/{order_id}")
        return found if found["status"] in SETTLED else None

    return eventually(order, seconds)


def statuses(order: Any) -> list[str]:
    return [step["status"] for step in order["timeline"]]


@dataclass(frozen=True)
class Shop:
    staff: Api

    def sell(self, on_hand: int, price: int = 1_000, name: str = "Chopsticks", description: str = "") -> str:
        """Add a product and put it in stock. Returns its identifier."""
        product = {"name": name, "description": description, "price": {"amount": price, "currency": "JPY"}}
        product_id: str = self.staff.expect(201, "POST", "/products", product)["product_id"]
        eventually(lambda: self.staff.request("PUT", f"/stock/{product_id}", {"on_hand": on_hand})[0] == 200)
        return product_id

    def stock(self, product_id: str) -> tuple[int, int]:
        """On hand, reserved."""
        stock = self.staff.get(f"/stock/{product_id}")
        assert stock["available"] == stock["on_hand"] - stock["reserved"]
        return stock["on_hand"], stock["reserved"]

    def payment(self, order_id: str) -> tuple[str, int, int]:
        """Status, captured, refunded; once payments has heard of the order."""

        def known() -> Any:
            status, payment = self.staff.request("GET", f"/payments/{order_id}")
            return payment if status == 200 else None

        payment = eventually(known)
        return payment["status"], payment["captured"]["amount"], payment["refunded"]["amount"]

    def shipment(self, order_id: str) -> tuple[str, str | None]:
        """Status, tracking number; once shipping has heard of the order."""

        def known() -> Any:
            status, shipment = self.staff.request("GET", f"/shipments/{order_id}")
            return shipment if status == 200 else None

        shipment = eventually(known)
        return shipment["status"], shipment["tracking_number"]
