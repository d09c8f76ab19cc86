"""What wakes somebody: each alarm watches what there is, goes off when it should, not before, and says what to do."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.infrastructure import ecs_design
from tests.infrastructure.emitted import AWS, counted, services_that_count, written
from tests.infrastructure.monitoring import DESIGNS, SERVICES, WHERE, Alarm, Metric, monitoring, things
from tests.infrastructure.templates import ROOT, Stack, load, stack

OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ALL = {where: monitoring(*where) for where in WHERE}
DEADLINE = int(load("template.yaml")["Parameters"]["OrderDeadlineSeconds"]["Default"])

KINDS = ("Api", "Consumer")
SUBSCRIBERS = set(SERVICES) - {"catalog"}
CALLERS = {"orders", "inventory", "payments", "shipping"}
JOURNALS = {"orders", "payments", "shipping"}
OF_EACH = {"RequestsFailed": set(SERVICES), "OutboxAge": set(SERVICES), "OutboxParked": set(SERVICES)}
OF_EACH |= {"OrdersOverdue": {"orders"}, "CancellationsUnanswered": {"orders"}, "MailsGivenUp": {"notifications"}}
OF_ITS_OWN = {
    "functions": {
        **{f"{kind}{what}": set(SERVICES) for kind in KINDS for what in ("Errors", "Throttles")},
        **dict.fromkeys(("MessagesFailed", "QueueAge", "DeadLetters"), SUBSCRIBERS),
    },
    "containers": {
        **{name: set(SERVICES) for name in ("TargetFailures", "TasksMissing", "TasksUnhealthy")},
        **dict.fromkeys(("JournalAge", "JournalParked"), JOURNALS),
        "ServiceTokensUnavailable": CALLERS,
    },
}
SHARED = {"ApiFailures", "ApiLatency", "DatabaseProcessor", "DatabaseStorage", "DatabaseConnections", "PinnedSessions"}
SHARED |= {"Differences"}
SHORT = {"OrdersOverdue": "overdue", "ServiceTokensUnavailable": "service-tokens"}
"""Names that do not tell the whole logical id."""


# What is watched


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_each_service_is_watched_for_what_can_happen_to_it(design: str, environment: str) -> None:
    found = ALL[design, environment]
    watched = {(alarm.service, alarm.logical_id) for alarm in found.alarms}
    of_services = {(s, name) for name, services in (OF_EACH | OF_ITS_OWN[design]).items() for s in services}
    shared = {(None, name) for name in SHARED | ({"Concurrency", "BusDeadLetters"} if design == "functions" else set())}
    assert watched == of_services | shared
    shortened = [alarm for alarm in found.alarms if alarm.logical_id in SHORT]
    assert all(alarm.name.endswith(f"-{alarm.service}-{SHORT[alarm.logical_id]}") for alarm in shortened)
    declared = load("infra/service_alarms.yaml")["Parameters"]
    for nested in found.stack.of_type("AWS::CloudFormation::Stack").values():
        for name, value in nested["Parameters"].items():
            assert value in declared[name].get("AllowedValues", [value])


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_whatever_is_watched_or_shown_is_really_told_to_cloudwatch(design: str, environment: str) -> None:
    found = ALL[design, environment]
    for metric in [metric for alarm in found.alarms for metric in alarm.metrics] + found.shown:
        names = tuple(name for name, _ in metric.dimensions)
        if metric.namespace in AWS:
            assert names in AWS[metric.namespace][metric.name], metric
        elif metric.name == "Differences":  # told by `make reconcile`: tests/unit/operations/test_reconcile.py
            assert metric == Metric(f"Kumiki/{environment}", "Differences", ())
        else:
            telling = services_that_count(metric.name, design)
            [(_, service)] = metric.dimensions
            assert service in telling if service else telling, metric
            namespace, dimensions = written(f"Kumiki/{environment}", "orders")
            assert (metric.namespace, names) == (namespace, tuple(name for name, _ in dimensions)), metric


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_functions_and_tasks_write_their_metrics_where_they_are_looked_for(design: str, environment: str) -> None:
    if design == "containers":
        made = ecs_design.design("CLOUD_MAP", environment=environment)
        settings = [made.environment(service) for service in SERVICES]
    else:
        functions = ALL[design, environment].outer.of_type("AWS::Lambda::Function")
        settings = [
            f["Environment"]["Variables"] for name, f in functions.items() if name.endswith(("Api", "Consumer"))
        ]
    told = {(s["POWERTOOLS_METRICS_NAMESPACE"], s["POWERTOOLS_SERVICE_NAME"]) for s in settings}
    assert told == {(f"Kumiki/{environment}", service) for service in SERVICES}


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_nothing_keeps_cloudwatch_from_reading_metrics_out_of_the_log(design: str, environment: str) -> None:
    """Log groups for infrequent access have none read, and Lambda holds back lines below the level that it is given."""
    made = [ALL[design, environment].outer]
    if design == "containers":
        made += ecs_design.design("CLOUD_MAP", environment=environment).services.values()
    groups = [group for each in made for group in each.of_type("AWS::Logs::LogGroup").values()]
    assert {group.get("LogGroupClass", "STANDARD") for group in groups} <= {"STANDARD"}
    functions = [f for each in made for f in each.of_type("AWS::Lambda::Function").values()]
    levels = {f.get("LoggingConfig", {}).get("ApplicationLogLevel", "INFO") for f in functions}
    assert levels <= {"INFO", "DEBUG", "TRACE"}
    drivers = [c["LogConfiguration"]["LogDriver"] for each in made for c in _containers(each)]
    assert set(drivers) == ({"awslogs"} if design == "containers" else set())


def _containers(made: Stack) -> list[dict[str, Any]]:
    return [c for task in made.of_type("AWS::ECS::TaskDefinition").values() for c in task["ContainerDefinitions"]]


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_what_is_watched_is_what_the_other_stacks_make(design: str, environment: str) -> None:
    found = ALL[design, environment]
    there = things(design, environment)
    for metric in [metric for alarm in found.alarms for metric in alarm.metrics] + found.shown:
        for name, value in metric.dimensions:
            if value and name != "service":
                assert value in there[name], metric
    for alarm in found.alarms:
        for metric in alarm.metrics if alarm.service else []:
            named = {name: value for name, value in metric.dimensions if name != "LoadBalancer"}
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", ",".join(named.values())).lower()
            assert alarm.service in re.split(r"\W+", words), metric  # its own, not another's
            if function := named.get("FunctionName"):
                assert function.endswith(f"{re.match('Api|Consumer', alarm.logical_id)[0]}}}"), metric  # type: ignore[index]
            if queue := named.get("QueueName"):
                assert queue.endswith("-dead-letters") is (alarm.logical_id == "DeadLetters")


# When it goes off. Each is: bad; not bad, just; how many bad minutes of how many; what silence means.

SILENT, ALARMING, AS_BEFORE = "no alarm", "alarm", "as before"
HAPPENS = ([1], [0], 2, 5, SILENT)  # counted when it happens: in two minutes of five
GIVEN_UP = ([1], [0], 1, 1, AS_BEFORE)  # looked at by each sweep: at once
BEHAVES: dict[str, tuple[Sequence[float], Sequence[float], int, int, str]] = {
    "RequestsFailed": HAPPENS,
    "OutboxAge": ([0, 121], [0, 120], 3, 3, ALARMING),
    "OutboxParked": GIVEN_UP,
    "OrdersOverdue": GIVEN_UP,
    "CancellationsUnanswered": ([1, 0], [0, 0], 2, 5, AS_BEFORE),
    "MailsGivenUp": ([1], [0], 1, 1, SILENT),
    "JournalAge": ([0, 301], [0, 300], 1, 1, AS_BEFORE),
    "JournalParked": GIVEN_UP,
    "ServiceTokensUnavailable": HAPPENS,
    "ApiErrors": HAPPENS,
    "ApiThrottles": HAPPENS,
    "ConsumerErrors": HAPPENS,
    "ConsumerThrottles": HAPPENS,
    "MessagesFailed": ([1], [0], 4, 10, SILENT),
    "QueueAge": ([0, 301], [0, 300], 1, 1, SILENT),
    "DeadLetters": ([0, 1], [0, 0], 1, 1, SILENT),
    "TargetFailures": HAPPENS,
    "TasksMissing": ([1, 2], [2, 3], 5, 5, ALARMING),
    "TasksUnhealthy": ([0, 1], [0, 0], 10, 10, SILENT),
    "ApiFailures": ([1, 1, *[0] * 98], [1, *[0] * 99], 3, 5, SILENT),
    "BusDeadLetters": ([0, 1], [0, 0], 1, 1, SILENT),
    "Concurrency": ([1, 801], [1, 800], 3, 3, SILENT),
    "DatabaseProcessor": ([81], [80], 10, 10, ALARMING),
    "DatabaseStorage": ([2**40, 2**30 - 1], [2**40, 2**30], 5, 5, AS_BEFORE),
    "PinnedSessions": ([0, 1], [0, 0], 3, 3, SILENT),
    "Differences": ([0, 7], [0, 0], 1, 1, AS_BEFORE),
}
LATENCY = {"functions": 3000.0, "containers": 10_000.0}


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_an_alarm_goes_off_after_so_many_bad_minutes_and_not_before(design: str, environment: str) -> None:
    for alarm in ALL[design, environment].alarms:
        if alarm.logical_id in BEHAVES:
            behaves(alarm, *BEHAVES[alarm.logical_id])
        elif alarm.logical_id == "ApiLatency":
            worst, fine = [1.0] * 98 + 2 * [LATENCY[design] + 1], [1.0] * 98 + 2 * [LATENCY[design]]
            behaves(alarm, worst, fine, 3, 5, SILENT)
            assert not alarm.goes_off([[1.0] * 199 + [LATENCY[design] * 5]] * 5)  # one of two hundred
            assert alarm.properties["EvaluateLowSampleCountPercentile"] == "ignore"
        else:
            assert alarm.logical_id == "DatabaseConnections"


def behaves(alarm: Alarm, bad: Sequence[float], good: Sequence[float], minutes: int, of: int, silence: str) -> None:
    fine = [good] * 20
    assert not alarm.goes_off(fine, before=True), alarm.name
    assert alarm.goes_off([*fine, *[bad] * minutes]), alarm.name
    assert not alarm.goes_off([*fine, *[bad] * (minutes - 1)]), alarm.name
    if of > minutes:  # also when they are not in a row, but not when they are too long ago
        apart = [bad] * (minutes - 1) + [good] * (of - minutes)
        assert alarm.goes_off([*fine, *apart, bad]), alarm.name
        assert not alarm.goes_off([*fine, *apart, good, bad]), alarm.name
    for before in (True, False):
        assert alarm.goes_off([[]] * 20, before) == {SILENT: False, ALARMING: True, AS_BEFORE: before}[silence], (
            alarm.name
        )


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_connections_are_too_many_at_four_fifths_of_what_the_proxy_may_open(
    design: str,
    environment: str,
) -> None:
    given = ALL[design, environment].alarm(None, "DatabaseConnections").properties
    [used] = [query for query in given["Metrics"] if query.get("ReturnData") is True]
    named = {query["Id"]: query["MetricStat"]["Metric"]["MetricName"] for query in given["Metrics"] if query != used}
    assert all(query["ReturnData"] is False for query in given["Metrics"] if query != used)
    assert named == {"open": "DatabaseConnections", "allowed": "MaxDatabaseConnectionsAllowed"}
    assert used["Id"] == "used"
    for opened, allowed, breaching in ((61, 76, True), (60, 76, False), (801, 1000, True), (800, 1000, False)):
        value = eval(used["Expression"], {}, {"open": opened, "allowed": allowed})
        assert (value > given["Threshold"]) is breaching
    assert (given["ComparisonOperator"], given["EvaluationPeriods"]) == ("GreaterThanThreshold", 5)
    assert (given["TreatMissingData"], "DatapointsToAlarm" in given) == ("notBreaching", False)


# Whether the numbers fit what they are about


def test_whoever_is_woken_has_more_than_half_of_an_orders_deadline_left() -> None:
    found = ALL["functions", "prod"]
    for name in ("OutboxAge", "QueueAge"):
        given = found.alarm("orders", name).properties
        seconds = float(given["Threshold"]) + given["Period"] * given["EvaluationPeriods"]
        assert seconds < DEADLINE / 2, name


def test_events_are_late_when_two_sweeps_have_not_sent_them() -> None:
    sweeps = 60  # rate(1 minute), of what is older than 10 s
    assert float(ALL["functions", "prod"].alarm("orders", "OutboxAge").properties["Threshold"]) == 2 * sweeps
    assert "OVERDUE_AFTER_SECONDS = 120 " in (ROOT / "services/orders/use_cases.py").read_text(encoding="utf-8")


def test_messages_fail_before_the_first_of_them_is_a_dead_letter() -> None:
    subscription = load("infra/subscription.yaml")
    receives = subscription["Parameters"]["MaxReceives"]["Default"]
    visible = load("template.yaml")["Parameters"]["QueueVisibilitySeconds"]["Default"]
    alarm, second = ALL["functions", "prod"].alarm("orders", "MessagesFailed"), 0
    for delivery in range(1, receives):
        minutes = [
            [1.0] if any(60 * m <= visible * d < 60 * (m + 1) for d in range(delivery)) else [] for m in range(60)
        ]
        second = visible * (delivery - 1)
        assert alarm.goes_off(minutes[: second // 60 + 1]) == (delivery == receives - 1)


def test_tasks_are_missed_when_there_are_fewer_than_the_least() -> None:
    least = load("ecs/service.yaml")["Resources"]["Scaling"]["Properties"]["MinCapacity"]
    for service in SERVICES:
        assert int(ALL["containers", "prod"].alarm(service, "TasksMissing").properties["Threshold"]) == least


def test_storage_is_short_when_the_database_should_have_grown_it() -> None:
    tenth = 0.1 * 2**30 * load("infra/database.yaml")["Parameters"]["StorageGib"]["Default"]  # RDS grows it below that
    assert float(ALL["functions", "dev"].alarm(None, "DatabaseStorage").properties["Threshold"]) == tenth / 2


# Who is woken, and what they are told


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_every_alarm_wakes_somebody_and_tells_when_it_is_over(design: str, environment: str) -> None:
    topics = set()
    for alarm in ALL[design, environment].alarms:
        topic = "${Topic}"
        assert (alarm.properties["AlarmActions"], alarm.properties["OKActions"]) == ([topic], [topic]), alarm.name
        assert alarm.properties.get("ActionsEnabled", True) is True
        topics.add(topic)
    assert topics == {"${Topic}"}
    assert ALL[design, environment].stack.resources["Topic"]["Type"] == "AWS::SNS::Topic"


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_names_say_the_environment_and_are_no_other_alarms(design: str, environment: str) -> None:
    prefix = {"functions": f"kumiki-{environment}-", "containers": f"kumiki-{environment}-ecs-"}[design]
    names = [alarm.name for alarm in ALL[design, environment].alarms]
    assert len(set(names)) == len(names)
    for alarm in ALL[design, environment].alarms:
        kebab = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alarm.logical_id).lower()
        mine = f"{prefix}{alarm.service}-" if alarm.service else prefix
        assert alarm.name.startswith(mine)
        assert kebab.endswith(alarm.name.removeprefix(mine).split("-")[-1]) or alarm.logical_id in SHORTER, alarm.name


SHORTER = {"ServiceTokensUnavailable", "OrdersOverdue"}


def anchors() -> dict[str, str]:
    """What is written under each heading, by the name by which one can link to it."""
    parts = re.split(r"^##+ (.+)\n", OPERATIONS, flags=re.MULTILINE)[1:]
    plain = [re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in parts[::2]]
    assert len(set(plain)) == len(plain)
    return dict(zip(plain, parts[1::2], strict=True))


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_every_alarm_says_what_happened_and_where_it_is_written_what_to_do(design: str, environment: str) -> None:
    for alarm in ALL[design, environment].alarms:
        said = re.fullmatch(r"([A-Za-z].+)\. docs/operations\.md#([\w-]+)", alarm.properties["AlarmDescription"])
        assert said, alarm.name
        assert len(anchors()[said[2]].split()) > 20, said[2]


def table() -> dict[str, tuple[str, str]]:
    """Of docs/operations.md: each metric, when its alarm goes off, and what is linked to."""
    rows = re.findall(r"^\| ([\w, ]+) \| ([^|]+) \| ([^|]+) \|$", anchors()["an-alarm-goes-off"], re.MULTILINE)
    return {name: (when, then) for names, when, then in rows for name in names.split(", ") if name != "Metric"}


def test_every_metric_of_ours_has_an_alarm_or_the_operators_are_told_that_it_has_none() -> None:
    alarms = [alarm for found in ALL.values() for alarm in found.alarms]
    watched = {m.name: alarm for alarm in alarms for m in alarm.metrics if m.namespace.startswith("Kumiki/")}
    told = table()
    assert told.keys() == counted().keys() | {"Differences"}
    assert {name for name, (when, _) in told.items() if when != "never"} == watched.keys()
    for name, alarm in watched.items():
        anchor = alarm.properties["AlarmDescription"].partition("#")[2]
        assert f"(#{anchor})" in told[name][1], name


def test_no_link_in_the_operators_page_leads_to_a_heading_that_is_not_there() -> None:
    assert set(re.findall(r"\]\(#([\w-]+)\)", OPERATIONS)) <= anchors().keys()


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_alarms_of_this_environment_alone_may_write_to_the_topic_which_is_encrypted(
    design: str,
    environment: str,
) -> None:
    made, prefix = ALL[design, environment].stack, ALL[design, environment].given["Prefix"]
    assert made.properties("Topic") == {"TopicName": f"{prefix}-alarms", "KmsMasterKeyId": "${MessagesKeyArn}"}
    key = load("infra/monitoring.yaml")["Parameters"]["MessagesKeyArn"]["Default"]
    account = stack("infra/bootstrap.yaml", AlertEmail="a@b.example").of_type("AWS::SSM::Parameter").values()
    assert key in {parameter["Name"] for parameter in account if parameter["Value"] == "${MessagesKey.Arn}"}
    policy = made.properties("TopicPolicy")
    assert policy["Topics"] == ["${Topic}"]
    alarms = f"arn:aws:cloudwatch:ap-northeast-1:123456789012:alarm:{prefix}-*"
    account_id: dict[str, Any] = {"aws:SourceAccount": "123456789012"}
    allowed, denied = policy["PolicyDocument"]["Statement"]
    assert {k: v for k, v in allowed.items() if k != "Sid"} == {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": "${Topic}",
        "Condition": {"StringEquals": account_id, "ArnLike": {"aws:SourceArn": alarms}},
    }
    assert {k: v for k, v in denied.items() if k != "Sid"} == {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": "${Topic}",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert all(alarm.name.startswith(f"{prefix}-") for alarm in ALL[design, environment].alarms)


@pytest.mark.parametrize("design", DESIGNS)
def test_an_address_that_is_given_is_told_by_mail(design: str) -> None:
    given = ALL[design, "prod"].given
    assert given["AlertEmail"] == ""
    assert not ALL[design, "prod"].stack.of_type("AWS::SNS::Subscription")
    [mail] = (
        stack("infra/monitoring.yaml", **given | {"AlertEmail": "a@b.example"})
        .of_type("AWS::SNS::Subscription")
        .values()
    )
    assert mail == {"TopicArn": "${Topic}", "Protocol": "email", "Endpoint": "a@b.example"}


def test_locally_nobody_is_woken_and_nothing_has_to_be_there_for_it() -> None:
    assert "Monitoring" not in stack("template.yaml", Environment="local").resources


# Canaries


def test_a_canary_is_told_of_alarms_that_need_neither_its_alias_nor_the_api() -> None:
    found = ALL["functions", "prod"]
    for service in SERVICES:
        for alarm in ("RequestsFailed", "ApiErrors"):
            assert (
                found.stack.outputs[f"{service.capitalize()}{alarm}"] == f"${{{service.capitalize()}.Outputs.{alarm}}}"
            )
            assert found.services[service].outputs[alarm] == f"${{{alarm}}}"
    needed = set(re.findall(r"\$\{(\w+)[.}]", str(found.given)))
    assert needed == {
        f"{s.capitalize()}{kind}" for s in SERVICES for kind in ("Api", "Consumer")
    }  # the functions alone
    assert "DependsOn" not in found.outer.resources["Monitoring"]


# The dashboard


@pytest.mark.parametrize(("design", "environment"), WHERE)
def test_one_page_shows_what_there_is_to_see(design: str, environment: str) -> None:
    found = ALL[design, environment]
    [dashboard] = found.stack.of_type("AWS::CloudWatch::Dashboard").values()
    assert dashboard["DashboardName"] == found.given["Prefix"]
    shown = {metric.name for metric in found.shown}
    watched = {metric.name for alarm in found.alarms for metric in alarm.metrics}
    # What is no curve: these are named by their alarms.
    assert watched - shown <= {"Errors", "ServiceTokensUnavailable", "Differences"}
    titles = [widget["title"] for widget in found.widgets]
    assert len(set(titles)) == len(titles)
    stats = {
        (title, row[-1]["stat"])
        for title, w in zip(titles, found.widgets, strict=True)
        for row in w["metrics"]
        if isinstance(row[-1], dict) and "stat" in row[-1]
    }
    assert {w["stat"] for w in found.widgets} <= {"Sum", "Maximum", "Minimum", "Average", "p50"}
    assert ("Front door: milliseconds", "p99") in stats
    assert {widget["region"] for widget in found.widgets} == {"ap-northeast-1"}
    if design == "functions":
        queues = {v for m in found.shown for n, v in m.dimensions if n == "QueueName"}
        names = {f"kumiki-{environment}-{s}" for s in SUBSCRIBERS}
        assert queues == names | {f"{name}-dead-letters" for name in names}
