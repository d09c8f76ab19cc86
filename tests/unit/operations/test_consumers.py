"""A consumer is off when AWS says so, which takes its time."""

from typing import Any

import pytest

from operations import consumers
from operations.cloud import Cloud


class Mapping:
    """Lambda's event source mapping, which changes while it is watched."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.states = ["Disabling", "Disabling", "Disabled"]

    def list_event_source_mappings(self, EventSourceArn: str) -> Any:  # noqa: N803
        return {"EventSourceMappings": [{"UUID": EventSourceArn}]}

    def update_event_source_mapping(self, UUID: str, Enabled: bool) -> None:  # noqa: N803
        assert UUID.endswith(":kumiki-dev-orders")
        self.asked.append(Enabled)

    def get_event_source_mapping(self, UUID: str) -> Any:  # noqa: N803
        return {"State": self.states.pop(0) if len(self.states) > 1 else self.states[0]}


@pytest.fixture
def mapping(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Mapping:
    mapping = Mapping()
    monkeypatch.setitem(cloud._clients, "lambda", mapping)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return mapping


def test_it_is_waited_for_and_how_long_messages_wait_is_said(
    cloud: Cloud, mapping: Mapping, capsys: pytest.CaptureFixture[str]
) -> None:
    consumers.switch(cloud, "orders", on=False)
    assert (mapping.asked, mapping.states) == ([False], ["Disabled"])
    assert capsys.readouterr().out == "orders is off: 0 messages wait, and are lost after 10 days\n"


def test_what_never_comes_about_is_said(cloud: Cloud, mapping: Mapping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "PATIENCE_SECONDS", -1)
    with pytest.raises(consumers.NeverSwitched, match="orders is still Disabling"):
        consumers.switch(cloud, "orders", on=True)
