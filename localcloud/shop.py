"""Something to sell in the sample shop: products and stock, put there through the API by staff."""

import time
from typing import Any, NamedTuple
from urllib.parse import quote

from localcloud.api import Api, UnexpectedAnswer


class Product(NamedTuple):
    name: str
    price: int
    on_hand: int
    most: int = 1_000_000_000
    """Of what an order is played that finds too few: fewer than it asks for."""


PRODUCTS = (
    Product("Kumiki puzzle, six pieces", 3_200, 40),
    Product("Hinoki tray", 5_800, 25),
    Product("Tea bowl, ash glaze", 4_500, 30),
    Product("Tenugui towel, indigo", 1_200, 80),
    Product("Cedar incense", 900, 120),
    Product("Shoji lamp", 24_800, 3, most=499),
)


def fill(staff: Api) -> None:
    """Add the products that are missing, and stock where it runs low; take away what is too much of it."""
    known = {product: found["product_id"] for product in PRODUCTS if (found := find(staff, product.name))}
    added = {
        product: staff.expect(
            201,
            "POST",
            "/products",
            {"name": product.name, "price": {"amount": product.price, "currency": "JPY"}},
        )["product_id"]
        for product in PRODUCTS
        if product not in known
    }
    for product, product_id in added.items():
        _put_stock(staff, product_id, product.on_hand)
    for product, product_id in known.items():
        stock = staff.get(f"/stock/{product_id}")
        if not product.on_hand // 2 <= stock["available"] <= product.most:
            _put_stock(staff, product_id, product.on_hand + stock["reserved"])


def find(anyone: Api, name: str) -> Any:
    """The product of that name, or None. More may be sold than a page of the list has."""
    found = anyone.get(f"/products?limit=100&q={quote(name)}")["items"]
    return next((product for product in found if product["name"] == name), None)


def _put_stock(staff: Api, product_id: str, on_hand: int) -> None:
    """A new product reaches inventory within seconds, or when its event is swept up, a minute later: its stock is 404
    until then. Raises UnexpectedAnswer."""
    deadline = time.monotonic() + 90
    while True:
        status, answer = staff.request("PUT", f"/stock/{product_id}", {"on_hand": on_hand})
        if status == 200:
            return
        if status != 404 or time.monotonic() > deadline:
            raise UnexpectedAnswer(f"PUT /stock/{product_id} answered {status}: {answer}")
        time.sleep(0.1)
