"""A service in a stack of its own is the same resources, with the same properties, as it was in the shop's."""

import copy
import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml  # type: ignore[import-untyped]
from samtranslator.model import apigateway  # type: ignore[import-untyped]

from localcloud.home import virtual_environment
from reference.__main__ import example
from reference.split import SHARED, CannotBeCut, configuration, monitoring, split
from reference.split import own as split_off
from tests.infrastructure.lambda_design import SERVICES, parameters_of, shop_of
from tests.infrastructure.templates import ROOT, Stack, load, render, stack, yaml_parse

TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "samconfig.toml").read_text(encoding="utf-8")
FRONT_DOOR = ("AWS::ApiGateway::RestApi", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage")
DEPLOYMENTS = "AWS::CodeDeploy::Application"  # one of a stack, on which SAM writes the service that came last
NAMES = {"LogGroupName", "QueueName", "Name"}
WATCH = "Monitoring"
"""In the shop's, it is told of nobody in the place of the service."""


@cache
def whole() -> Stack:
    return without_hashes(stack("template.yaml", **parameters_of("prod")))


@cache
def parts(service: str) -> tuple[Stack, Stack]:
    """The shop without the service, and the service's own stack."""
    made, given = split(TEMPLATE, service), parameters_of("prod")

    def rendered(text: str) -> Stack:
        template = yaml_parse(text)
        taken = {name: given[name] for name in given.keys() & template["Parameters"].keys()}
        return without_hashes(render(template, **taken))

    return rendered(made.shop), rendered(made.own)


def without_hashes(made: Stack) -> Stack:
    """Versions are named by what is in them, and the layer is in that."""
    text = re.sub(r"Version[0-9a-f]{10}\b", "Version", json.dumps([made.resources, made.outputs]))
    return Stack(*json.loads(text))


def of_the_service(names: Any, service: str) -> set[str]:
    return {name for name in names if name.startswith(service.capitalize())}


def as_in_the_shop(resource: Any, service: str, copied: bool = True) -> Any:
    """A resource of the service's own stack, in the words of the shop's: one copied, or one that was the service's."""
    [layer] = whole().of_type("AWS::Lambda::LayerVersion")
    text = json.dumps(resource)
    for own, shops in (
        ("arn:aws:events:ap-northeast-1:123456789012:event-bus/${EventBusName}", "${Bus.Outputs.Arn}"),
        ("${EventBusName}", "${Bus.Outputs.Name}"),
        ("${CommonLayerArn}", f"${{{layer}}}"),
        ("{{resolve:ssm:/kumiki/prod/shop/user-pool-arn}}", "${Identity.Outputs.UserPoolArn}"),
        (f"/{service}-own/migrator", "/migrator"),
        (f"{service}-own", service),
    ):
        text = text.replace(own, shops)
    return json.loads(re.sub(rf'("[^"]*Name": "[^"]*\bprod)[-/]{service}\b', r"\1", text) if copied else text)


@pytest.mark.parametrize("service", SERVICES.values())
def test_the_two_stacks_have_each_resource_of_the_service_once_and_all_others_where_they_were(service: str) -> None:
    shop, own = parts(service)
    moved = of_the_service(whole().resources, service)
    assert of_the_service(own.resources, service) == moved
    assert of_the_service(shop.resources, service) == set()
    for name in whole().resources.keys() - moved:
        kind = whole().resources[name]["Type"]
        if kind not in (*FRONT_DOOR, DEPLOYMENTS) and name != WATCH:
            assert shop.resources[name] == whole().resources[name]


@pytest.mark.parametrize("service", SERVICES.values())
def test_what_the_service_has_for_itself_is_as_it_was(service: str) -> None:
    _, own = parts(service)
    for name, resource in own.resources.items():
        if resource["Type"] not in (*FRONT_DOOR, DEPLOYMENTS) and name != "Alarms":
            copied = name not in of_the_service([name], service)
            assert _but_for_alarms(as_in_the_shop(resource, service, copied)) == _but_for_alarms(
                whole().resources[name]
            )
    assert SHARED.keys() <= load("template.yaml")["Resources"].keys()
    assert not SHARED.keys() & {re.sub(r"[0-9a-f]{10}$", "", name) for name in own.resources}


def _but_for_alarms(resource: Any) -> Any:
    return resource | {"Properties": {k: v for k, v in resource["Properties"].items() if k != "AlarmConfiguration"}}


@pytest.mark.parametrize("service", SERVICES.values())
def test_a_canary_is_taken_back_by_the_alarms_of_its_own_stack(service: str) -> None:
    group = parts(service)[1].properties(f"{service.capitalize()}ApiDeploymentGroup")
    names = [alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]]
    assert names == ["${Alarms.Outputs.RequestsFailed}", "${Alarms.Outputs.ApiErrors}"]


