"""Nobody reads or changes what is another's: every route of the reference, asked by everybody who must not.

The status that a route owes to a caller comes from its security in the reference alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pymysql
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from common.database import Transaction
from localcloud import aws, users
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import SERVICES, Stack
from tests.e2e.database import connected, tables
from tests.e2e.shop import Answer, Shop, place, send, settled
from tests.e2e.waiting import eventually
from tests.faults import figures
from tests.faults.deployed import forgery
from tests.faults.deployed.described import ROUTES, Belongings, Route, by_name, judge
from tests.integration.conftest import forget
from tests.integration.gateway import ask

TOKENS = [*forgery.FORGERIES, "access token", "other pool"]


@pytest.fixture(scope="module")
def key(home: Home, stack: Stack) -> rsa.RSAPrivateKey:
    return forgery.pool_key(home, stack)


@pytest.fixture(scope="module")
def forged(home: Home, stack: Stack, key: rsa.RSAPrivateKey) -> Iterator[dict[str, list[str]]]:
    """By name, tokens made from alice's and from a staff member's, who may do most."""
    whole = [users.tokens(home, stack, name) for name in ("alice", "staff")]
    made = {name: [forge(tokens["IdToken"], key) for tokens in whole] for name, forge in forgery.FORGERIES.items()}
    with another_pool(home) as stranger:
        yield made | {"access token": [tokens["AccessToken"] for tokens in whole], "other pool": [stranger]}


@contextmanager
def another_pool(home: Home) -> Iterator[str]:
    """The ID token of staff of another user pool, which is gone after the block."""
    cognito = aws.client(home, "cognito-idp")
    pool = cognito.create_user_pool(PoolName="somebody-elses")["UserPool"]["Id"]
    try:
        flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="theirs", ExplicitAuthFlows=flows)
        user, password = {"UserPoolId": pool, "Username": "staff"}, home.settings.user_password
        cognito.create_group(UserPoolId=pool, GroupName="staff")
        cognito.admin_create_user(**user, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(**user, Password=password, Permanent=True)
        cognito.admin_add_user_to_group(**user, GroupName="staff")
        answer = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client["UserPoolClient"]["ClientId"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": user["Username"], "PASSWORD": password},
        )
        token: str = answer["AuthenticationResult"]["IdToken"]
        assert forgery.parts(token)[1]["token_use"] == "id"
        yield token
    finally:
        cognito.delete_user_pool(UserPoolId=pool)


def told(answer: Answer) -> str:
    return answer.data.decode()


@by_name
@pytest.mark.usefixtures("unchanged")
def test_without_a_token_nothing_that_needs_one_is_answered(stack: Stack, alices: Belongings, route: Route) -> None:
    answer = route.ask(Api(stack.api_url), alices.known)
    judge(answer.status, told(answer), route.owed_to_a_stranger, alices.secrets)


@by_name
@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.usefixtures("unchanged")
def test_a_token_that_does_not_count_is_as_none(
    stack: Stack, alices: Belongings, forged: dict[str, list[str]], route: Route, name: str
) -> None:
    for token in forged[name]:
        for scheme in ("Bearer ", ""):
            answer = route.ask(Api(stack.api_url), alices.known, Authorization=f"{scheme}{token}")
            judge(answer.status, told(answer), route.owed_to_a_stranger, alices.secrets)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.name != "POST /orders"], ids=lambda it: it.name)
@pytest.mark.usefixtures("unchanged")
def test_another_customer_sees_and_changes_nothing(bob: Api, alices: Belongings, route: Route) -> None:
    answer = route.ask(bob, alices.known)
    judge(answer.status, told(answer), route.owed_to_another_customer, alices.secrets)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.who == "staff"], ids=lambda route: route.name)
@pytest.mark.usefixtures("unchanged")
def test_what_staff_do_is_refused_to_customers_even_with_what_is_theirs(
    alice: Api, alices: Belongings, route: Route
) -> None:
    assert route.ask(alice, alices.known).status == 403


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.who == "customer" and "{" in route.path], ids=lambda route: route.name
)
def test_another_customers_is_as_one_that_is_not_there(bob: Api, alices: Belongings, route: Route) -> None:
    nobodys = dict.fromkeys(alices.known, forgery.NOBODY)
    theirs, none = route.ask(bob, alices.known), route.ask(bob, nobodys)
    assert (theirs.status, none.status) == (404, 404)
    for own in (alices.order_id, alices.product_id):
        assert theirs.json["detail"].replace(own, forgery.NOBODY) == none.json["detail"] or own not in told(theirs)
    assert theirs.json.keys() == none.json.keys()


def test_lists_hold_ones_own_and_those_of_staff_hold_everybodys(
    alice: Api, bob: Api, staff: Api, shop: Shop, alices: Belongings
) -> None:
    bobs = place(bob, {shop.sell(on_hand=10): 1})
    settled(bob, bobs)
    listed = {reader: reader.get("/orders?limit=100")["items"] for reader in (alice, bob, staff)}
    ids = {reader: {order["order_id"] for order in orders} for reader, orders in listed.items()}
    assert alices.order_id in ids[alice] - ids[bob]
    assert bobs in ids[bob] - ids[alice]
    assert {alices.order_id, bobs} <= ids[staff]
    assert len({order["customer_id"] for order in listed[bob]}) == 1


# Controls: what is refused above is answered to those who may, and would be seen if it were not refused.


@by_name
def test_the_same_requests_are_answered_to_those_who_may(
    alice: Api,
    staff: Api,
    shop: Shop,
    key: rsa.RSAPrivateKey,
    accepted: int,
    drained: Callable[[], None],
    route: Route,
) -> None:
    """With a token that is signed as the forged ones are, and has no fault. It may be too late for what is asked (409),
    and shipping may not have heard yet (404)."""
    product_id = shop.sell(on_hand=10)
    order_id = place(alice, {product_id: 1})
    assert settled(alice, order_id)["status"] == "confirmed"
    whole = staff if route.who == "staff" else alice
    caller = Api(whole.url, forgery.renewed(whole.token, key))
    known = {"order_id": order_id, "product_id": product_id}
    answer = eventually(lambda: answered if (answered := route.ask(caller, known)).status != 404 else None)
    assert answer.status in route.statuses & {200, 201, 202, 204, 409} | {accepted}, answer
    drained()  # further tests count on nothing being underway


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_a_token_counts_with_and_without_the_word_bearer(stack: Stack, alice: Api, scheme: str) -> None:
    assert send(Api(stack.api_url), "GET", "/orders", Authorization=scheme + alice.token).status == 200


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.who == "customer" and route.method == "GET"], ids=lambda it: it.name
)
def test_without_the_owner_in_its_query_a_route_would_be_found_out(
    stack: Stack, bob: Api, alices: Belongings, monkeypatch: pytest.MonkeyPatch, route: Route
) -> None:
    """The route's own code on the same database, first as it is, then with the condition taken out of its SQL."""
    as_service(monkeypatch, stack, route.service)
    sub = forgery.parts(bob.token)[1]["sub"]

    def answer() -> tuple[int, str]:
        found = ask(import_module(f"{route.service}.api").handler, "GET", route.address(alices.known), sub=sub)
        return found.status, found.text

    judge(*answer(), route.owed_to_another_customer, alices.secrets)
    for name in ("one", "all"):
        monkeypatch.setattr(Transaction, name, whoever_it_belongs_to(getattr(Transaction, name)))
    with pytest.raises(AssertionError):
        judge(*answer(), route.owed_to_another_customer, (alices.order_id, *alices.secrets))


