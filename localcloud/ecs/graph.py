"""Who calls whom, and who has which address. On AWS the security groups of ecs/cluster.yaml say the same."""

from localcloud.home import Home
from localcloud.stack import SERVICES

DISCOVERY = ("cloud-map", "service-connect")

CALLS = {
    "orders": ("catalog", "inventory", "payments", "shipping", "notifications"),
    "shipping": ("orders", "inventory"),
    "payments": ("orders",),
    "inventory": ("catalog",),
}
"""By service, those that it may call."""

DOMAIN = "shop.internal"
"""Where services find each other: `http://inventory.shop.internal:8080`. Also the resource server of their tokens."""
PORT = 8080
CLOUD = "10.77.0.1"
"""What a VPC and AWS would offer: the database, the emulator, names, and whoever looks after the tasks."""
FRONT_DOOR = "10.77.0.2"
PREFIX = 16
"""Bits of an address that all of them share."""


def home() -> Home:
    """Apart from the one of `make run`, which may be up at the same time."""
    return Home(Home.default().root / "ecs", CLOUD)


def address(service: str, number: int) -> str:
    """Of a task: the `number`-th that its service ever had."""
    return f"{_subnet(service)}.{10 + number % 240}"


def admitted(service: str) -> list[str]:
    """Addresses and subnets that a task's firewall lets in."""
    callers = [f"{_subnet(caller)}.0/24" for caller, called in CALLS.items() if service in called]
    return [CLOUD, FRONT_DOOR, *callers]


def loopback(service: str) -> str:
    """Where a task reaches a service through the proxy beside it, with Service Connect."""
    return f"127.255.0.{1 + SERVICES.index(service)}"


def _subnet(service: str) -> str:
    return f"10.77.{1 + SERVICES.index(service)}"
