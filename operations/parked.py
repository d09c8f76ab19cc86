"""Events that the bus refused until a service gave up on them: they stay in its outbox until somebody asks for them."""

from collections import Counter

from operations.cloud import Cloud
from operations.question import agreed


def resend(cloud: Cloud, service: str, yes: bool) -> bool:
    """Name them and have them sent once more, after a question. Whether none is left behind."""
    parked = list(cloud.pages(service, "parked", "event_id"))
    if not parked:
        return True
    print(f"{service}: {len(parked)} events parked in its outbox, since {min(row['parked_at'] for row in parked)} UTC")
    for (event, why), count in Counter((row["detail_type"], row["last_error"]) for row in parked).most_common():
        print(f"  {count:>6} × {event}: the bus refused it 20 times, {why}")
    if not agreed(f"have {service} send them once more?", yes):
        return False
    print(f"  {cloud.ask(service, 'release')[0]['released']} to be sent within a minute")
    return True
