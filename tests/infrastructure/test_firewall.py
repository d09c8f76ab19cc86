"""What infra/firewall.yaml and infra/domain.yaml promise: what comes as far as the API, and by which name."""

import json
import re
from typing import Any

import pytest
from msgspec import json as msgspec_json

from catalog.models import AddProduct
from common.requests import BODY_BYTES
from ecs.runtime import body as server
from localcloud.ecs.front_door import BODY_BYTES as GATEWAY_BYTES
from orders.models import PlaceOrder
from tests.infrastructure.ecs_design import design
from tests.infrastructure.templates import Stack, load, stack
from tests.infrastructure.test_template import parameters_of

DOMAIN = {
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:ap-northeast-1:123456789012:certificate/1",
    "HostedZoneId": "Z1",
}
DESIGNS = ("functions", "containers")


def door(design_name: str, environment: str, **others: str) -> Stack:
    """The template with the API, of one of the two designs."""
    if design_name == "functions":
        return stack("template.yaml", **{**parameters_of(environment), **others})
    return design("CLOUD_MAP", environment=environment, **others).front_door


def firewall(design_name: str = "functions", **others: str) -> Stack:
    return stack("infra/firewall.yaml", **door(design_name, "prod", **others).properties("Firewall")["Parameters"])


def rules(made: Stack) -> dict[str, dict[str, Any]]:
    found = made.properties("WebAcl")["Rules"]
    assert [rule["Priority"] for rule in found] == list(range(len(found)))
    return {rule["Name"]: rule for rule in found}


@pytest.mark.parametrize("name", DESIGNS)
def test_prod_has_a_firewall_before_its_stage_and_dev_none(name: str) -> None:
    assert "Firewall" not in door(name, "dev").resources
    nested = door(name, "prod", RequestsPerAddress="300", LogRetentionDays="180").properties("Firewall")
    assert nested["TemplateURL"].removeprefix("../").removeprefix("./") == "infra/firewall.yaml"
    passed = {key: nested["Parameters"][key] for key in ("RequestsPerAddress", "LogRetentionDays", "LogsKeyArn")}
    assert tuple(passed.values()) == ("300", "180", "${LogsKeyArn}")
    made = firewall(name)
    associated = made.properties("Association")
    assert associated == {
        "WebACLArn": "${WebAcl.Arn}",
        "ResourceArn": "arn:aws:apigateway:ap-northeast-1::/restapis/${Api}/stages/${ApiStage}",
    }
    assert (made.properties("WebAcl")["Scope"], made.properties("WebAcl")["DefaultAction"]) == (
        "REGIONAL",
        {"Allow": {}},
    )


def test_the_two_designs_have_one_each_and_a_deploy_may_make_both() -> None:
    names = [firewall(name).properties("WebAcl")["Name"] for name in DESIGNS]
    assert names == ["kumiki-prod", "kumiki-prod-ecs"]


