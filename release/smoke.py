"""An order through the real front door: placed by a customer who is there for nothing else, confirmed, called off."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from localcloud.api import Api, UnexpectedAnswer
from localcloud.home import Home
from localcloud.played import Story
from localcloud.stack import Stack as Running
from release import Refused
from release.stack import application, outputs
from release.target import Target

STOCK_SECONDS = 60


@dataclass(frozen=True)
class Door:
    """Where the shop is entered, and where its people are known."""

    api_url: str
    cognito: Any
    user_pool_id: str
    client_id: str
    accepted: int = 202
    """The status with which an order is taken: 201 in the ECS design, where it is settled by then."""


def door(target: Target) -> Door:
    """Raises Refused where there is no shop."""
    accepted, cognito = {"lambda": 202, "ecs": 201}[target.design], target.client("cognito-idp")
    if target.environment == "local":  # which has no address of its own
        running = Running.load(Home.default())
        return Door(running.api_url, cognito, running.user_pool_id, running.client_id, accepted)
    name = application(target.environment, target.design)[-1].name
    found = outputs(target, name)
    if "ApiUrl" not in found:
        raise Refused(f"{name} is not there: make deploy ENV={target.environment}")
    return Door(found["ApiUrl"], cognito, found["UserPoolId"], found["UserPoolClientId"], accepted)


def play(shop: Door) -> None:
    """Raises UnexpectedAnswer, UnexpectedEnd, boto3's errors or urllib3's when it does not come to a good end. Whatever
    happens, nobody and nothing that can be bought is left behind; the order stays, cancelled."""
    with _user(shop) as customer, _user(shop, "staff") as staff, _product(staff) as product:
        order = Story.begin(shop.accepted, customer, "somebody", [(product, 1)], "tok_visa")
        try:
            order.until("confirmed")
            order.tell_payment()
        except BaseException:  # an answer that never came, too
            customer.request("POST", f"/orders/{order.order_id}/cancel")  # it may be confirmed yet
            raise
        customer.expect(202, "POST", f"/orders/{order.order_id}/cancel")  # or staff would pack a parcel
        order.until("cancelled")
        order.tell_payment("refunded")


@contextmanager
def _user(shop: Door, *groups: str) -> Iterator[Api]:
    name, password = f"smoke-{secrets.token_hex(8)}", f"Aa1-{secrets.token_hex(24)}"
    user = {"UserPoolId": shop.user_pool_id, "Username": name}
    try:
        shop.cognito.admin_create_user(**user, MessageAction="SUPPRESS")
        shop.cognito.admin_set_user_password(**user, Password=password, Permanent=True)
        for group in groups:
            shop.cognito.admin_add_user_to_group(**user, GroupName=group)
        yield Api(shop.api_url, _token(shop, name, password))
    finally:
        with suppress(shop.cognito.exceptions.UserNotFoundException):  # it was never made
            shop.cognito.admin_delete_user(**user)


def _token(shop: Door, name: str, password: str) -> str:
    answer = shop.cognito.admin_initiate_auth(
        UserPoolId=shop.user_pool_id,
        ClientId=shop.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )
    if "AuthenticationResult" not in answer:
        raise Refused(f"the user pool asks for more than a password: {answer.get('ChallengeName')}")
    return str(answer["AuthenticationResult"]["IdToken"])


@contextmanager
def _product(staff: Api) -> Iterator[Any]:
    """One piece of something that nobody else orders."""
    body = {"name": f"Smoke test {secrets.token_hex(4)}", "price": {"amount": 100, "currency": "JPY"}}
    product = staff.expect(201, "POST", "/products", body)
    path = f"/products/{product['product_id']}"
    try:
        deadline = time.monotonic() + STOCK_SECONDS
        while (status := staff.request("PUT", f"/stock/{product['product_id']}", {"on_hand": 1})[0]) != 200:
            if status != 404 or time.monotonic() > deadline:
                raise UnexpectedAnswer(f"PUT /stock of a new product answered {status}")
            time.sleep(0.5)
        yield product
    finally:
        staff.expect(204, "DELETE", path)
