"""How much runs at once, and whether the database was sized for it."""

import tomllib
from typing import Any

import pytest

from tests.infrastructure.lambda_design import CONSUMERS, FUNCTIONS, SUBSCRIBERS, Shop, shop_of
from tests.infrastructure.templates import ROOT, Stack, stack

MEMORY_GIB = {"db.t4g.micro": 1, "db.t4g.small": 2, "db.m8g.large": 8, "db.m8g.xlarge": 16}
"""Of classes of RDS, https://aws.amazon.com/rds/instance-types/"""

HEADROOM = 1.3  # AWS's advice for MaxConnectionsPercent: the proxy moves connections between its own nodes
ACCOUNT_QUOTA, KEPT_FREE = 1000, 100  # executions; Lambda lets nobody reserve the last hundred
CLIENTS_OF_RDS = 3  # its own monitoring, and somebody who looks


def database(environment: str) -> Stack:
    """As infra/samconfig.toml has it deployed."""
    configuration = tomllib.loads((ROOT / "infra/samconfig.toml").read_text(encoding="utf-8"))
    overrides = configuration[f"{environment}-database"]["deploy"]["parameters"]["parameter_overrides"]
    given = dict(override.split("=", 1) for override in overrides)
    names = given.keys() - {"VpcId", "PrivateSubnetIds"}  # names in Parameter Store
    return stack("infra/database.yaml", **{name: given[name] for name in names})


def class_of(environment: str) -> str:
    return str(database(environment).properties("Database")["DBInstanceClass"])


def max_connections(instance_class: str) -> int:
    """DBInstanceClassMemory/12582880, where the system and RDS itself have taken a quarter of the memory before."""
    return int(0.75 * MEMORY_GIB[instance_class] * 2**30 / 12582880)


def pool(environment: str) -> int:
    """Connections that the proxy may open to the database."""
    info = database(environment).properties("ProxyTargets")
    percent = int(info["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"])
    return max_connections(class_of(environment)) * percent // 100


def reserved(function: dict[str, Any]) -> int | None:
    value = function.get("ReservedConcurrentExecutions")
    return None if value is None else int(value)


def asked_for(shop: Shop) -> dict[str, int]:
    """Executions that each queue may ask of its consumer at once."""
    mappings = {name: shop.nested[f"{name}Subscription"].properties("QueueToConsumer") for name in SUBSCRIBERS}
    return {name: int(mapping["ScalingConfig"]["MaximumConcurrency"]) for name, mapping in mappings.items()}


def test_in_prod_all_functions_at_once_have_a_connection_of_the_pool_each_and_some_are_left() -> None:
    shop = shop_of("prod")
    at_once = [reserved(shop.functions[name]) for name in FUNCTIONS]
    assert None not in at_once
    assert sum(filter(None, at_once)) * HEADROOM <= pool("prod")


def test_the_migrator_and_rds_itself_have_what_the_pool_leaves() -> None:
    for environment in ("dev", "prod"):
        left = max_connections(class_of(environment)) - pool(environment)
        assert left >= 1 + CLIENTS_OF_RDS
    assert reserved(shop_of("prod").functions["Migrator"]) == 1


def test_in_dev_whose_functions_have_no_limit_the_proxy_lets_them_take_turns_and_queues_are_no_crowd() -> None:
    # A connection is held for a transaction, some milliseconds: some dozens of them serve thousands a second, and who
    # finds none for 5 s is told 503. Only what comes by itself, from queues and schedules, has to fit in as it comes.
    shop = shop_of("dev")
    assert sum(asked_for(shop).values()) + len(CONSUMERS) <= pool("dev")


def test_reservations_are_off_where_an_account_may_be_new(shop: Shop) -> None:
    off = {reserved(function) for function in shop.functions.values()} == {None}
    assert off == (shop.environment != "prod")


def test_prod_leaves_lambda_what_it_wants_to_keep_free_of_an_ordinary_quota() -> None:
    at_once = [reserved(function) or 0 for function in shop_of("prod").functions.values()]
    assert sum(at_once) <= ACCOUNT_QUOTA - KEPT_FREE


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_a_queue_asks_for_less_than_its_consumer_has_so_that_nothing_is_thrown_back(environment: str) -> None:
    shop = shop_of(environment)
    for name, most in asked_for(shop).items():
        limit = reserved(shop.functions[f"{name}Consumer"])
        assert most >= 2
        assert limit is None or most + 2 <= limit  # besides: the sweep, and somebody who asks a question


def test_the_emulator_which_takes_the_number_for_text_is_not_told_it() -> None:
    for name in SUBSCRIBERS:
        assert "ScalingConfig" not in shop_of("local").nested[f"{name}Subscription"].properties("QueueToConsumer")
