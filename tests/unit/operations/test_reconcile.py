"""What counts as a difference between the services' books."""

from collections.abc import Sequence
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends

from operations.cloud import Cloud
from operations.reconcile import RESERVATION, SHIPMENT, compare, look, reconcile

ORDER = "01890000-0000-7000-8000-00000000000"


def said(status: str, **changes: Any) -> dict[str, Any]:
    """Books that agree on an order in that status; `changes` are dicts by name, None takes a fact away."""
    paid = 500 if status in ("confirmed", "cancelling", "shipped", "delivered") else 0
    money = {"captured": paid, "refunded": 0}
    facts: dict[str, Any] = {
        "orders": {"status": status, "total": 500, "refunded": 0},
        "payments": {"state": "captured", **money},
        "ledger": money,
    }
    for name, expected in (("inventory", RESERVATION), ("shipping", SHIPMENT)):
        if one := next((one for one in sorted(filter(None, expected[status]))), None):
            facts[name] = {"status": one}
    for name, change in changes.items():
        facts[name] = change and facts.get(name, {}) | change
    return {name: fact for name, fact in facts.items() if fact}


@pytest.mark.parametrize("status", RESERVATION)
def test_books_that_agree_have_no_difference(status: str) -> None:
    assert list(compare(said(status))) == []


REFUNDED = {"captured": 500, "refunded": 500}


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        (said("confirmed", orders=None), "orders does not know it"),
        (said("confirmed", ledger=None), "payments and the provider's ledger differ"),
        (said("confirmed", ledger={"refunded": 1}), "payments and the provider's ledger differ"),
        (said("confirmed", orders={"refunded": 1}), "orders and payments differ in what went back"),
        (said("shipped", payments={"captured": 0}, ledger={"captured": 0}), "it stands without being paid"),
        (said("delivered", payments={"captured": 499}, ledger={"captured": 499}), "it stands without being paid"),
        (said("cancelled", payments={"captured": 500}, ledger={"captured": 500}), "it has ended and money is kept"),
        (said("confirmed", inventory=None), "inventory disagrees"),
        (said("confirmed", inventory={"status": "released"}), "inventory disagrees"),
        (said("shipped", inventory={"status": "reserved"}), "inventory disagrees"),
        (said("confirmed", inventory={"status": "dispatched"}), "inventory disagrees"),
        (said("expired", inventory={"status": "reserved"}), "inventory disagrees"),
        (said("rejected", inventory=None), "inventory disagrees"),
        (said("confirmed", shipping=None), "shipping disagrees"),
        (said("expired", shipping={"status": "preparing"}), "shipping disagrees"),
        (said("cancelled", shipping={"status": "dispatched"}), "shipping disagrees"),
        (said("shipped", shipping={"status": "delivered"}), "shipping disagrees"),
    ],
)
def test_books_that_disagree_are_told_by_what_is_wrong(facts: dict[str, Any], fault: str) -> None:
    assert list(compare(facts)) == [fault]


def test_what_went_back_of_an_order_that_ended_or_by_decision_of_staff_is_no_difference() -> None:
    assert list(compare(said("cancelled", orders={"refunded": 500}, payments=REFUNDED, ledger=REFUNDED))) == []
    part = {"refunded": 100}
    assert list(compare(said("shipped", orders=part, payments=part, ledger=part))) == []


def test_a_service_that_is_not_there_is_not_asked() -> None:
    assert list(compare(said("confirmed", shipping=None), ("orders", "payments", "ledger", "inventory"))) == []


class Books:
    """Consumers that answer page by page, two rows a page."""

    environment = "dev"
    pages = Cloud.pages

    def __init__(self, **rows: Sequence[dict[str, Any]]) -> None:
        self.services = ["orders", "payments", "inventory"]
        self.rows = rows
        self.looks = 0

    def ask(self, service: str, question: str, after: str) -> Sequence[dict[str, Any]]:
        assert service in self.services
        key = {"miscounted": "product_id"}.get(question, "order_id")
        name = service if question == "books" else question
        self.looks += name == "orders" and after == f"{0:08}-0000-0000-0000-000000000000"
        return [row for row in self.rows.get(name, []) if row[key] > after][:2]

    def client(self, service: Any) -> Any:
        return boto3.client(service)

    def heal(self) -> None:
        self.rows["ledger"] = self.rows["payments"]


def five() -> Books:
    def rows(*states: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"order_id": f"{ORDER}{number}", **fields} for number in range(5) for fields in states]

    money = {"captured": 500, "refunded": 0}
    books = Books(
        orders=rows({"status": "confirmed", "total": 500, "refunded": 0}),
        payments=rows({"state": "captured", **money}),
        ledger=rows(money),
        inventory=rows({"status": "reserved"}),
    )
    books.rows["ledger"] = books.rows["ledger"][:3] + books.rows["ledger"][4:]
    return books


@pytest.mark.parametrize("gone", ["orders", "payments", "inventory"])
def test_of_a_service_with_a_stack_of_its_own_nothing_is_missed(gone: str) -> None:
    books = five()
    books.heal()
    books.services.remove(gone)
    assert not look(books).differences  # type: ignore[arg-type]


def test_each_difference_is_one_line_with_its_order_and_what_each_says() -> None:
    compared, [difference] = look(five())  # type: ignore[arg-type]
    assert compared == 5
    assert difference == (
        f"{ORDER}3: payments and the provider's ledger differ (orders: status confirmed total 500 refunded 0; "
        "payments: state captured captured 500 refunded 0; ledger: nothing; inventory: status reserved)"
    )


@mock_aws
def test_a_difference_that_is_gone_at_a_second_look_was_underway(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    books = five()
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert reconcile(books, 1) is False  # type: ignore[arg-type]
    assert f"{ORDER}3: " in capsys.readouterr().out
    assert told() == [1]
    monkeypatch.setattr("time.sleep", lambda _: books.heal())
    assert reconcile(books, 1) is True  # type: ignore[arg-type]
    assert f"{ORDER}3: " not in capsys.readouterr().out
    assert told() == [1, 0]


def told() -> list[float]:
    """The environment's metric, by which somebody is woken: its values so far."""
    metrics = cloudwatch_backends["123456789012"]["ap-northeast-1"].metric_data
    assert {(metric.namespace, metric.name, len(metric.dimensions)) for metric in metrics} == {
        ("Kumiki/dev", "Differences", 0)
    }
    return [float(metric.value) for metric in metrics]


def test_units_that_no_order_holds_are_named_with_their_product() -> None:
    books = Books(miscounted=[{"product_id": ORDER, "reserved": 3, "held": 2}])
    assert look(books).differences == {f"product {ORDER}: 3 reserved, but orders hold 2"}  # type: ignore[arg-type]
