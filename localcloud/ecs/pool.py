"""A user pool as ecs/cluster.yaml makes it: people as in the Lambda design, and services that call each other."""

from dataclasses import dataclass

from localcloud.aws import client
from localcloud.ecs.graph import CALLS, DOMAIN
from localcloud.home import REGION, Home
from localcloud.stack import SERVICES, USERS


@dataclass(frozen=True)
class UserPool:
    user_pool_id: str
    client_id: str
    users: dict[str, dict[str, str]]
    """by name: username, password"""
    callers: dict[str, tuple[str, str]]
    """by service that calls others: its client and that one's secret"""

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.{REGION}.amazonaws.com/{self.user_pool_id}"


def create(home: Home) -> UserPool:
    cognito = client(home, "cognito-idp")
    pool = cognito.create_user_pool(PoolName="kumiki-ecs")["UserPool"]["Id"]
    for group in {group for groups in USERS.values() for group in groups}:
        cognito.create_group(UserPoolId=pool, GroupName=group)
    people = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="people", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    scopes = [{"ScopeName": service, "ScopeDescription": f"Call {service}"} for service in SERVICES]
    cognito.create_resource_server(UserPoolId=pool, Identifier=DOMAIN, Name=DOMAIN, Scopes=scopes)
    callers = {}
    for service, called in CALLS.items():
        made = cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName=service,
            GenerateSecret=True,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=[f"{DOMAIN}/{callee}" for callee in called],
        )["UserPoolClient"]
        callers[service] = made["ClientId"], made["ClientSecret"]
    return UserPool(
        pool,
        people["UserPoolClient"]["ClientId"],
        {name: {"username": name, "password": home.settings.user_password} for name in USERS},
        callers,
    )
