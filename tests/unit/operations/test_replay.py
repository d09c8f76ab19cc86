"""A replay goes to one consumer's rule, out of the archive of the shop's bus."""

from datetime import UTC, datetime

import pytest

from operations import replay
from operations.cloud import Cloud, NotThere

START, END = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)


def test_without_an_archive_it_is_refused(cloud: Cloud) -> None:
    with pytest.raises(NotThere, match="kumiki-dev has no archive"):
        replay.replay(cloud, "orders", START, END)


def test_it_goes_from_the_archive_to_the_consumers_rule_and_no_other(cloud: Cloud) -> None:
    events = cloud.client("events")
    bus = events.describe_event_bus(Name="kumiki-dev")["Arn"]
    events.create_archive(ArchiveName="the-archive", EventSourceArn=bus)
    events.put_rule(Name="another", EventBusName="kumiki-dev", EventPattern='{"source": ["payments"]}')
    replay.replay(cloud, "orders", START, END)
    [started] = events.list_replays()["Replays"]
    found = events.describe_replay(ReplayName=started["ReplayName"])
    rule = events.describe_rule(Name="kumiki-dev-orders", EventBusName="kumiki-dev")["Arn"]
    assert found["Destination"] == {"Arn": bus, "FilterArns": [rule]}
    assert found["EventSourceArn"].endswith("archive/the-archive")
    assert (found["EventStartTime"], found["EventEndTime"]) == (START, END)


def test_a_time_needs_a_zone() -> None:
    assert replay.moment("2026-11-20T00:00Z") == START
    with pytest.raises(ValueError, match="has no zone"):
        replay.moment("2026-11-20T00:00")


def test_a_consumer_without_a_subscription_is_refused_with_those_that_have_one(cloud: Cloud) -> None:
    with pytest.raises(NotThere, match="'moon' subscribes to events; those who do: orders"):
        replay.replay(cloud, "moon", START, END)


def test_an_environment_that_is_not_configured_is_refused() -> None:
    with pytest.raises(NotThere, match="say ENV= and one of local, dev, prod"):
        Cloud("moon")
