"""The local cloud stands in for the stacks in infra/, and must not drift away from them."""

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from localcloud import platform_stacks
from localcloud.mariadb import CONFIGURATION, Server
from tests.infrastructure.templates import ROOT, stack

PLATFORM = [stack(f"infra/{name}.yaml", Environment="local") for name in ("network", "database")]
ACCOUNT = stack("infra/bootstrap.yaml", AlertEmail="ops@example.com")
PUBLISHED = {p["Name"] for made in (*PLATFORM, ACCOUNT) for p in made.of_type("AWS::SSM::Parameter").values()}


def test_it_publishes_the_parameters_of_the_platform_stacks_and_no_others() -> None:
    own = platform_stacks.parameters(Server(Path("unused"), 3306, "secret"), "arn")
    account = [f"/kumiki/account/{name}" for name in platform_stacks.ACCOUNT]
    assert own.keys() | set(account) == PUBLISHED


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_samconfig_names_parameters_that_are_published(environment: str) -> None:
    configuration = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))[environment]
    given = dict(entry.split("=", 1) for entry in configuration["deploy"]["parameters"]["parameter_overrides"])
    names = {value for value in given.values() if value.startswith("/")}
    assert names <= {name.replace("/local/", f"/{environment}/") for name in PUBLISHED}
    assert given["Environment"] == environment


def test_its_database_is_set_up_as_the_parameter_group_says() -> None:
    [group] = stack("infra/database.yaml", Environment="local").of_type("AWS::RDS::DBParameterGroup").values()
    local = ConfigParser(allow_no_value=True)
    local.read(CONFIGURATION, encoding="utf-8")
    settings = {name.replace("-", "_"): value for name, value in local["mariadbd"].items()}
    # Two names and two spellings of the same.
    settings["time_zone"] = settings["default_time_zone"].replace("+00:00", "UTC")
    settings["require_secure_transport"] = re.sub("ON", "1", settings["require_secure_transport"])
    assert {name: settings.get(name) for name in group["Parameters"]} == group["Parameters"]
