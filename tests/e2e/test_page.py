"""The API reference, as somebody who opens the printed address sees it."""

import json
import shutil
import subprocess

import pytest

from localcloud import apt, page
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import Stack
from reference import openapi
from tests.e2e.shop import Shop, new_key, request, send


@pytest.fixture(scope="module")
def reader(home: Home, stack: Stack) -> Api:
    return Api(page.url(home))


def test_the_page_and_all_that_it_needs_are_served_from_this_machine(reader: Api) -> None:
    start = send(reader, "GET", "/")
    assert (start.status, start.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for name in page.FILES:
        assert f"/{name}" in start.data.decode()
        assert send(reader, "GET", f"/{name}").status == 200
    assert b"://" not in start.data
    assert send(reader, "GET", "/../settings.json").status == 404


def test_its_document_is_the_reference_with_its_own_address_for_trying_out(reader: Api) -> None:
    served = reader.get("/openapi.json")
    assert served == openapi.document() | {"servers": served["servers"]}
    assert [server["url"] for server in served["servers"]] == ["/api"]


def test_what_is_tried_out_on_it_reaches_the_api(reader: Api, alice: Api, shop: Shop) -> None:
    product_id = shop.sell(on_hand=1, name="Seen on the page")
    assert reader.get(f"/api/products/{product_id}")["name"] == "Seen on the page"
    assert reader.get("/api/products?limit=1") == alice.get("/products?limit=1")
    signed_in = Api(reader.url, alice.token)
    answer = send(signed_in, "POST", "/api/orders", json.dumps(request({product_id: 0})), Idempotency_Key=new_key())
    assert (answer.status, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert send(reader, "GET", "/api/orders").status == 401


@pytest.mark.long
def test_a_browser_shows_the_routes(home: Home, reader: Api) -> None:
    if shutil.which("chromium") is None:
        apt.install(home, "Chromium", "chromium")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000", "--dump-dom"]
    shown = subprocess.run([*command, f"{reader.url}/"], capture_output=True, text=True, timeout=120, check=True).stdout
    for path, methods in openapi.document()["paths"].items():
        assert f'data-path="{path}"' in shown
        for method in methods.values():
            assert method["summary"] in shown
    assert "Unable to render" not in shown
