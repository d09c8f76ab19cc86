"""Whose a thing is, read off it; and two environments side by side in one account."""

import tomllib

import pytest

from tests.infrastructure.lambda_design import FUNCTIONS, SERVICES, SUBSCRIBERS, Shop, shop_of, tags
from tests.infrastructure.templates import ROOT

OF_SOMETHING_ELSE = {
    "AWS::Lambda::Alias": "its function",
    "AWS::Cognito::UserPoolGroup": "its pool",
    "AWS::IAM::Role": "nothing: it is left to CloudFormation",
    "Custom::Migrations": "nothing: it is no resource",
}
"""Types that have a name within something that is an environment's own."""


def names(shop: Shop) -> set[tuple[str, str, str]]:
    """(type, property, value) of all that resources are called by, of what is nested too."""
    stacks = [shop, *shop.nested.values()]
    return {
        (resource["Type"], name, str(value))
        for made in stacks
        for resource in made.resources.values()
        for name, value in resource.get("Properties", {}).items()
        if (name == "Name" or name.endswith("Name")) and resource["Type"] not in OF_SOMETHING_ELSE
    }


def test_what_has_a_name_bears_its_environment(shop: Shop) -> None:
    called = {(kind, name, value) for kind, name, value in names(shop) if not value.startswith("${")}
    refers = {("AWS::CloudWatch::Alarm", "MetricName"), ("AWS::CodeDeploy::DeploymentGroup", "DeploymentConfigName")}
    bare = {each for each in called if shop.environment not in each[2]}
    assert {each[:2] for each in bare} <= refers
    assert len(called - bare) > 20


def test_two_environments_have_no_name_in_common() -> None:
    own = {value for _, _, value in names(shop_of("dev")) if "dev" in value}
    assert own
    assert not own & {value for _, _, value in names(shop_of("prod"))}


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_all_of_a_stack_bears_project_and_environment(environment: str) -> None:
    configuration = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    given = dict(tag.split("=") for tag in configuration[environment]["deploy"]["parameters"]["tags"].split())
    assert given == {"project": "kumiki", "environment": environment}


def test_what_costs_money_or_has_rights_bears_its_service(shop: Shop) -> None:
    services = {name: SERVICES[service] for name, service in FUNCTIONS.items()} | {"Migrator": "migrator"}
    for name, service in services.items():
        assert tags(shop.functions[name])["service"] == service
        assert tags(shop.role(name))["service"] == service
    for service in SERVICES:
        assert tags(shop.properties(f"{service}ConsumerSweepRole"))["service"] == SERVICES[service]
        assert tags(shop.properties(f"{service}Log"))["service"] == SERVICES[service]
        if service in SUBSCRIBERS:  # whose resources take a nested stack's tags
            assert tags(shop.properties(f"{service}Subscription"))["service"] == SERVICES[service]
        if groups := shop.of_type("AWS::CodeDeploy::DeploymentGroup"):
            assert tags(groups[f"{service}ApiDeploymentGroup"])["service"] == SERVICES[service]
    assert tags(shop.properties("MigratorLog"))["service"] == "migrator"
