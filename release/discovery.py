"""How the services of the ECS design find each other, and how that may change."""

from release import Refused

MODES = ("CLOUD_MAP", "BOTH", "SERVICE_CONNECT")
"""From one to a neighbour in one deploy."""


def check(now: str | None, wanted: str) -> None:
    """Refuse what would leave services without names of each other: in Service Connect a task knows only those that
    there were when it was deployed, and orders is called by services that are deployed before it."""
    if wanted == "SERVICE_CONNECT" and now is None:
        raise Refused("DiscoveryMode: begin with CLOUD_MAP or BOTH, then go on to SERVICE_CONNECT")
    if now is not None and abs(MODES.index(now) - MODES.index(wanted)) > 1:
        raise Refused(f"DiscoveryMode: from {now} to {wanted} go through BOTH, in a deploy of its own")
