"""Catalog's HTTP routes."""

import re
from typing import Annotated

from msgspec import Meta

from catalog import use_cases
from catalog.domain import ProductNotFound
from catalog.models import AddProduct, ChangeProduct, ProductList, ProductView
from common.database import transaction
from common.http import JSON, Problem, Resolver, Response
from common.operation import operation
from common.requests import body, cut, identifier, page, staff
from common.values import uuid7

LONGEST_SEARCH = 100

app = Resolver("catalog", {ProductNotFound: 404})
handler = app.handler


@app.get("/products")
@operation("anyone", paged=True, query={"q": Annotated[str, Meta(max_length=LONGEST_SEARCH)]})
def list_products() -> ProductList:
    """What is on sale, newest first; `q` searches in names."""
    search, asked = _search(), page(app)
    with transaction() as tx:
        products, next_cursor = cut(
            use_cases.list_products(tx, search, asked), asked, lambda product: product.product_id
        )
    return ProductList([ProductView.of(product) for product in products], next_cursor)


@app.get("/products/<product_id>")
@operation("anyone")
def read_product(product_id: str) -> ProductView:
    """One product, also when it is retired."""
    with transaction() as tx:
        return ProductView.of(use_cases.read_product(tx, identifier(product_id)))


@app.post("/products")
@operation("staff", takes=AddProduct, status=201)
def add_product() -> tuple[ProductView, int]:
    """Put a product on sale. Within seconds it can be ordered, and has a stock of 0."""
    staff(app)
    request = body(app, AddProduct)
    with transaction() as tx:
        return ProductView.of(use_cases.add_product(tx, uuid7(), request)), 201


@app.patch("/products/<product_id>")
@operation("staff", takes=ChangeProduct)
def change_product(product_id: str) -> ProductView:
    """Change what the body names. Orders keep the name and price at which they were placed."""
    staff(app)
    request = body(app, ChangeProduct)
    with transaction() as tx:
        return ProductView.of(use_cases.change_product(tx, identifier(product_id), request))


@app.delete("/products/<product_id>")
@operation("staff", status=204)
def retire_product(product_id: str) -> Response:
    """Take a product off sale: it leaves the list, but can be read. Repeated, it answers alike."""
    staff(app)
    with transaction() as tx:
        use_cases.retire_product(tx, identifier(product_id))
    return Response(204, JSON, "")


def _search() -> str:
    """The query's `q`, empty when it is left out. Raises Problem 422."""
    search = app.current_event.query.get("q", "")
    if not re.fullmatch(rf"[^\ud800-\udfff]{{0,{LONGEST_SEARCH}}}", search):  # halves of characters are no text
        message = f"expected at most {LONGEST_SEARCH} characters"
        raise Problem(422, "bad query", [{"field": "q", "message": message}])
    return search