@pytest.mark.parametrize("service", SERVICES.values())
def test_an_alarm_that_moved_is_no_longer_the_shops_too_and_all_others_are(service: str) -> None:
    told = whole().properties(WATCH)["Parameters"]
    text = monitoring((ROOT / "infra/monitoring.yaml").read_text(encoding="utf-8"), service)
    before, after = stack("infra/monitoring.yaml", **told), render(yaml_parse(text), **told)
    assert before.resources.keys() - after.resources.keys() == {service.capitalize()}
    assert all(after.resources[name] == before.resources[name] for name in after.resources)
    left = {name: value for name, value in before.outputs.items() if not name.startswith(service.capitalize())}
    assert after.outputs == left


@pytest.mark.parametrize("service", SERVICES.values())
def test_no_name_is_had_by_both_stacks_while_orders_go_on(service: str) -> None:
    own = parts(service)[1]
    both = [
        {
            (r["Type"], r["Properties"][key])
            for r in made.resources.values()
            for key in NAMES & r["Properties"].keys()
            if r["Type"] != "AWS::Lambda::Alias"
        }
        for made in (without_hashes(shop_of("prod")), own)
    ]
    assert len(both[1]) > 3
    assert not both[0] & both[1]


@pytest.mark.parametrize("service", SERVICES.values())
def test_the_service_has_the_alarms_that_it_had_on_functions_and_queues_of_its_own(service: str) -> None:
    monitoring = stack("infra/monitoring.yaml", **whole().properties(WATCH)["Parameters"])
    before = monitoring.properties(service.capitalize())["Parameters"]
    after = parts(service)[1].properties("Alarms")["Parameters"]
    assert after["TopicArn"] == "{{resolve:ssm:/kumiki/prod/shop/alarm-topic-arn}}"
    assert after["ApiFunction"] == before["ApiFunction"] == f"${{{service.capitalize()}Api}}"
    assert after["ConsumerFunction"] == before["ConsumerFunction"]
    text = split_off(service)["infra/service_alarms.yaml"]
    shops, own = stack("infra/service_alarms.yaml", **before), render(yaml_parse(text), **after)
    assert own.resources.keys() == shops.resources.keys()
    watched = {each["Value"] for alarm in own.resources.values() for each in alarm["Properties"].get("Dimensions", [])}
    queues = {f"kumiki-prod-{service}-own", f"kumiki-prod-{service}-own-dead-letters"}
    assert {each for each in watched if each.startswith("kumiki-")} == (queues if service != "catalog" else set())


@pytest.mark.parametrize("service", SERVICES.values())
def test_each_route_is_behind_one_of_two_doors_that_are_alike(service: str) -> None:
    doors = [copy.deepcopy(made.properties("Api")["Body"]) for made in (*parts(service), whole())]
    shops, own, all_of_them = (door.pop("paths") for door in doors)
    assert not shops.keys() & own.keys()
    assert (shops | json.loads(json.dumps(own))).keys() == all_of_them.keys()
    assert own.keys() == {
        path for path, methods in all_of_them.items() if f"{service.capitalize()}Api" in json.dumps(methods)
    }
    for made, routes in zip(parts(service), (shops, own), strict=True):
        settings = made.properties("ApiStage")["MethodSettings"]
        assert {each["ResourcePath"].replace("/~1", "/") for each in settings} <= routes.keys() | {"/*"}
        assert ("/orders" in routes) == (len(settings) == 2)
    for door in doors:
        door["info"] = {}
    assert as_in_the_shop(doors[0], service) == as_in_the_shop(doors[1], service) == doors[2]


