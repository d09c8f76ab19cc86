"""What the stacks of infra/ use, and what both designs have."""

import json
from collections.abc import Iterator

from cost.bill import HOURS, MINUTES, Traffic, Use, prices
from cost.stacks import Resource

GB = 1e9
EMBEDDED = "Kumiki"
"""Namespaces of metrics of our own begin with it; those of AWS's services are free."""


def nat_gateway(nat: Resource, traffic: Traffic) -> Iterator[Use]:
    """Traffic is shared out among all there are."""
    among = sum(each["Type"] == nat.kind for each in nat.beside.values())
    out = traffic.counted["events"] * traffic.assumed["put_events"] + traffic.counted["mails"] * traffic.assumed["mail"]
    yield Use("nat-hour", HOURS)
    yield Use("nat-gb", per_order=out / GB / among)


def address(_: Resource, __: Traffic) -> Iterator[Use]:
    yield Use("public-address-hour", HOURS)


def endpoint(endpoint: Resource, _: Traffic) -> Iterator[Use]:
    """An interface in each of two zones; gateways are free."""
    if endpoint.properties["VpcEndpointType"] == "Interface":
        yield Use("endpoint-hour", 2 * HOURS)


def flow_log(_: Resource, traffic: Traffic) -> Iterator[Use]:
    assumed = traffic.assumed
    yield Use("log-gb", assumed["flows_of_an_hour"] * HOURS / GB, assumed["flows_of_an_order"] / GB)


def database(database: Resource, traffic: Traffic) -> Iterator[Use]:
    """Backups up to the size of the storage are free."""
    properties = database.properties
    servers = 2 if properties["MultiAZ"] is True else 1
    yield Use(_class(properties), servers * HOURS)
    yield Use("rds-gp3-gb", servers * float(properties["AllocatedStorage"]))
    yield Use("log-gb", traffic.assumed["figures_of_a_database_minute"] * MINUTES / GB)
    if properties.get("ManageMasterUserPassword"):
        yield Use("secret-month", 1)


def proxy(proxy: Resource, _: Traffic) -> Iterator[Use]:
    [database] = [each["Properties"] for each in proxy.beside.values() if each["Type"] == "AWS::RDS::DBInstance"]
    yield Use("rds-proxy-processor-hour", prices()[_class(database)]["processors"] * HOURS)


def key(key: Resource, traffic: Traffic) -> Iterator[Use]:
    among = sum(each["Type"] == key.kind for each in key.beside.values())
    yield Use("key-month", 1)
    yield Use("key-request", per_order=traffic.assumed["key_requests"] / among)


def secret(_: Resource, __: Traffic) -> Iterator[Use]:
    yield Use("secret-month", 1)


def alarm(alarm: Resource, _: Traffic) -> Iterator[Use]:
    """An alarm is paid by each metric that it looks at; a metric of our own costs besides, once."""
    metrics = [each for each in alarm.properties.get("Metrics", []) if "MetricStat" in each]
    yield Use("alarm-month", max(len(metrics), 1))
    first = next(each for each in alarm.beside.values() if _metric(each) == _metric(alarm.beside[alarm.name]))
    if first is alarm.beside[alarm.name] and str(alarm.properties.get("Namespace", "")).startswith(EMBEDDED):
        yield Use("metric-month", 1)


def dashboard(_: Resource, __: Traffic) -> Iterator[Use]:
    yield Use("dashboard-month", 1)


def firewall(firewall: Resource, traffic: Traffic) -> Iterator[Use]:
    yield Use("firewall-month", 1)
    yield Use("firewall-rule-month", len(firewall.properties.get("Rules", [])))
    yield Use("firewall-request", per_order=sum(traffic.assumed["requests"].values()))


def _metric(resource: dict[str, object]) -> str:
    properties = resource.get("Properties", {})
    assert isinstance(properties, dict)
    return json.dumps([properties.get(name) for name in ("Namespace", "MetricName", "Dimensions")])


def _class(database: dict[str, object]) -> str:
    return "rds-" + str(database["DBInstanceClass"]).replace(".", "-")
