"""What whoever runs the shop does when something is wrong, on the shop as it runs."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from localcloud import aws
from localcloud.api import Api
from localcloud.home import REPOSITORY, Home
from localcloud.played import ADDRESS
from localcloud.stack import Stack
from tests.e2e.database import connected, count, without_deadline
from tests.e2e.queues import Queues
from tests.e2e.shop import Shop, place, settled, statuses
from tests.e2e.waiting import eventually


def operate(home: Home, *arguments: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "operations", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"KUMIKI_HOME": str(home.root), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_log_of_an_order_tells_its_story_over_all_services_in_order(
    home: Home, alice: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=5)
    another = place(alice, {product_id: 1})
    order_id = place(alice, {product_id: 2})
    settled(alice, another)
    settled(alice, order_id)
    queues.drained()

    code, told = operate(home, "logs", order_id)
    assert code == 0, told
    story = [
        r"OrdersApi .*request .*method=POST .*route=/orders .*status=202",
        r"InventoryConsumer .*event event=OrderPlaced",
        r"PaymentsConsumer .*event event=StockReserved",
        r"OrdersConsumer .*event event=PaymentCaptured",
    ]
    positions = []
    for step in story:
        [position] = [number for number, line in enumerate(told.splitlines()) if re.search(step, line)]
        positions.append(position)
    assert positions[1:] == sorted(positions[1:])  # a request is told when it ends, when others may be at work already
    assert another not in told
    assert not [text for text in (*ADDRESS.values(), "alice@") if text in told]


def test_an_order_that_no_line_names_is_said_to_be_unknown(home: Home, stack: Stack) -> None:
    code, told = operate(home, "logs", str(uuid.uuid4()))
    assert (code, "no log line" in told) == (1, True)
    code, told = operate(home, "logs", "")
    assert (code, "is no identifier" in told) == (1, True)


@contextmanager
def without_table(stack: Stack, schema: str, table: str) -> Iterator[None]:
    with connected(stack, schema) as cursor:
        cursor.execute(f"RENAME TABLE {table} TO {table}_gone")
    try:
        yield
    finally:
        with connected(stack, schema) as cursor:
            cursor.execute(f"RENAME TABLE {table}_gone TO {table}")


def test_what_a_consumer_could_not_handle_is_explained_and_has_its_effect_once_it_is_moved_back(
    home: Home, stack: Stack, alice: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=5)
    settled(alice, place(alice, {product_id: 1}))
    queues.drained()
    assert operate(home, "redrive")[0] == 0
    with queues.impatient("inventory"), without_table(stack, "inventory", "reservations"):
        order_id = place(alice, {product_id: 2})
        without_deadline(stack, order_id)
        eventually(lambda: queues.dead("inventory") == 1)

    code, told = operate(home, "redrive")
    assert code == 1
    assert re.search(r"inventory: 1 dead letters, the oldest 0:0\d:\d\d old", told)
    assert re.search(r"1 × OrderPlaced: ProgrammingError 1146 \(make logs ORDER=\S+\)", told)
    assert "move 1 back to inventory? With YES=1" in told
    assert queues.dead("inventory") == 1

    code, told = operate(home, "redrive", "--yes")
    assert (code, "1 moved back to inventory" in told) == (0, True)
    assert statuses(settled(alice, order_id)) == ["placed", "reserved", "confirmed"]
    assert shop.stock(product_id) == (5, 3)
    assert queues.dead("inventory") == 0


def test_what_cannot_be_handled_comes_back_and_is_not_moved_for_ever(home: Home, stack: Stack, queues: Queues) -> None:
    poison = ["not JSON", json.dumps({"detail-type": "MoonRose", "source": "sky", "detail": {}})]
    with queues.impatient("orders"):
        for body in poison:
            queues.send("orders", body)
        eventually(lambda: queues.dead("orders") == 2)
        code, told = operate(home, "redrive", "--yes")
        assert (code, "1 × unreadable" in told, "1 × MoonRose" in told) == (0, True, True)
        eventually(lambda: queues.dead("orders") == 2)
    assert sorted(queues.dead_letters("orders")) == sorted(poison)


def test_a_parked_event_is_named_and_sent_once_more(home: Home, stack: Stack, queues: Queues) -> None:
    detail = {"id": str(uuid.uuid4()), "time": "2026-05-04T03:02:01Z", "version": 1, "data": {}}
    with connected(stack, "catalog") as cursor:
        cursor.execute(
            "INSERT INTO outbox (event_id, detail_type, detail, attempts, last_error, parked_at)"
            " VALUES (%s, 'MoonRose', %s, 20, 'MalformedDetail', NOW(6))",
            (uuid.uuid4().bytes, json.dumps(detail)),
        )
    code, told = operate(home, "redrive")
    assert (code, "1 × MoonRose: the bus refused it 20 times, MalformedDetail" in told) == (1, True)
    code, told = operate(home, "redrive", "--yes")
    assert (code, "1 to be sent within a minute" in told) == (0, True)
    function = stack.functions["catalog"]["CatalogConsumer"]
    aws.client(home, "lambda").invoke(FunctionName=function, Payload=json.dumps({"task": "sweep"}))
    eventually(lambda: count(stack, "catalog", "outbox") == 0)  # the schedule's own sweep may be at it


def test_messages_of_a_consumer_that_is_off_wait_until_it_is_on(
    home: Home, stack: Stack, alice: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=5)
    settled(alice, place(alice, {product_id: 1}))
    queues.drained()
    assert operate(home, "consumer", "inventory", "off")[0] == 0
    try:
        order_id = place(alice, {product_id: 1})
        without_deadline(stack, order_id)
        code, told = operate(home, "consumer", "inventory", "off")
        assert (code, "inventory is off: 1 messages wait" in told) == (0, True), told
        assert statuses(alice.get(f"/orders/{order_id}")) == ["placed"]
    finally:
        code, told = operate(home, "consumer", "inventory", "on")
    assert (code, "inventory is on" in told) == (0, True)
    assert settled(alice, order_id)["status"] == "confirmed"
    code, told = operate(home, "consumer", "moon", "off")
    assert (code, "those who do: inventory, " in told) == (1, True)


def test_an_event_that_was_lost_is_replayed_and_those_seen_before_have_no_effect(
    home: Home, stack: Stack, alice: Api, shop: Shop, queues: Queues
) -> None:
    start = f"{datetime.now(UTC) - timedelta(minutes=1):%FT%TZ}"
    code, told = operate(home, "replay", "inventory", start)
    assert (code, "has no archive" in told) == (1, True)

    product_id = shop.sell(on_hand=5)
    with archived(home, stack):
        before = place(alice, {product_id: 1})
        settled(alice, before)
        queues.drained()
        assert operate(home, "consumer", "inventory", "off")[0] == 0
        try:
            lost = place(alice, {product_id: 1})
            without_deadline(stack, lost)
            aws.client(home, "sqs").purge_queue(QueueUrl=stack.queues["inventory"])
        finally:
            assert operate(home, "consumer", "inventory", "on")[0] == 0
        end = f"{datetime.now(UTC) + timedelta(minutes=1):%FT%TZ}"
        code, told = operate(home, "replay", "inventory", start, end)
        assert (code, "done" in told) == (0, True), told
    assert settled(alice, lost)["status"] == "confirmed"
    queues.drained()
    assert shop.stock(product_id) == (5, 2)
    assert statuses(alice.get(f"/orders/{before}")) == ["placed", "reserved", "confirmed"]
    assert shop.payment(before) == ("captured", 1_000, 0)


@contextmanager
def archived(home: Home, stack: Stack) -> Iterator[None]:
    """The emulator's CloudFormation makes no archives, but it has them."""
    events = aws.client(home, "events")
    bus = events.describe_event_bus(Name=stack.event_bus)["Arn"]
    events.create_archive(ArchiveName="kumiki-test", EventSourceArn=bus, RetentionDays=1)
    try:
        yield
    finally:
        events.delete_archive(ArchiveName="kumiki-test")


