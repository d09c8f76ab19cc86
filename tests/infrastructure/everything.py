"""All templates of both designs as prod would have them."""

from collections.abc import Iterator
from functools import cache

from tests.infrastructure.ecs_design import MODES, design
from tests.infrastructure.monitoring import DESIGNS, monitoring
from tests.infrastructure.templates import Stack, stack


@cache
def everything() -> list[Stack]:
    return list(_templates())


def _templates() -> Iterator[Stack]:
    yield stack("template.yaml", Environment="prod", GradualDeployment="true")
    yield stack("infra/database.yaml", Environment="prod")
    yield stack("infra/network.yaml", Environment="prod")
    yield stack("infra/endpoints.yaml", Environment="prod", ContainerEndpoints="true")
    yield stack(
        "infra/subscription.yaml",
        Environment="prod",
        Consumer="orders",
        EventBusName="kumiki-prod",
        MessagesKeyArn="arn:aws:kms:ap-northeast-1:123456789012:key/1",
        ConsumerFunction="kumiki-prod-OrdersConsumer-1",
        Concurrency="20",
        Sources="catalog",
        DetailTypes="ProductAdded",
        VisibilitySeconds="90",
    )
    yield stack("infra/bus.yaml", Environment="prod", MessagesKeyArn="key", ArchiveDays="30")
    for in_design in DESIGNS:
        watching = monitoring(in_design, "prod")
        yield from (watching.stack, *watching.services.values())
    for mode in MODES:
        ecs = design(mode, environment="prod")
        yield from (
            ecs.template,
            ecs.identity,
            ecs.cluster,
            ecs.front_door,
            *ecs.services.values(),
            ecs.migrator,
            ecs.repository,
        )
