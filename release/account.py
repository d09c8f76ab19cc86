"""What an account has once, and may have already."""

from release.change import there
from release.stack import Stack
from release.target import Target

ECS = "ecs.amazonaws.com"
GITHUB = "token.actions.githubusercontent.com"


def bootstrap(target: Target, stack: Stack, wanted: dict[str, str]) -> Stack:
    """With what is only known here: a second role for ECS would be refused."""
    role = "" if there(target, stack.name) else "exists" if _ecs_roles(target) else "make"
    return stack.given(AlertEmail=wanted.get("EMAIL", ""), EcsServiceLinkedRole=role)


def delivery(target: Target, stack: Stack, wanted: dict[str, str]) -> Stack:
    """As above: so would a second provider for GitHub's tokens."""
    providers = target.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    known = any(each["Arn"].endswith(GITHUB) for each in providers)
    provider = "" if there(target, stack.name) else "exists" if known else "make"
    return stack.given(Repository=wanted.get("REPOSITORY", ""), GitHubProvider=provider)


def prepare(target: Target) -> None:
    """Have the role by which ECS acts. Without it the first cluster of an account fails, and makes it in passing."""
    if not _ecs_roles(target):
        iam = target.client("iam")
        made = iam.create_service_linked_role(AWSServiceName=ECS)["Role"]
        iam.get_waiter("role_exists").wait(RoleName=made["RoleName"])


def _ecs_roles(target: Target) -> list[object]:
    return list(target.client("iam").list_roles(PathPrefix=f"/aws-service-role/{ECS}/")["Roles"])
