"""What the application's stacks use: functions, queues, tasks, and the front door."""

import re
from collections.abc import Iterator
from typing import Any

from cost.bill import HOURS, MINUTES, Traffic, Use
from cost.platform import GB
from cost.stacks import Resource

UNITS = {"minute": 1, "minutes": 1, "hour": 60, "hours": 60, "day": 1440, "days": 1440}


def requests(traffic: Traffic) -> float:
    """Of an order, from outside."""
    return float(sum(traffic.assumed["requests"].values()))


def api(_: Resource, traffic: Traffic) -> Iterator[Use]:
    yield Use("api-request", per_order=requests(traffic))
    yield Use("transfer-out-gb", per_order=requests(traffic) * traffic.assumed["answer"] / GB)


def stage(stage: Resource, traffic: Traffic) -> Iterator[Use]:
    """Metrics a method are paid like our own, by the hours in which there are any: five of each."""
    if "AccessLogSetting" in stage.properties:
        yield Use("log-gb", per_order=requests(traffic) * traffic.assumed["log_of_an_access"] / GB)
    if stage.properties.get("TracingEnabled"):
        yield Use("trace", per_order=requests(traffic) * traffic.assumed["traced"])
    if any(each.get("MetricsEnabled") for each in stage.properties.get("MethodSettings", [])):
        [api] = [each["Properties"] for each in stage.beside.values() if each["Type"] == "AWS::ApiGateway::RestApi"]
        methods = sum(len(path.keys() - {"options"}) for path in api["Body"]["paths"].values())
        yield Use("metric-month", per_order=5 * requests(traffic) / HOURS, most=5 * methods)


def user_pool(pool: Resource, traffic: Traffic) -> Iterator[Use]:
    tier = str(pool.properties.get("UserPoolTier", "ESSENTIALS")).lower()
    yield Use(f"user-month-{tier}", per_order=1 / traffic.assumed["orders_of_a_customer"])


def client(client: Resource, traffic: Traffic) -> Iterator[Use]:
    """Of a service: a worker keeps a token for an hour, so there are never more than that."""
    if "client_credentials" in client.properties.get("AllowedOAuthFlows", []):
        callees = len(client.properties["AllowedOAuthScopes"])
        yield Use("service-token", per_order=callees, most=callees * HOURS * 2 * traffic.assumed["workers"])


def function(function: Resource, traffic: Traffic) -> Iterator[Use]:
    """An invocation a request, a message, and a minute in which it sweeps."""
    counted, assumed, properties = traffic.counted, traffic.assumed, function.properties
    service, gb = function.name.removesuffix("Api").removesuffix("Consumer").lower(), properties["MemorySize"] / 1024
    is_api = function.name.endswith("Api")
    per_order = (assumed["requests"] if is_api else counted["messages"]).get(service, 0)
    sweeps = sum(_times(each["Properties"]) for each in function.beside.values() if _calls(each, function.name))
    seconds = assumed["sweep_ms"] / 1000 * sweeps, assumed["api_ms" if is_api else "consumer_ms"] / 1000 * per_order
    yield Use("lambda-request", sweeps, per_order)
    yield Use(f"lambda-gb-second-{properties['Architectures'][0]}", gb * seconds[0], gb * seconds[1])
    yield Use("log-gb", *(assumed["log_of_an_invocation"] * times / GB for times in (sweeps, per_order)))
    if not is_api and properties.get("TracingConfig", {}).get("Mode") == "Active":  # of requests, the API decides
        yield Use("trace", sweeps, per_order * assumed["traced"])
    if function.name == "NotificationsConsumer":
        yield Use("mail", per_order=counted["mails"])


def schedule(schedule: Resource, _: Traffic) -> Iterator[Use]:
    yield Use("schedule", _times(schedule.properties))


def queue(queue: Resource, traffic: Traffic) -> Iterator[Use]:
    """A message is sent, received and deleted; who listens asks also when there is none."""
    if "RedrivePolicy" in queue.properties:
        service = queue.properties["QueueName"].split("-")[2]
        polls = traffic.assumed["polls_of_a_minute"] * MINUTES
        yield Use("queue-request", polls, 3 * traffic.counted["messages"][service])


def bus(_: Resource, traffic: Traffic) -> Iterator[Use]:
    yield Use("event", per_order=traffic.counted["events"])


def archive(archive: Resource, traffic: Traffic) -> Iterator[Use]:
    gb = traffic.counted["events"] * traffic.assumed["event"] / GB
    yield Use("archive-gb", per_order=gb)
    yield Use("archive-gb-month", per_order=gb * int(archive.properties["RetentionDays"]) / 30)


def service(service: Resource, traffic: Traffic) -> Iterator[Use]:
    """As many tasks as there are at least; what load adds for a while is not counted."""
    kinds = {each["Type"]: each["Properties"] for each in service.beside.values()}
    task = kinds["AWS::ECS::TaskDefinition"]
    tasks = int(kinds["AWS::ApplicationAutoScaling::ScalableTarget"]["MinCapacity"])
    architecture = str(task["RuntimePlatform"]["CpuArchitecture"]).lower()
    yield Use(f"fargate-processor-hour-{architecture}", tasks * HOURS * int(task["Cpu"]) / 1024)
    yield Use(f"fargate-gb-hour-{architecture}", tasks * HOURS * int(task["Memory"]) / 1024)
    yield Use("instance-month", tasks)
    lines = requests(traffic) + traffic.assumed["calls"]
    yield Use("log-gb", per_order=lines * traffic.assumed["log_of_an_invocation"] / GB / 6)
    if service.stack == "Notifications":
        yield Use("mail", per_order=traffic.counted["mails"])


def balancer(_: Resource, traffic: Traffic) -> Iterator[Use]:
    """A capacity unit takes 25 new connections a second, and each request is one."""
    yield Use("balancer-hour", HOURS)
    yield Use("balancer-capacity-hour", per_order=requests(traffic) / (25 * 3600))


def zone(_: Resource, __: Traffic) -> Iterator[Use]:
    yield Use("zone-month", 1)


def repository(_: Resource, traffic: Traffic) -> Iterator[Use]:
    yield Use("image-gb", traffic.assumed["images"] * traffic.assumed["image_gb"])


def _times(schedule: dict[str, Any]) -> float:
    """Of a month. Raises ValueError for another form than rate(…)."""
    found = re.fullmatch(r"rate\((\d+) (\w+)\)", schedule["ScheduleExpression"])
    if found is None:
        raise ValueError(schedule["ScheduleExpression"])
    return MINUTES / (int(found[1]) * UNITS[found[2]])


def _calls(resource: dict[str, Any], function: str) -> bool:
    target = resource.get("Properties", {}).get("Target", {}).get("Arn", "")
    return resource["Type"] == "AWS::Scheduler::Schedule" and bool(re.match(rf"\$\{{{function}(Alias|\.|\}})", target))
