"""The event bus: PutEvents in as few calls as its limits allow, with the outcome of each entry."""

import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from common.configuration import configuration
from common.events import Sealed

if TYPE_CHECKING:
    from common.event_bridge import EventBridge

ENTRIES = 10  # PutEvents' limits: entries a call, and bytes a call
BYTES = 240_000
CALLS_AT_ONCE = 10
PAUSE_SECONDS = 30
Answer = tuple[Sealed, str | None]
"""An event with None, or with the code by which the bus refused it or the call it was in."""
# Refusals that say nothing against the event, and pass. Any other will not get better by itself.
_TROUBLE = {"ThrottlingException", "InternalFailure", "InternalException", "ServiceUnavailable"}
_NO_CODE = {"500", "502", "503", "504"}  # an answer that is not the bus's own
_RIGHTS = {"AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException"}  # pass when we mend them
_CLOCK = {"InvalidSignatureException"}  # ours is off, or stood still between signing and sending
PASSING = _TROUBLE | _NO_CODE | _RIGHTS | _CLOCK


_paused_until = 0.0


def put(events: Sequence[Sealed]) -> Iterator[Answer]:
    """Send all events, a call after the other.

    Raises BusUnavailable when the bus cannot be reached; what was yielded before that stays true. After a time-out the
    bus is not asked for 30 s: each request would wait as long once more, and what is left is the sweep's in any case.
    """
    global _paused_until
    from common.event_bridge import BusUnavailable  # not before there is an event to send, as below

    for chunk in _chunks(events):
        if time.monotonic() < _paused_until:
            raise BusUnavailable("it did not answer a moment ago")
        try:
            yield from _send(chunk)
        except BusUnavailable as error:
            if isinstance(error.__cause__, TimeoutError):
                _paused_until = time.monotonic() + PAUSE_SECONDS
            raise


def put_many(events: Sequence[Sealed]) -> Iterator[Answer]:
    """Send all events, ten calls at once: of a hundred it takes as long as of ten. What raises does so at the end."""
    from concurrent.futures import ThreadPoolExecutor  # only sweeps need it

    _client()  # which two threads would make twice
    with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
        calls = [threads.submit(lambda chunk: list(_send(chunk)), chunk) for chunk in _chunks(events)]
    for call in calls:
        if not call.exception():
            yield from call.result()
    for call in calls:
        call.result()


def _send(chunk: Sequence[Sealed]) -> Iterator[Answer]:
    from common.event_bridge import Refused

    config = configuration()
    try:
        answer = _client().put_events(
            Entries=[
                {
                    "EventBusName": config.event_bus,
                    "Source": config.service,
                    "DetailType": event.detail_type,
                    "Detail": event.detail,
                }
                for event in chunk
            ]
        )
    except Refused as error:
        refusal = error.code
        if len(chunk) == 1 or refusal in PASSING:
            yield from ((event, refusal) for event in chunk)
        else:  # one event may have spoilt the call for all: each by itself, and only the culprit is refused
            for event in chunk:
                yield from _send([event])
    else:
        for event, entry in zip(chunk, answer["Entries"], strict=True):
            yield event, entry.get("ErrorCode")


def _chunks(events: Sequence[Sealed]) -> Iterator[list[Sealed]]:
    chunk: list[Sealed] = []
    size = 0
    for event in events:
        weight = len(event.detail.encode()) + len(event.detail_type) + 100
        if chunk and (len(chunk) == ENTRIES or size + weight > BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += weight
    if chunk:
        yield chunk


@cache
def _client() -> "EventBridge":
    from common.event_bridge import EventBridge  # 9 ms, which only an environment that sends an event should pay

    return EventBridge(os.environ["AWS_REGION"])
