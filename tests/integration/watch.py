"""Minute by minute, which alarms on a service's own metrics are off: from the log lines that its code really writes."""

import json
from collections.abc import Callable

import pytest

from common.observability import metrics
from tests.infrastructure.emitted import read
from tests.infrastructure.monitoring import Metric, Minute, monitoring
from tests.integration.database import Database

MINUTE = {
    "outbox": "created_at = created_at - INTERVAL 60 SECOND, available_at = available_at - INTERVAL 60 SECOND",
    "journal": "created_at = created_at - INTERVAL 60 SECOND, available_at = available_at - INTERVAL 60 SECOND",
    "orders": "due_at = due_at - INTERVAL 60 SECOND",
}
"""What a minute makes of the tables of a service that have something to wait for."""


class Watch:
    """CloudWatch in prod, of one service of a design."""

    def __init__(
        self,
        design: str,
        service: str,
        database: Database,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(metrics, "namespace", "Kumiki/prod")
        monkeypatch.setattr(metrics, "service", service)
        self._database, self._capsys = database, capsys
        alarms = [alarm for alarm in monitoring(design, "prod").alarms if alarm.service == service]
        self._alarms = [alarm for alarm in alarms if alarm.metrics[0].namespace == "Kumiki/prod"]
        self._told: list[dict[Metric, Minute]] = []
        self._off: dict[str, bool] = {}

    def passes(self, *happens: Callable[[], object]) -> set[str]:
        """The alarms that are off after a minute in which that happened."""
        self._capsys.readouterr()
        for each in happens:
            each()
        self._told.append(self._lines())
        for alarm in self._alarms:
            [metric] = alarm.metrics
            minutes = [told.get(metric, []) for told in self._told]
            self._off[alarm.logical_id] = alarm.goes_off(minutes, self._off.get(alarm.logical_id, False))
        for table in MINUTE.keys() & self._database.counts().keys():
            self._database.execute(f"UPDATE {table} SET {MINUTE[table]}")
        return {name for name, off in self._off.items() if off}

    def _lines(self) -> dict[Metric, Minute]:
        found: dict[Metric, list[float]] = {}
        lines = [line for line in self._capsys.readouterr().out.splitlines() if '"_aws"' in line]
        for line in map(json.loads, lines):
            for name, (namespace, dimensions) in read(line).items():
                values = line[name] if isinstance(line[name], list) else [line[name]]
                found.setdefault(Metric(namespace, name, dimensions), []).extend(values)
        return dict(found)
