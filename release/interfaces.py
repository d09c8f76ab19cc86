"""The network interfaces by which functions were in the VPC. Lambda gives them up 25 to 40 minutes after the functions
are gone, and until then neither a security group nor a subnet that they are in can be deleted."""

import time

from release import Refused
from release.resources import of_stack
from release.target import Target

PATIENCE = 3600.0
PAUSE = 30.0


def wait(target: Target, stack: str) -> None:
    """Until none is left in the security groups of that stack. Raises Refused after an hour."""
    groups = [each.physical_id for each in of_stack(target, stack) if each.kind == "AWS::EC2::SecurityGroup"]
    filters = [{"Name": "group-id", "Values": groups}, {"Name": "interface-type", "Values": ["lambda"]}]
    started = time.monotonic()
    while (
        left := target.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"] if groups else []
    ):
        minutes = (time.monotonic() - started) / 60
        if minutes * 60 > PATIENCE:
            raise Refused(f"{len(left)} network interfaces of functions are still in {', '.join(groups)}: again later")
        print(
            f"  {len(left)} network interfaces of functions are left after {minutes:.0f} min; it takes 25 to 40",
            flush=True,
        )
        time.sleep(PAUSE)