def differences(home: Home) -> set[str]:
    code, told = operate(home, "reconcile", "--patience", "0.1")
    found = {line for line in told.splitlines() if re.match(r"[0-9a-f-]{36}: |product ", line)}
    assert code == (1 if found else 0), told
    return found


def test_the_books_agree_and_an_entry_that_is_missing_is_named_with_its_order_alone(
    home: Home, stack: Stack, alice: Api, shop: Shop, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=3, price=700)
    confirmed, declined = place(alice, {product_id: 2}), place(alice, {product_id: 1}, "tok_declined")
    refused = place(alice, {product_id: 9})
    for order_id in (confirmed, declined, refused):
        settled(alice, order_id)
    queues.drained()
    before = differences(home)  # other tests may have left some, of orders that are none
    assert not [line for line in before if re.search(f"{confirmed}|{declined}|{refused}|{product_id}", line)]

    with connected(stack, "payments") as cursor:
        entry = uuid.UUID(confirmed).bytes
        cursor.execute("DELETE FROM sandbox_ledger WHERE entry_key = %s", (entry,))
        [found] = differences(home) - before
        cursor.execute(
            "INSERT INTO sandbox_ledger (entry_key, charge_key, amount, outcome) VALUES (%s, %s, 1400, 'captured')",
            (entry, entry),
        )
    assert found.startswith(
        f"{confirmed}: payments and the provider's ledger differ (orders: status confirmed total 1400"
    )
    assert "payments: state captured captured 1400 refunded 0; ledger: nothing" in found

    with connected(stack, "inventory") as cursor:
        product = uuid.UUID(product_id).bytes
        cursor.execute("UPDATE stock SET reserved = 3 WHERE product_id = %s", (product,))
        [found] = differences(home) - before
        cursor.execute("UPDATE stock SET reserved = 2 WHERE product_id = %s", (product,))
    assert found == f"product {product_id}: 3 reserved, but orders hold 2"
    assert not differences(home) - before


