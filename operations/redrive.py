"""What consumers could not handle and the bus would not take: how many, how old, why; and back with it.

The same calls on AWS and locally. A message is sent to its queue before it is deleted here: whatever interrupts this,
it is in one of them or in both, and a consumer tells duplicates.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from operations import bus, letters, parked
from operations.cloud import Cloud
from operations.letters import Letter
from operations.logs import search
from operations.question import agreed

BUS = "bus"  # beside the services, whose names are theirs


def redrive(cloud: Cloud, yes: bool) -> bool:
    """Explain what is left of each service and of the bus, and move it after a question. Whether nothing is left."""
    clear = [_dead_letters(cloud, service, queue.dead_letters, yes) for service, queue in cloud.queues.items()]
    clear.append(_dead_letters(cloud, BUS, bus.dead_letters(cloud), yes))
    clear += [parked.resend(cloud, service, yes) for service in cloud.services]
    return all(clear)


def _dead_letters(cloud: Cloud, service: str, url: str, yes: bool) -> bool:
    sqs = cloud.client("sqs")
    if not (about := letters.count(sqs, url)):  # which on AWS is a minute old at most
        print(f"{service}: no dead letters")
        return True
    with letters.received(sqs, url) as messages:
        dead = [Letter.of(message) for message in messages]
    if not dead:
        print(f"{service}: dead letters that somebody else is looking at; they can be seen again within a minute")
        return False
    oldest = min(letter.sent_at for letter in dead)
    age = datetime.now(UTC).replace(microsecond=0) - oldest.replace(microsecond=0)
    all_of_them = f" of about {about}" if about > len(dead) else ""
    print(f"{service}: {len(dead)} dead letters{all_of_them}, the oldest {age} old")
    reasons = _reasons(cloud, service, oldest)
    groups = Counter((letter.event, _why(letter, reasons)) for letter in dead)
    stories = {(letter.event, _why(letter, reasons)): letter.correlation_id for letter in dead}
    for (event, why), count in groups.most_common():
        story = stories[event, why]
        print(f"  {count:>6} × {event}: {why}" + (f" (make logs ORDER={story})" if story else ""))
    if not agreed(f"move {len(dead)} back to {service}?", yes):
        return False
    moved, kept = _move(cloud, service, url, max(letter.sent_at for letter in dead))
    print(f"  {moved} moved back to {service}" + (f"; {kept} stay, new or unreadable" if kept else ""))
    return moved >= len(dead) and not kept


def _move(cloud: Cloud, service: str, url: str, until: datetime) -> tuple[int, int]:
    """Move what was sent no later than `until`: what fails again meanwhile comes back as a younger message, and stays.
    How many moved, how many stay. Whatever ends this early, what it has not moved can be seen again after a minute."""
    moved, kept, sqs = 0, dict[str, str](), cloud.client("sqs")

    def sent(body: str) -> bool:
        if service == BUS:
            return bus.put(cloud, body)
        return bool(sqs.send_message(QueueUrl=cloud.queues[service].url, MessageBody=body))

    def move(message: dict[str, Any]) -> bool:
        if Letter.of(message).sent_at > until or not sent(message["Body"]):
            kept[message["MessageId"]] = message["ReceiptHandle"]
            return False
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return True

    with ThreadPoolExecutor(10) as threads:
        while messages := letters.receive(sqs, url):
            moved += sum(threads.map(move, messages))
            print(f"  {moved} moved so far", flush=True)
    letters.release(sqs, url, list(kept.values()))
    return moved, len(kept)


def _reasons(cloud: Cloud, service: str, since: datetime) -> dict[str, str]:
    """By id of a message and of an event, why it was given back last, as the consumer logged it."""
    reasons: dict[str, str] = {}
    if service == BUS:
        return reasons
    for line in search(cloud, f"{service.capitalize()}Consumer", "given back", since):
        fields = line.fields
        codes = [str(fields[name]) for name in ("error", "code") if fields.get(name) is not None]
        reason = " ".join(codes) or fields["message"]
        for name in (fields.get("message_id"), fields.get("causation_id"), *fields.get("message_ids", ())):
            if name:
                reasons[name] = reason
    return reasons


def _why(letter: Letter, reasons: dict[str, str]) -> str:
    attributes = letter.message.get("MessageAttributes", {})
    if "ERROR_CODE" in attributes:
        return f"the bus could not deliver it, {attributes['ERROR_CODE']['StringValue']}"
    unknown = "no log line says why; the function may have been killed"
    return reasons.get(letter.message["MessageId"]) or reasons.get(letter.event_id or "") or unknown
