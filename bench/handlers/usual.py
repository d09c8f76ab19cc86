"""Orders' routes as functions are usually written: Powertools, with validation by pydantic models and a Tracer; boto3
for events. They do less than services/orders: no outbox, and no idempotency key, which `keyed.py` adds."""

import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
import pymysql
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.exceptions import BadRequestError, NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel, Field

logger, metrics, tracer = Logger(), Metrics(), Tracer()
app = APIGatewayRestResolver(enable_validation=True)
events = boto3.client("events")


class Line(BaseModel):
    product_id: uuid.UUID
    quantity: int = Field(ge=1, le=999)


class Address(BaseModel):
    name: str = Field(min_length=1, max_length=100)
    line1: str = Field(min_length=1, max_length=100)
    line2: str | None = None
    city: str = Field(min_length=1, max_length=100)
    region: str | None = None
    postal_code: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 -]{0,15}$")
    country: str = Field(pattern=r"^[A-Z]{2}$")


class PlaceOrder(BaseModel):
    lines: list[Line] = Field(min_length=1, max_length=20)
    payment_method: str = Field(pattern=r"^tok_[a-z0-9_]{1,40}$")
    shipping_address: Address


class Money(BaseModel):
    amount: int
    currency: Literal["JPY"] = "JPY"


class LineView(BaseModel):
    product_id: uuid.UUID
    name: str
    quantity: int
    unit_price: Money
    amount: Money


class Step(BaseModel):
    status: str
    at: datetime
    reason: str | None = None


class Order(BaseModel):
    order_id: uuid.UUID
    status: str
    customer_id: str
    lines: list[LineView]
    total: Money
    shipping_address: Address
    created_at: datetime
    updated_at: datetime
    timeline: list[Step]


def connect() -> "pymysql.Connection[pymysql.cursors.DictCursor]":
    return pymysql.connect(
        host=os.environ["DATABASE_HOST"],
        port=int(os.environ["DATABASE_PORT"]),
        user=os.environ["SERVICE"],
        password=os.environ["DATABASE_PASSWORD"],
        database=os.environ["SERVICE"],
        ssl_ca=os.environ["DATABASE_CA_FILE"],
        ssl_verify_cert=True,
        ssl_verify_identity=True,
        cursorclass=pymysql.cursors.DictCursor,
    )


connection = connect()


@app.post("/orders")
@tracer.capture_method
def place_order(request: PlaceOrder) -> Order:
    event = app.current_event
    claims = event.request_context.authorizer.claims or {}
    key = event.headers.get("Idempotency-Key")
    return place(asked={"caller": claims["sub"], "path": event.path, "key": key, "body": event.body}, request=request)


def place(asked: dict[str, Any], request: PlaceOrder) -> Order:
    order_id, now = uuid.uuid4(), datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT product_id, name, price FROM products WHERE product_id IN %s AND NOT retired",
            ([line.product_id.bytes for line in request.lines],),
        )
        products = {uuid.UUID(bytes=row["product_id"]): row for row in cursor.fetchall()}
        lines = []
        for line in request.lines:
            if line.product_id not in products:
                raise BadRequestError("unknown product")
            product = products[line.product_id]
            amount = product["price"] * line.quantity
            lines.append(
                LineView(
                    product_id=line.product_id,
                    name=product["name"],
                    quantity=line.quantity,
                    unit_price=Money(amount=product["price"]),
                    amount=Money(amount=amount),
                )
            )
        order = Order(
            order_id=order_id,
            status="placed",
            customer_id=asked["caller"],
            lines=lines,
            total=Money(amount=sum(line.amount.amount for line in lines)),
            shipping_address=request.shipping_address,
            created_at=now,
            updated_at=now,
            timeline=[Step(status="placed", at=now)],
        )
        cursor.execute(
            """
            INSERT INTO orders (order_id, customer_id, status, order_lines, total, shipping_address, timeline,
                                correlation_id)
            VALUES (%s, %s, 'placed', %s, %s, %s, %s, %s)
            """,
            (
                order_id.bytes,
                order.customer_id,
                json.dumps([line.model_dump(mode="json") for line in order.lines]),
                order.total.amount,
                order.shipping_address.model_dump_json(),
                json.dumps([step.model_dump(mode="json") for step in order.timeline]),
                app.current_event.request_context.request_id,
            ),
        )
    connection.commit()
    detail = {
        "order_id": str(order_id),
        "customer_id": order.customer_id,
        "lines": [line.model_dump(mode="json") for line in request.lines],
        "total": order.total.model_dump(),
        "payment_method": request.payment_method,
    }
    entry = {"EventBusName": os.environ["EVENT_BUS"], "Source": "orders", "DetailType": "OrderPlaced"}
    events.put_events(Entries=[{**entry, "Detail": json.dumps(detail)}])
    metrics.add_metric("OrdersPlaced", MetricUnit.Count, 1)
    logger.info("order placed", extra={"order_id": str(order_id)})
    return order


@app.get("/orders/<order_id>")
@tracer.capture_method
def read_order(order_id: uuid.UUID) -> Order:
    claims = app.current_event.request_context.authorizer.claims or {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM orders WHERE order_id = %s AND customer_id = %s", (order_id.bytes, claims["sub"]))
        row = cursor.fetchone()
    connection.commit()
    if row is None:
        raise NotFoundError("no such order")
    steps = json.loads(row["timeline"])
    logger.info("order read", extra={"order_id": str(order_id)})
    return Order(
        order_id=order_id,
        status=row["status"],
        customer_id=row["customer_id"],
        lines=json.loads(row["order_lines"]),
        total=Money(amount=row["total"]),
        shipping_address=json.loads(row["shipping_address"]),
        created_at=steps[0]["at"],
        updated_at=steps[-1]["at"],
        timeline=steps,
    )


@tracer.capture_lambda_handler
@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
