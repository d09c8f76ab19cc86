"""While customers order and staff work, tasks die, are replaced, and hang: no answer is wrong, and what fails is what
was in flight. Afterwards money and stock agree, there is an order a key, and nothing is left to be done."""

import socket
import time
from collections.abc import Sequence
from typing import Any

from localcloud.ecs.graph import PORT
from tests.e2e.waiting import eventually
from tests.ecs.conftest import Trial
from tests.ecs.load import CALLERS, Load, Request
from tests.faults import figures

HANGING = ("orders", "inventory", "payments")
ATTEMPT_SECONDS = 3  # then a service asks another task
REGISTRY_SECONDS = 5
TRIES = 10


def said(requests: Sequence[Request]) -> str:
    return "\n".join(map(str, requests))


def silent(task: Any) -> bool:
    """Nobody listens there any more: the system closes what a killed process had a moment after it is gone."""
    try:
        socket.create_connection((task.address, PORT), 1).close()
    except OSError:
        return True
    return False


def kill_in_flight(load: Load, task: Any) -> int:
    """How many requests failed of it. All of them were in flight when it died, and no other one fails."""
    before, began = {id(request) for request in load.failed}, time.monotonic()
    task.kill()
    eventually(lambda: not task.pids and silent(task), 60)
    gone = time.monotonic()
    load.go_on()
    failed = [request for request in load.failed if id(request) not in before]
    late = [each for each in failed if not each.failures[0].began <= gone or each.failures[0].ended < began]
    assert not late, said(late)
    assert len(failed) <= CALLERS
    return len(failed)


def test_a_task_that_is_killed_fails_only_what_was_in_flight(trial: Trial, long: bool) -> None:
    with trial.load() as load:
        load.go_on()
        for service in ("orders", "payments", "inventory", "shipping") if long else ("orders", "payments"):
            failed = kill_in_flight(load, trial.ecs.tasks(service)[0])
            trial.note(**{f"requests failed by the kill of a task of {service}": failed})
            trial.ecs.settle()
        load.go_on()
    trial.agree(load)
    trial.note(**{"requests around kills": len(load.requests), "second orders": 0})


def test_no_request_fails_by_a_rolling_update_or_when_a_task_is_asked_to_end(trial: Trial, long: bool) -> None:
    services = ("orders", "inventory", "payments", "catalog") if long else ("orders", "inventory")
    with trial.load() as load:
        load.go_on()
        for service in services:
            began = time.monotonic()
            trial.ecs.roll(service)
            figures.note("designs.ecs", **{f"update of {service}": time.monotonic() - began})
            load.go_on()
        assert trial.ecs.stop(trial.ecs.tasks("payments")[0]) == 0
        load.go_on()
    assert not load.failed, said(load.failed)
    trial.agree(load)
    trial.note(**{"requests around rolling updates": len(load.requests), "of which failed": 0})


def test_control_tasks_that_are_killed_cost_requests_and_repeats_without_keys_make_second_orders(
    trial: Trial, thorough: None
) -> None:
    with trial.load(keyed=False, stories=("kept",)) as load:
        for _ in range(TRIES):
            load.go_on()
            for task in trial.ecs.tasks("orders"):
                task.kill()
            trial.ecs.settle()
            load.go_on()
            trial.books.read()
            if len(trial.books.orders) > load.finished + CALLERS:
                break
    trial.rest()
    trial.books.read()
    assert load.failed
    assert len(trial.books.orders) > load.finished


def test_tasks_that_hang_are_replaced_or_come_back_and_do_no_harm(trial: Trial, long: bool, thorough: None) -> None:
    with trial.load() as load:
        load.go_on()
        hanging = [trial.ecs.tasks(service)[0] for service in HANGING]
        for task in hanging:
            task.pause()
        time.sleep(ATTEMPT_SECONDS + 1)  # what they had begun has been done by others
        back = hanging if long else hanging[:1]
        for task in back:
            task.resume()
        for_good = [trial.ecs.tasks(service)[-1] for service in HANGING] if long else hanging[1:]
        for task in for_good:
            task.pause()
        eventually(lambda: not any(task in trial.ecs.tasks(task.service) for task in for_good), 120)
        trial.ecs.settle()
        load.go_on()
    trial.agree(load)
    hung = {*hanging, *for_good}
    trial.note(**{"tasks that hung": len(hung), "requests repeated for them": len(load.failed)})
    print(f"with tasks that hang, the longest wait for an answer was {load.longest:.1f} s")


def test_a_registry_that_is_late_costs_no_more_than_the_task_that_died(trial: Trial, thorough: None) -> None:
    trial.ecs.delay_registry(REGISTRY_SECONDS)
    with trial.load() as load:
        load.go_on()
        for service in ("inventory", "payments"):
            failed = kill_in_flight(load, trial.ecs.tasks(service)[0])
            trial.note(**{f"with a late registry, requests failed by the kill of a task of {service}": failed})
        time.sleep(REGISTRY_SECONDS)
        load.go_on()
    trial.agree(load)
    print(f"with a late registry, the longest wait for an answer was {load.longest:.1f} s")
