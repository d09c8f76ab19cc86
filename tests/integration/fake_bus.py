"""An event bus in memory, in place of the client that `common.bus` makes."""

import json
from collections.abc import Callable
from typing import Any

Entry = dict[str, str]


class FakeBus:
    """Keeps what it accepts, within the limits of the real one. It can be told to refuse entries, or to fail."""

    def __init__(self) -> None:
        self.calls: list[list[Entry]] = []
        """Every call's entries, whatever became of them."""
        self.accepted: list[Entry] = []
        self._refusal: Callable[[Entry], str | None] = lambda entry: None
        self._failure: Callable[[Entry], Exception | None] = lambda entry: None

    def refuse(self, code: str, when: Callable[[Entry], bool] = lambda entry: True) -> None:
        """From now on, entries for which `when` holds are answered with an error code."""
        self._refusal = lambda entry: code if when(entry) else None

    def fail(self, error: Exception, when: Callable[[Entry], bool] = lambda entry: True) -> None:
        """From now on, whole calls fail that have an entry for which `when` holds."""
        self._failure = lambda entry: error if when(entry) else None

    def recover(self) -> None:
        self._refusal = self._failure = lambda entry: None

    def put_events(self, *, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803  # AWS's name
        self.calls.append(Entries)
        size = sum(len(entry[field].encode()) for entry in Entries for field in ("Source", "DetailType", "Detail"))
        assert 0 < len(Entries) <= 10, "PutEvents takes ten entries"
        assert len(Entries) == 1 or size <= 262_144, "PutEvents takes 256 KB"
        for error in filter(None, map(self._failure, Entries)):
            raise error
        answers = []
        for entry in Entries:
            if code := self._refusal(entry):
                answers.append({"ErrorCode": code, "ErrorMessage": "refused"})
            else:
                self.accepted.append(entry)
                answers.append({"EventId": str(len(self.accepted))})
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    @property
    def types(self) -> list[str]:
        """The detail-types of what was accepted, in order."""
        return [entry["DetailType"] for entry in self.accepted]

    def details(self, detail_type: str | None = None) -> list[Any]:
        """The envelopes of what was accepted, in order."""
        return [json.loads(entry["Detail"]) for entry in self.accepted if detail_type in (None, entry["DetailType"])]
