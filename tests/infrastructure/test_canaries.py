"""How a new version comes before customers: in prod a tenth of them first, and back when requests fail."""

from tests.infrastructure.lambda_design import APIS, SERVICES, Shop, logical_id, shop_of
from tests.infrastructure.templates import load, stack


def test_prod_alone_deploys_gradually_and_by_default_nobody_does(shop: Shop) -> None:
    groups = shop.of_type("AWS::CodeDeploy::DeploymentGroup")
    assert set(groups) == ({f"{name}DeploymentGroup" for name in APIS} if shop.environment == "prod" else set())
    assert len(shop.of_type("AWS::CodeDeploy::Application")) == (shop.environment == "prod")
    assert not stack("template.yaml").of_type("AWS::CodeDeploy::DeploymentGroup")  # what the emulator goes by


def test_a_tenth_of_the_requests_meets_the_new_version_for_ten_minutes() -> None:
    for group in shop_of("prod").of_type("AWS::CodeDeploy::DeploymentGroup").values():
        assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent10Minutes"
        assert group["DeploymentStyle"] == {
            "DeploymentType": "BLUE_GREEN",
            "DeploymentOption": "WITH_TRAFFIC_CONTROL",
        }
        assert group["ServiceRoleArn"] == "${DeploymentRole.Arn}"
        assert group["ApplicationName"] == "${ServerlessDeploymentApplication}"


def test_the_alias_moves_by_the_deployment_of_its_own_function() -> None:
    shop = shop_of("prod")
    for name in APIS:
        policy = shop.resources[f"{name}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == f"${{{name}DeploymentGroup}}"
        assert policy["ApplicationName"] == "${ServerlessDeploymentApplication}"


def test_it_is_taken_back_when_requests_of_that_service_fail_or_its_function_does() -> None:
    shop = shop_of("prod")
    for name, service in APIS.items():
        group = shop.properties(f"{name}DeploymentGroup")
        alarms = [alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]]
        assert group["AlarmConfiguration"]["Enabled"] is True
        assert alarms == [
            f"${{Monitoring.Outputs.{service}RequestsFailed}}",
            f"${{Monitoring.Outputs.{service}ApiErrors}}",
        ]
        assert {alarm[2:-1].rsplit(".")[-1] for alarm in alarms} <= shop.nested["Monitoring"].outputs.keys()
        rollback = group["AutoRollbackConfiguration"]
        assert (rollback["Enabled"], set(rollback["Events"])) == (
            True,
            {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"},
        )


def test_those_alarms_look_at_our_own_metric_and_at_what_breaks_before_it_is_counted() -> None:
    shop = shop_of("prod")
    for service, name in SERVICES.items():
        outputs, below = shop.nested["Monitoring"].outputs, shop.nested[f"Monitoring/{service}"]
        assert outputs[f"{service}RequestsFailed"] == f"${{{service}.Outputs.RequestsFailed}}"
        failed, errors = below.properties("RequestsFailed"), below.properties(below.outputs["ApiErrors"][2:-1])
        assert (failed["Namespace"], failed["MetricName"]) == ("Kumiki/prod", "RequestsFailed")
        assert failed["Dimensions"] == [{"Name": "service", "Value": name}]
        assert (errors["Namespace"], errors["MetricName"]) == ("AWS/Lambda", "Errors")
        [dimension] = errors["Dimensions"]
        assert (dimension["Name"], logical_id(dimension["Value"])) == ("FunctionName", f"{service}Api")
        for alarm in (failed, errors):  # bad minutes enough to be seen while it goes on
            assert alarm["Period"] * alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) <= 5 * 60


def test_alarms_are_made_before_what_looks_at_them_and_depend_on_no_alias_that_waits_for_it() -> None:
    given = str(shop_of("prod").properties("Monitoring")["Parameters"])
    assert "Alias" not in given
    assert "${Api}" not in given


def test_whether_it_is_gradual_is_a_parameter_which_sam_can_see() -> None:
    for name in APIS:
        preference = load("template.yaml")["Resources"][name]["Properties"]["DeploymentPreference"]
        assert preference["Enabled"] == {"Ref": "GradualDeployment"}
