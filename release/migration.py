"""Runs the migrator's task and waits for its end."""

from typing import Any

from release import Refused
from release.stack import outputs
from release.target import Target

WAIT = {"Delay": 5, "MaxAttempts": 180}  # 15 minutes


def run(target: Target, stack: str) -> None:
    """Bring the schemas up to date. Raises Refused when that failed, botocore's WaiterError when it takes too long."""
    found, ecs = outputs(target, stack), target.client("ecs")
    network = {"subnets": found["SubnetIds"].split(","), "securityGroups": [found["SecurityGroupId"]]}
    started = ecs.run_task(
        cluster=found["Cluster"],
        taskDefinition=found["TaskDefinition"],
        capacityProviderStrategy=[{"capacityProvider": "FARGATE"}],
        networkConfiguration={"awsvpcConfiguration": {**network, "assignPublicIp": "DISABLED"}},
        enableECSManagedTags=True,
        propagateTags="TASK_DEFINITION",
    )
    if not started["tasks"]:
        raise Refused(f"the migrator cannot start: {started['failures']}")
    task = started["tasks"][0]["taskArn"]
    print("migrating", flush=True)
    ecs.get_waiter("tasks_stopped").wait(cluster=found["Cluster"], tasks=[task], WaiterConfig=WAIT)
    [ended] = ecs.describe_tasks(cluster=found["Cluster"], tasks=[task])["tasks"]
    if (status := ended["containers"][0].get("exitCode")) != 0:
        raise Refused(f"the migrator ended with {status}: {_reason(ended)}; see log group {found['LogGroup']}")


def _reason(task: dict[str, Any]) -> str:
    return str(task["containers"][0].get("reason") or task.get("stoppedReason"))
