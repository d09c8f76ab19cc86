"""What infra/identity.yaml promises: people, how they show who they are, and for how long that is believed."""

from typing import Any

import pytest

from tests.infrastructure.ecs_design import production
from tests.infrastructure.templates import Stack, load, render, stack
from tests.infrastructure.test_template import parameters_of


def identity(environment: str, **others: str) -> Stack:
    """As template.yaml nests it, with what samconfig.toml gives but for `others`."""
    template = load("template.yaml")
    template |= {"Resources": {"Identity": template["Resources"]["Identity"]}, "Outputs": {}}  # SAM takes long with all
    nested = render(template, **{**parameters_of(environment), **others}).properties("Identity")
    assert nested["TemplateURL"].removeprefix("./") == "infra/identity.yaml"
    return stack("infra/identity.yaml", **nested["Parameters"])


def pool(environment: str, **others: str) -> dict[str, Any]:
    return identity(environment, **others).properties("UserPool")


def client(environment: str, **others: str) -> dict[str, Any]:
    return identity(environment, **others).properties("UserPoolClient")


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_a_password_is_long_and_mixed_and_one_that_was_handed_out_is_soon_no_good(environment: str) -> None:
    policy = pool(environment)["Policies"]["PasswordPolicy"]
    assert 12 <= policy["MinimumLength"] <= 20  # above, people write it down
    assert policy["RequireLowercase"] is policy["RequireUppercase"] is policy["RequireNumbers"] is True
    assert policy["TemporaryPasswordValidityDays"] <= 3


@pytest.mark.parametrize(
    ("mfa", "means"), [("OFF", None), ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"]), ("ON", ["SOFTWARE_TOKEN_MFA"])]
)
def test_a_second_factor_is_an_app_and_no_text_message(mfa: str, means: list[str] | None) -> None:
    """Where there is none, EnabledMfas must not be there."""
    made = pool("dev", Mfa=mfa)
    assert (made["MfaConfiguration"], made.get("EnabledMfas")) == (mfa, means)


def test_in_production_whoever_wants_a_second_factor_has_one() -> None:
    assert [pool(environment)["MfaConfiguration"] for environment in ("local", "dev", "prod")] == [
        "OFF",
        "OFF",
        "OPTIONAL",
    ]


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_tokens_are_good_for_an_hour_at_most_and_those_for_new_ones_once(environment: str) -> None:
    made = client(environment, RefreshTokenDays="7")
    assert made["TokenValidityUnits"] == {"IdToken": "minutes", "AccessToken": "minutes", "RefreshToken": "days"}
    assert (made["IdTokenValidity"], made["AccessTokenValidity"], made["RefreshTokenValidity"]) == (60, 60, "7")
    assert made["EnableTokenRevocation"] is True
    assert made["RefreshTokenRotation"]["Feature"] == "ENABLED"
    assert 0 <= made["RefreshTokenRotation"]["RetryGracePeriodSeconds"] <= 60
    # Cognito takes no client that rotates and could refresh without; a tier below has no rotation.
    assert "ALLOW_REFRESH_TOKEN_AUTH" not in made["ExplicitAuthFlows"]
    assert pool(environment)["UserPoolTier"] == "ESSENTIALS"


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_a_password_itself_is_taken_from_administrators_only_and_nobody_learns_who_has_an_account(
    environment: str,
) -> None:
    made = client(environment)
    assert sorted(made["ExplicitAuthFlows"]) == ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH"]
    assert made["PreventUserExistenceErrors"] == "ENABLED"
    assert made["UserPoolId"] == "${UserPool}"
    assert "GenerateSecret" not in made  # a page could not keep one
    assert pool(environment)["UsernameConfiguration"] == {"CaseSensitive": False}
    assert pool(environment)["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}


def test_an_account_comes_back_by_an_address_that_was_shown_to_be_theirs() -> None:
    made = pool("prod")
    assert made["AccountRecoverySetting"] == {"RecoveryMechanisms": [{"Name": "verified_email", "Priority": 1}]}
    assert made["AutoVerifiedAttributes"] == ["email"]
    assert made["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}


def test_customers_do_not_go_with_a_stack_and_a_first_deploy_that_fails_can_be_undone() -> None:
    protected = {environment: pool(environment)["DeletionProtection"] for environment in ("local", "dev", "prod")}
    assert protected == {"local": "INACTIVE", "dev": "INACTIVE", "prod": "ACTIVE"}
    assert pool("prod", UserPoolDeletionProtection="INACTIVE")["DeletionProtection"] == "INACTIVE"
    for template in ("template.yaml", "ecs/template.yaml"):
        assert load(template)["Parameters"]["UserPoolDeletionProtection"]["Default"] == "INACTIVE"
    assert production().identity.properties("UserPool")["DeletionProtection"] == "ACTIVE"


@pytest.mark.parametrize(("protection", "tier"), [("OFF", "ESSENTIALS"), ("AUDIT", "PLUS"), ("ENFORCED", "PLUS")])
def test_sign_ins_are_judged_where_that_is_paid_for_and_nowhere_else(protection: str, tier: str) -> None:
    made = pool("prod", ThreatProtection=protection)
    assert (made["UserPoolAddOns"], made["UserPoolTier"]) == ({"AdvancedSecurityMode": protection}, tier)
    assert load("template.yaml")["Parameters"]["ThreatProtection"]["Default"] == "OFF"


def test_staff_is_a_group_of_the_pool_and_pools_are_told_apart_by_environment() -> None:
    made = identity("prod")
    group = made.properties("StaffGroup")
    assert (group["GroupName"], group["UserPoolId"]) == ("staff", "${UserPool}")
    assert made.properties("UserPool")["UserPoolName"] == "kumiki-prod"
    assert made.properties("UserPool")["UserPoolTags"] == {"environment": "prod"}  # by which deploys tell them apart
    assert made.resources.keys() == {"UserPool", "UserPoolClient", "StaffGroup"}


def test_what_others_need_of_it_is_told() -> None:
    assert identity("prod").outputs == {
        "UserPoolId": "${UserPool}",
        "UserPoolArn": "${UserPool.Arn}",
        "UserPoolClientId": "${UserPoolClient}",
    }
    outputs = stack("template.yaml", **parameters_of("prod")).outputs
    for name in ("UserPoolId", "UserPoolClientId"):
        assert outputs[name] == f"${{Identity.Outputs.{name}}}"