SCHEMAS = {"orders": "orders", "payments": "payments", "shipping": "shipments", "notifications": "recipients"}


def test_a_customer_is_forgotten_but_for_what_is_underway(
    home: Home, stack: Stack, alice: Api, staff: Api, shop: Shop, queues: Queues
) -> None:
    product_id, customer = shop.sell(on_hand=3), f"customer-{uuid.uuid4()}"
    declined, confirmed = place(alice, {product_id: 1}, "tok_declined"), place(alice, {product_id: 1})
    for order_id in (declined, confirmed):
        settled(alice, order_id)
    queues.drained()
    mine = [uuid.UUID(order_id).bytes for order_id in (declined, confirmed)]
    for schema, table in SCHEMAS.items():
        with connected(stack, schema) as cursor:  # a customer of this test's own
            cursor.execute(f"UPDATE {table} SET customer_id = %s WHERE order_id IN %s", (customer, mine))

    code, told = operate(home, "erase", customer)
    assert (code, told.splitlines()) == (
        1,
        [
            "orders: 1 erased, 1 still underway",
            "payments: 2 erased",
            "shipping: 0 erased, 1 still underway",
            "notifications: 2 erased",
        ],
    )
    assert staff.get(f"/orders/{confirmed}")["shipping_address"]["name"] == ADDRESS["name"]
    for step in ("dispatch", "deliver"):
        staff.expect(200, "POST", f"/shipments/{confirmed}/{step}")
        queues.drained()
    code, told = operate(home, "erase", customer)
    assert (code, "underway" in told) == (0, False), told
    for order_id in (declined, confirmed):
        address = staff.get(f"/orders/{order_id}")["shipping_address"]
        assert {value for value in address.values() if value} & set(ADDRESS.values()) == {"JP"}
    known = "SELECT CONCAT_WS('|', {}) FROM {} WHERE order_id IN %s"
    for schema, columns in {"shipping": "shipping_address", "payments": "token", "notifications": "email"}.items():
        with connected(stack, schema) as cursor:
            cursor.execute(known.format(columns, SCHEMAS[schema]), (mine,))
            assert not re.search(r"Alice|1-2-3|Chiyoda|100-0005|tok_|@", str(cursor.fetchall()))
    assert operate(home, "reconcile", "--patience", "0")[1].count(confirmed) == 0
