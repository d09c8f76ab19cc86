"""The least that asks a database: the driver, a verified connection, one query."""

import json
import os
import ssl
from typing import Any

import pymysql

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(os.environ["DATABASE_CA_FILE"])
connection = pymysql.connect(
    host=os.environ["DATABASE_HOST"],
    port=int(os.environ["DATABASE_PORT"]),
    user=os.environ["SERVICE"],
    password=os.environ["DATABASE_PASSWORD"],
    database=os.environ["SERVICE"],
    ssl=context,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        row = cursor.fetchone()
    connection.commit()
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(row)}
