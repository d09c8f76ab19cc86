"""Where a release goes: an environment, in the account of the caller's credentials and the region of its tables."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.client import Config

from localcloud import aws
from localcloud.home import REPOSITORY, Home

DESIGNS = ("lambda", "ecs")
TIMEOUTS = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 8})
CONFIGURATIONS = {"lambda": REPOSITORY / "samconfig.toml", "ecs": REPOSITORY / "ecs" / "samconfig.toml"}


@dataclass(frozen=True)
class Target:
    """`local` is the local cloud of `make run`."""

    environment: str
    design: str = "lambda"
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def region(self) -> str:
        return str(table(CONFIGURATIONS[self.design], self.environment)["region"])

    @property
    def variables(self) -> dict[str, str]:
        """With which SAM finds the same account."""
        return aws.credentials(Home.default()) if self.environment == "local" else {}

    def client(self, service: Any) -> Any:
        if service not in self.clients:
            self.clients[service] = (
                aws.client(Home.default(), service)
                if self.environment == "local"
                else boto3.client(service, region_name=self.region, config=TIMEOUTS)
            )
        return self.clients[service]


def table(configuration: Path, key: str) -> dict[str, Any]:
    """What `sam deploy --config-env key` reads."""
    configured = tomllib.loads(configuration.read_text(encoding="utf-8"))
    return dict(configured[key]["deploy"]["parameters"])