def test_another_origin_comes_as_far_as_the_services_own_stage_which_sam_alone_deploys() -> None:
    """SAM looks at the text of a template for whether its API is to be deployed, which says the same for any origin."""
    own, deployments = split(TEMPLATE, "notifications").own, set()
    for moment, origin in enumerate(("https://a.example.com", "https://b.example.com")):
        with patch.object(apigateway.time, "time", return_value=moment):
            made = render(yaml_parse(own), AllowedOrigin=origin)
        assert "AlwaysDeploy" not in TEMPLATE, "make deploy does it for the shop"
        deployments |= made.of_type("AWS::ApiGateway::Deployment").keys()
    assert len(deployments) == 2


@pytest.mark.parametrize("service", SERVICES.values())
def test_whoever_is_woken_by_the_service_finds_in_its_stack_what_operations_look_for(service: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "operations").glob("*.py")]
    looked_for = set(re.findall(r"outputs\[['\"](\w+)", "".join(texts)))
    shops, own = (made.outputs for made in parts(service))
    assert looked_for
    assert looked_for <= shops.keys() & own.keys()
    queues = {name for name in whole().outputs if name.startswith(service.capitalize())}
    assert queues <= own.keys() - shops.keys()


@pytest.mark.parametrize("service", SERVICES.values())
def test_what_the_service_takes_from_parameter_store_is_published_by_the_shop_or_below(service: str) -> None:
    below = [stack(f"infra/{name}.yaml", Environment="prod") for name in ("network", "database")]
    below.append(stack("infra/bootstrap.yaml"))
    made = [
        each for published in (*below, parts(service)[0]) for each in published.of_type("AWS::SSM::Parameter").values()
    ]
    own = split(TEMPLATE, service).own
    configured = dict(re.findall(r'"(\w+)=(/kumiki/prod/.*?)"', configuration(CONFIGURATION, service, own)))
    declared = yaml_parse(own)["Parameters"]
    taken = {name for name, each in declared.items() if each["Type"].startswith("AWS::SSM::")}
    paths = {configured.get(name, declared[name].get("Default", "")) for name in taken}
    paths |= set(re.findall(r"\{\{resolve:ssm:(.*?)\}\}", own.replace("${Environment}", "prod")))
    assert {"EventBusName", "CommonLayerArn"} <= taken
    assert paths <= {each["Name"] for each in made}


def test_a_template_that_leads_across_the_cut_in_a_new_way_is_refused() -> None:
    with pytest.raises(CannotBeCut, match="OrdersApi of the shop"):
        split(
            TEMPLATE.replace("SERVICE: orders,", "SERVICE: orders, X: !GetAtt NotificationsApi.Arn,", 1),
            "notifications",
        )
    with pytest.raises(CannotBeCut, match="needs OrdersApi"):
        split(
            TEMPLATE.replace("SERVICE: notifications,", "SERVICE: notifications, X: !Ref OrdersApi,"), "notifications"
        )


def test_the_example_is_what_the_template_says_today() -> None:
    for path, content in example().items():
        assert path.read_text(encoding="utf-8") == content, "say: make docs"


def test_the_services_own_pipeline_deploys_its_stack_and_is_no_less_careful_than_the_shops() -> None:
    [shops, own] = (
        yaml.safe_load(text)
        for text in (
            (ROOT / ".github/workflows/dev.yml").read_text(),
            split_off("notifications")[".github/workflows/dev.yml"],
        )
    )
    assert own["permissions"] == {"contents": "read"}
    [(name, job)] = own["jobs"].items()
    theirs = shops["jobs"][name]
    assert job.keys() == theirs.keys() - {"needs", "if"}
    assert [each for each in job["steps"] if "uses" in each] == [each for each in theirs["steps"] if "uses" in each]
    assert [each["run"].split()[:2] for each in job["steps"] if "run" in each][-2:] == [
        ["sam", "build"],
        ["sam", "deploy"],
    ]
    assert job["environment"] == "dev"
    assert job["concurrency"]["group"] != theirs["concurrency"]["group"]


def test_the_example_has_nothing_that_cfn_lint_would_change(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    for text in split(TEMPLATE, "notifications"):
        file.write_text(text, encoding="utf-8")
        lint = virtual_environment("dev") / "bin" / "cfn-lint"
        checked = subprocess.run([lint, file], capture_output=True, text=True, cwd=ROOT)
        assert checked.returncode == 0, checked.stdout