def whoever_it_belongs_to(read: Callable[..., Any]) -> Callable[..., Any]:
    def read_all(tx: Transaction, sql: str, parameters: Any = ()) -> Any:
        return read(tx, sql.replace("customer_id = %s", "(customer_id = %s OR TRUE)"), parameters)

    return read_all


def as_service(monkeypatch: pytest.MonkeyPatch, stack: Stack, service: str) -> None:
    login = stack.database
    settings = {
        "SERVICE": service,
        "DATABASE_HOST": login["host"],
        "DATABASE_PORT": login["port"],
        "DATABASE_PASSWORD": login["service_password"],
        "DATABASE_CA_FILE": login["ca_file"],
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    forget()


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget()


# The database, where a service is a user that sees its own schema alone.


STATEMENTS = (
    "SELECT * FROM {table} LIMIT 1",
    "SELECT * FROM {table} LIMIT 1 FOR UPDATE",
    "INSERT INTO {table} () VALUES ()",
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "REPLACE INTO {table} () VALUES ()",
    "ALTER TABLE {table} ADD COLUMN mine INT",
    "DROP TABLE {table}",
    "CREATE TABLE {schema}.mine (id INT)",
    "CREATE VIEW {own}.theirs AS SELECT * FROM {table}",
    "USE {schema}",
)
DENIED = {1044, 1142, 1143}
REFUSED: list[str] = []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.usefixtures("unchanged")
def test_a_services_user_is_refused_on_every_table_of_every_other(stack: Stack, service: str) -> None:
    with connected(stack, service, service=service) as cursor:
        for schema in SERVICES:
            for table in tables(stack, schema):
                column = first_column(stack, schema, table)
                if schema == service:
                    cursor.execute(f"SELECT * FROM `{schema}`.`{table}` LIMIT 1")
                    continue
                for statement in STATEMENTS:
                    names = {"table": f"`{schema}`.`{table}`", "schema": schema, "own": service, "column": column}
                    with pytest.raises(pymysql.err.MySQLError) as refusal:
                        cursor.execute(statement.format(**names))
                    assert refusal.value.args[0] in DENIED, (statement, schema, table, refusal.value)
                    REFUSED.append(statement)
    figures.note("isolation", statements_on_other_schemas_refused=len(REFUSED))


def first_column(stack: Stack, schema: str, table: str) -> str:
    with connected(stack, schema) as cursor:
        cursor.execute(f"SHOW COLUMNS FROM `{table}`")
        return str(cursor.fetchall()[0][0])


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_user_does_not_even_learn_of_the_others(stack: Stack, service: str) -> None:
    with connected(stack, service, service=service) as cursor:
        cursor.execute("SHOW DATABASES")
        assert {name for (name,) in cursor.fetchall()} == {service, "information_schema"}
        cursor.execute("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema IN %s", (SERVICES,))
        [(seen,)] = cursor.fetchall()
        assert seen == len(tables(stack, service))
        for statement in ("SELECT * FROM mysql.user", "CREATE USER mallory", f"GRANT ALL ON *.* TO {service}"):
            with pytest.raises(pymysql.err.MySQLError):
                cursor.execute(statement)


def test_what_was_asked_is_counted() -> None:
    closed = [route for route in ROUTES if route.who != "anyone"]
    figures.note(
        "isolation",
        routes=len(ROUTES),
        closed_routes=len(closed),
        kinds_of_tokens_refused=len(TOKENS) + 1,
        requests_without_a_right=len(closed) * (1 + len(TOKENS)),
    )