def test_what_attacks_look_like_is_kept_up_by_aws_and_refused() -> None:
    managed = {
        rule["Statement"]["ManagedRuleGroupStatement"]["Name"]: rule
        for rule in rules(firewall()).values()
        if "ManagedRuleGroupStatement" in rule["Statement"]
    }
    assert managed.keys() == {
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesCommonRuleSet",
    }
    for name, rule in managed.items():
        assert rule["OverrideAction"] == {"None": {}}  # or all of it would be counted only
        statement = rule["Statement"]["ManagedRuleGroupStatement"]
        assert (statement["VendorName"], "Action" in rule) == ("AWS", False)
        overridden = statement.get("RuleActionOverrides", [])
        assert overridden == (
            [{"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}] if "Common" in name else []
        )


def test_an_address_that_asks_too_often_is_told_to_wait() -> None:
    rule = rules(firewall(RequestsPerAddress="300"))["too-many"]
    assert rule["Statement"]["RateBasedStatement"] == {
        "Limit": "300",
        "EvaluationWindowSec": 300,
        "AggregateKeyType": "IP",
    }
    blocked = rule["Action"]["Block"]["CustomResponse"]
    assert (blocked["ResponseCode"], blocked["ResponseHeaders"]) == (429, [{"Name": "Retry-After", "Value": "300"}])
    assert blocked["CustomResponseBodyKey"] == "TooMany"


def test_a_body_that_is_larger_than_what_a_firewall_reads_is_too_large() -> None:
    made = firewall()
    rule = rules(made)["too-large"]
    sized = rule["Statement"]["SizeConstraintStatement"]
    read = made.properties("WebAcl")["AssociationConfig"]["RequestBody"]["API_GATEWAY"]["DefaultSizeInspectionLimit"]
    assert (sized["ComparisonOperator"], f"KB_{sized['Size'] // 1024}", sized["Size"] % 1024) == ("GT", read, 0)
    assert sized["FieldToMatch"] == {"Body": {"OversizeHandling": "MATCH"}}
    assert sized["TextTransformations"] == [{"Priority": 0, "Type": "NONE"}]
    blocked = rule["Action"]["Block"]["CustomResponse"]
    assert (blocked["ResponseCode"], blocked["CustomResponseBodyKey"]) == (413, "TooLarge")
    assert str(sized["Size"]) in made.properties("WebAcl")["CustomResponseBodies"]["TooLarge"]["Content"]


def test_what_it_answers_has_the_members_of_a_problem_and_its_status() -> None:
    answers = firewall().properties("WebAcl")["CustomResponseBodies"]
    statuses = {"TooMany": 429, "TooLarge": 413}
    assert answers.keys() == statuses.keys()
    for name, answer in answers.items():
        assert answer["ContentType"] == "APPLICATION_JSON"
        problem = json.loads(answer["Content"])
        assert problem.keys() == {"type", "title", "status", "detail", "request_id"}
        assert problem["status"] == statuses[name]


def longest(characters: int) -> str:
    """JSON may write a character beyond the first plane in twelve bytes."""
    return r"\ud83d\ude00" * characters


def test_sizes_nest_from_the_largest_body_that_a_route_takes_to_what_api_gateway_takes() -> None:
    address = ", ".join(f'"{name}": "{longest(100)}"' for name in ("name", "line1", "line2", "city", "region"))
    line = '{"product_id": "019a0c5e-7b1a-7c3e-8d54-2f6a9b1c0e47", "quantity": 999}'
    order = (
        f'{{"lines": [{", ".join([line] * 20)}], "payment_method": "tok_{"a" * 40}", '
        f'"shipping_address": {{{address}, "postal_code": "1234567890123456", "country": "JP"}}}}'
    )
    product = (
        f'{{"name": "{longest(100)}", "description": "{longest(2000)}", '
        '"price": {"amount": 10000000, "currency": "JPY"}}'
    )
    msgspec_json.decode(order, type=PlaceOrder)
    msgspec_json.decode(product, type=AddProduct)
    firewalls = rules(firewall())["too-large"]["Statement"]["SizeConstraintStatement"]["Size"]
    sizes = [max(len(order), len(product)), firewalls, BODY_BYTES, server.LARGEST, GATEWAY_BYTES]
    assert sizes == sorted(set(sizes))
    assert GATEWAY_BYTES == server.TO_THE_END


@pytest.mark.parametrize("name", DESIGNS)
def test_what_was_refused_is_logged_encrypted_for_a_time_and_without_tokens(name: str) -> None:
    made = firewall(name, LogRetentionDays="90")
    group = made.properties("LogGroup")
    assert (group["KmsKeyId"], group["RetentionInDays"]) == ("${LogsKeyArn}", "90")
    assert group["LogGroupName"] == f"aws-waf-logs-{made.properties('WebAcl')['Name']}"
    logging = made.properties("Logging")
    assert logging["ResourceArn"] == "${WebAcl.Arn}"
    assert logging["LogDestinationConfigs"] == [
        f"arn:aws:logs:ap-northeast-1:123456789012:log-group:{group['LogGroupName']}"
    ]
    assert made.resources["Logging"]["DependsOn"] == "LogGroup"
    assert logging["RedactedFields"] == [{"SingleHeader": {"Name": "authorization"}}]
    assert logging["LoggingFilter"] == {
        "DefaultBehavior": "DROP",
        "Filters": [
            {
                "Behavior": "KEEP",
                "Requirement": "MEETS_ANY",
                "Conditions": [{"ActionCondition": {"Action": action}} for action in ("BLOCK", "COUNT")],
            }
        ],
    }


def test_each_rule_is_counted_by_its_name_and_no_request_is_shown_with_its_headers() -> None:
    made = firewall()
    seen = [made.properties("WebAcl"), *made.properties("WebAcl")["Rules"]]
    for each in seen:
        assert each["VisibilityConfig"] == {
            "SampledRequestsEnabled": False,
            "CloudWatchMetricsEnabled": True,
            "MetricName": each["Name"],
        }


# A name of one's own


@pytest.mark.parametrize("name", DESIGNS)
def test_with_a_domain_the_api_has_that_name_and_no_other(name: str) -> None:
    made = door(name, "prod", **DOMAIN)
    nested = made.properties("Domain")
    assert nested["TemplateURL"].removeprefix("../").removeprefix("./") == "infra/domain.yaml"
    assert nested["Parameters"] == {**DOMAIN, "ApiId": "${Api}", "Stage": "${ApiStage}"}
    assert made.outputs["ApiUrl"] == "https://api.example.com"
    assert closed(made) == "true"


@pytest.mark.parametrize("name", DESIGNS)
def test_without_one_it_has_the_name_that_aws_gives_it(name: str) -> None:
    made = door(name, "dev")
    assert "Domain" not in made.resources
    assert made.outputs["ApiUrl"] == "https://${Api}.execute-api.ap-northeast-1.${AWS::URLSuffix}/dev"
    assert closed(made) == "false"


def closed(made: Stack) -> str:
    [server] = made.properties("Api")["Body"]["servers"]
    return str(server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"])


def test_the_name_is_spoken_to_by_tls_1_2_at_least_and_leads_to_the_stage() -> None:
    made = stack("infra/domain.yaml", **DOMAIN, ApiId="api", Stage="prod")
    assert made.properties("Domain") == {
        "DomainName": "api.example.com",
        "RegionalCertificateArn": DOMAIN["CertificateArn"],
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
        "SecurityPolicy": "TLS_1_2",
    }
    assert made.properties("Mapping") == {"DomainName": "${Domain}", "RestApiId": "api", "Stage": "prod"}
    assert made.properties("Address") == {
        "HostedZoneId": "Z1",
        "Name": "api.example.com",
        "Type": "A",
        "AliasTarget": {"DNSName": "${Domain.RegionalDomainName}", "HostedZoneId": "${Domain.RegionalHostedZoneId}"},
    }
    assert made.resources.keys() == {"Domain", "Mapping", "Address"}


@pytest.mark.parametrize("template", ["template.yaml", "ecs/template.yaml"])
@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "AllowedOrigin",
            ["", "https://shop.example.com", "http://localhost:5173"],
            "* http://shop.example.com https://a/b".split(),
        ),
        ("DomainName", ["", "api.example.com"], "api https://api.example.com api.example.com. API.example.com".split()),
        ("CertificateArn", ["", DOMAIN["CertificateArn"]], ["arn:aws:iam::123456789012:server-certificate/1"]),
        ("HostedZoneId", ["", "Z0123456789ABC"], ["example.com", "/hostedzone/Z1"]),
    ],
)
def test_a_parameter_takes_what_it_should_and_says_what_that_is(
    template: str, name: str, good: list[str], bad: list[str]
) -> None:
    parameter = load(template)["Parameters"][name]
    assert all(re.fullmatch(parameter["AllowedPattern"], value) for value in good)
    assert not any(re.fullmatch(parameter["AllowedPattern"], value) for value in bad)
    assert parameter["ConstraintDescription"]
    assert parameter["Default"] == ""
