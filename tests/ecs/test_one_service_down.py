"""With one service wholly down, others answer what they can; what was begun is finished when it is up again."""

from localcloud.stack import SERVICES
from tests.e2e.shop import new_key, request
from tests.ecs.conftest import Trial
from tests.ecs.load import Attempt, Load
from tests.faults import figures

NEEDED_TO_ORDER = ("catalog", "inventory", "orders", "payments")
GATEWAY_SECONDS = 29
"""So long API Gateway waits for an answer."""
IN_SHORT = ("payments", "shipping")


def test_with_one_service_down_others_answer_and_nobody_is_stuck_when_it_is_up_again(
    trial: Trial, long: bool, thorough: None
) -> None:
    in_turn = SERVICES if long else IN_SHORT
    with trial.load() as load:
        order, key = request({load.product_id: 1}), new_key()
        order_id = load.ask(load.alice, "POST", "/orders", order, key)["order_id"]
        for service in in_turn:
            key = new_key()
            trial.ecs.down(service)
            try:
                placed = load.once(load.alice, "POST", "/orders", order, key)
                read = read_all(load, order_id)
            finally:
                trial.ecs.up(service)
                trial.pass_time()
            assert load.ask(load.alice, "POST", "/orders", order, key)["status"] == "confirmed"

            check(placed, 503 if service in NEEDED_TO_ORDER else 201)
            for name, answer in read.items():
                check(answer, 503 if name == service else 200)
            note(trial, service, placed)
            load.go_on()
    trial.agree(load)
    trial.note(**{"services down in turn": len(in_turn), "orders meanwhile and after": len(load.placed)})


def read_all(load: Load, order_id: str) -> dict[str, Attempt]:
    """By service, what it answers who looks at something."""
    paths = {
        "catalog": f"/products/{load.product_id}",
        "inventory": f"/stock/{load.product_id}",
        "orders": f"/orders/{order_id}",
        "payments": f"/payments/{order_id}",
        "shipping": f"/shipments/{order_id}",
    }
    return {service: load.once(load.alice, "GET", path) for service, path in paths.items()}


def check(answer: Attempt, status: int) -> None:
    assert answer.status == status, answer
    assert status != 503 or answer.retry_after, answer
    assert answer.ended - answer.began < GATEWAY_SECONDS


def note(trial: Trial, service: str, placed: Attempt) -> None:
    """What an order was answered with that service down."""
    if trial.ecs.discovery == "cloud-map":
        figures.note("designs.ecs", **{f"{service} down": [placed.status, placed.ended - placed.began]})
