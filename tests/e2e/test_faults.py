"""What breaks while orders are on their way, and what of it a customer notices."""

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from localcloud import aws, mariadb, programs, servers
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import Stack
from tests.e2e.database import connected, count, without_deadline
from tests.e2e.mailbox import Mailbox
from tests.e2e.queues import Queues
from tests.e2e.running import linux_only
from tests.e2e.shop import Answer, Shop, new_key, place, request, send, settled, statuses
from tests.e2e.waiting import eventually
from tests.e2e.workers import kill, workers

CONSUMERS = ("inventory", "notifications", "orders", "payments", "shipping")


@linux_only
def test_a_consumer_that_dies_at_work_is_retried(
    home: Home, stack: Stack, alice: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=10)
    settled(alice, place(alice, {product_id: 1}))
    function = stack.functions["inventory"]["InventoryConsumer"]

    with queues.impatient("inventory", seconds=6):  # more than it waits for a lock: five deliveries, and it is dead
        with connected(stack, "inventory", autocommit=False) as inventory:
            inventory.execute("SELECT * FROM stock WHERE product_id = %s FOR UPDATE", (uuid.UUID(product_id).bytes,))
            order_id = place(alice, {product_id: 2})
            without_deadline(stack, order_id)
            eventually(lambda: waits_for_a_lock(stack, "inventory"))
            dying = workers(home, function)
            kill(dying)
            eventually(lambda: not set(dying) & set(workers(home, function)))
            assert alice.get(f"/orders/{order_id}")["status"] == "placed"
        order = settled(alice, order_id)
        queues.drained()

    assert dying
    assert statuses(order) == ["placed", "reserved", "confirmed"]
    assert shop.stock(product_id) == (10, 3)


def waits_for_a_lock(stack: Stack, user: str) -> bool:
    time.sleep(0.15)  # asked more often than each 0.1 s, InnoDB repeats what it said
    with connected(stack, "information_schema") as cursor:
        cursor.execute(
            """
            SELECT 1
              FROM innodb_trx JOIN processlist ON processlist.id = trx_mysql_thread_id
             WHERE trx_state = 'LOCK WAIT' AND user = %s
            """,
            (user,),
        )
        return cursor.fetchone() is not None


def test_poison_ends_in_the_dead_letter_queue_and_blocks_nobody(
    stack: Stack, alice: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=10)
    unknown = {"detail-type": "MoonRose", "source": "sky", "detail": envelope({})}
    unreadable = {"detail-type": "OrderPlaced", "source": "orders", "detail": envelope({"order_id": "not one"})}
    poison = sorted(["not JSON", "{}", json.dumps(unknown), json.dumps(unreadable)])
    with queues.impatient(*CONSUMERS, seconds=5):  # good events must not be taken for bad where the machine is slow
        for body in poison:
            for service in CONSUMERS:
                queues.send(service, body)
        order = settled(alice, place(alice, {product_id: 1}))
        assert order["status"] == "confirmed"
        assert not any(queues.dead(service) for service in CONSUMERS), "it did not wait for the poison to be given up"

        dead: dict[str, list[str]] = {service: [] for service in CONSUMERS}

        def all_given_up() -> bool:
            for service in CONSUMERS:
                dead[service] += queues.dead_letters(service)
            return all(len(bodies) >= len(poison) for bodies in dead.values())

        eventually(all_given_up, 120)
        queues.drained()
    assert {service: sorted(bodies) for service, bodies in dead.items()} == dict.fromkeys(CONSUMERS, poison)
    assert settled(alice, place(alice, {product_id: 1}))["status"] == "confirmed"


def envelope(data: object) -> dict[str, object]:
    event_id, time = str(uuid.uuid4()), "2026-05-04T03:02:01Z"
    return {"id": event_id, "time": time, "version": 1, "correlation_id": "c", "causation_id": None, "data": data}


def test_an_event_delivered_twice_has_one_effect(stack: Stack, alice: Api, shop: Shop, queues: Queues) -> None:
    product_id = shop.sell(on_hand=10)
    with queues.listening() as listener:
        confirmed = place(alice, {product_id: 2})
        rejected = place(alice, {product_id: 3}, "tok_declined")
        settled(alice, confirmed)
        settled(alice, rejected)
        queues.drained()
        events = listener.about(confirmed) | {
            f"{name} of a rejected order": body for name, body in listener.about(rejected).items()
        }
    assert {"OrderPlaced", "StockReserved", "PaymentCaptured", "OrderConfirmed"} <= events.keys()
    assert {"PaymentDeclined of a rejected order", "OrderRejected of a rejected order"} <= events.keys()

    def state() -> tuple[object, ...]:
        return (
            [alice.get(f"/orders/{order_id}") for order_id in (confirmed, rejected)],
            [shop.payment(order_id) for order_id in (confirmed, rejected)],
            shop.shipment(confirmed),
            shop.stock(product_id),
            {service: count(stack, service, "inbox") for service in CONSUMERS},
            count(stack, "payments", "sandbox_ledger"),
            [len(Mailbox(stack).about(order_id)) for order_id in (confirmed, rejected)],
        )

    before = state()
    for body in events.values():
        for service in subscribers(stack, json.loads(body)["detail-type"]):
            queues.send(service, body)
            queues.send(service, body)
    queues.drained()
    assert state() == before
    assert before[-1] == [1, 1]
    assert shop.stock(product_id) == (10, 2)


