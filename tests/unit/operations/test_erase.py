"""What is asked of services that know a customer."""

import pytest

from operations.erase import erase


class Shop:
    """Two services, of which one still needs an address."""

    services = ("orders", "shipping")

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def ask(self, service: str, question: str, about: str) -> list[dict[str, int]]:
        self.asked.append((service, question, about))
        return [{"erased": 2, "underway": int(service == "shipping")}]


def test_a_service_with_a_stack_of_its_own_is_named_and_all_others_are_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = Shop()
    assert not erase(shop, "customer")  # type: ignore[arg-type]
    assert shop.asked == [("orders", "erase", "customer"), ("shipping", "erase", "customer")]
    assert capsys.readouterr().out.splitlines() == [
        "orders: 2 erased",
        "payments: not in this stack, and to be asked in its own",
        "shipping: 2 erased, 1 still underway",
        "notifications: not in this stack, and to be asked in its own",
    ]