def subscribers(stack: Stack, detail_type: str) -> list[str]:
    interested = {
        "OrderPlaced": ["inventory", "payments"],
        "ContactGiven": ["notifications"],
        "StockReserved": ["orders", "payments"],
        "PaymentCaptured": ["orders"],
        "PaymentDeclined": ["orders"],
        "OrderRejected": ["inventory", "payments", "notifications"],
        "OrderConfirmed": ["shipping", "notifications"],
    }
    return interested.get(detail_type, [])


def test_what_cannot_be_published_stays_in_the_outbox_until_the_sweep(
    home: Home, stack: Stack, alice: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=10)
    settled(alice, place(alice, {product_id: 1}))
    queues.drained()
    eventually(lambda: count(stack, "orders", "outbox") == 0)
    with not_allowed_to_publish(home, stack.functions["orders"]["OrdersApi"]):
        order_id = place(alice, {product_id: 1})
        assert count(stack, "orders", "outbox") == 2  # the order, and how to reach who placed it
        without_deadline(stack, order_id)
        queues.drained()
        assert statuses(alice.get(f"/orders/{order_id}")) == ["placed"]

    def swept() -> bool:
        sweep(home, stack, "orders")
        return "confirmed" in statuses(alice.get(f"/orders/{order_id}"))

    eventually(swept)
    assert statuses(alice.get(f"/orders/{order_id}")) == ["placed", "reserved", "confirmed"]
    # An order can be seen confirmed before the event that says so is sent and cleared away.
    eventually(lambda: count(stack, "orders", "outbox") == 0)
    assert shop.stock(product_id) == (10, 2)


@contextmanager
def not_allowed_to_publish(home: Home, function: str) -> Iterator[None]:
    iam, lambdas = aws.client(home, "iam"), aws.client(home, "lambda")
    role = lambdas.get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "events:PutEvents", "Resource": "*"}
    denial = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="denial", PolicyDocument=denial)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denial")


def sweep(home: Home, stack: Stack, service: str) -> None:
    function = stack.functions[service][f"{service.capitalize()}Consumer"]
    answer = aws.client(home, "lambda").invoke(FunctionName=function, Payload=json.dumps({"task": "sweep"}))
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_without_the_database_requests_are_503_and_the_first_one_after_its_return_works(
    home: Home, stack: Stack, alice: Api, staff: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=10)
    order_id = place(alice, {product_id: 1})
    settled(alice, order_id)
    shop.payment(order_id)
    queues.drained()
    on_its_way, body, key = place(alice, {product_id: 1}), json.dumps(request({product_id: 1})), new_key()
    without_deadline(stack, on_its_way)

    pid = programs.pid(home, mariadb.NAME)
    assert pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: programs.pid(home, mariadb.NAME) is None)
    of_the_order = [f"/{what}/{order_id}" for what in ("orders", "payments", "shipments")]
    reads = ["/products", f"/stock/{product_id}", *of_the_order, "/health/orders"]
    for path in [*reads, *reads]:
        assert_unavailable(send(alice, "GET", path))
    assert_unavailable(send(alice, "POST", "/orders", body, Idempotency_Key=key))
    assert_unavailable(send(staff, "PUT", f"/stock/{product_id}", '{"on_hand": 5}'))
    assert_unavailable(send(staff, "POST", f"/shipments/{order_id}/dispatch"))

    servers.start(home)
    for path in reads:
        assert send(alice, "GET", path).status == 200, path
    again = send(alice, "POST", "/orders", body, Idempotency_Key=key)
    assert again.status == 202
    without_deadline(stack, again.json["order_id"])
    for placed in (on_its_way, again.json["order_id"]):

        def confirmed(order_id: str = placed) -> bool:
            for service in CONSUMERS:
                sweep(home, stack, service)
            return "confirmed" in statuses(alice.get(f"/orders/{order_id}"))

        eventually(confirmed, 120)
    queues.drained()
    assert shop.stock(product_id) == (10, 3)


def assert_unavailable(answer: Answer) -> None:
    assert answer.status == 503, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["request_id"]


@pytest.mark.parametrize("service", ["catalog", *CONSUMERS])
def test_a_sweep_finds_nothing_left_behind(home: Home, stack: Stack, queues: Queues, service: str) -> None:
    queues.drained()

    def swept() -> bool:  # once nothing in it is so new that a sweep leaves it to its writer, or another is at it
        sweep(home, stack, service)
        return count(stack, service, "outbox") == 0

    eventually(swept, 90)
