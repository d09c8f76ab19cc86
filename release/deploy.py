"""An environment brought up to date: its platform first, where the caller may, then the application."""

from botocore.exceptions import ClientError

from localcloud import sam
from localcloud.home import REPOSITORY, Home
from localcloud.steps import step
from release import Refused, account, change, checks, discovery, front_door, image, migration, protection
from release import stack as stacks
from release.stack import Stack
from release.target import Target

PROTECTIONS = {"DeletionProtection": "false", "UserPoolDeletionProtection": "INACTIVE"}
"""Parameters of stacks that hold data, and how they are switched off."""


def deploy(target: Target, yes: bool, wanted: dict[str, str]) -> None:
    """Every stack in order. `wanted`: EMAIL, REPOSITORY and ENDPOINTS, for what is there only when it is asked for.
    Raises Refused, CalledProcessError, boto3's errors."""
    print(f"{target.environment}: {checks.caller(target)}", flush=True)
    print(f"source: {checks.source(target.environment)}", flush=True)
    application = stacks.application(target.environment, target.design)
    checks.together(target, [*stacks.account(), *stacks.platform(target.environment), *application])
    checks.consent(target, yes)
    checks.alone(target)
    for warning in checks.warnings(target, application[-1]):
        print(f"warning: {warning}", flush=True)
    _platform(target, yes, wanted)
    name = application[-1].name
    try:
        {"lambda": _functions, "ecs": _containers}[target.design](target, application, yes)
    except Refused:
        # Its stage has then the API that the stack deployed last, without what a parameter alone has changed since.
        if (found := stacks.described(target, name)) and found["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE":
            front_door.put_before_callers(target, name)
        raise
    front_door.put_before_callers(target, name)
    print(f"\n{stacks.outputs(target, name).get('ApiUrl')}: make smoke ENV={target.environment}")


def _platform(target: Target, yes: bool, wanted: dict[str, str]) -> None:
    network, endpoints, database = stacks.platform(target.environment)
    try:
        stacks.described(target, network.name)
    except ClientError as error:
        if not stacks.refused(error):
            raise
        print(
            "\nthe platform's stacks are refused to this caller: they stay as they are, and the application comes alone"
        )
        return
    bootstrap, delivery = stacks.account()
    _where_asked(target, account.bootstrap(target, bootstrap, wanted), wanted, "EMAIL", "who is told about money", yes)
    _where_asked(
        target, account.delivery(target, delivery, wanted), wanted, "REPOSITORY", "whose workflows deploy", yes
    )
    change.bring_up(target, network, yes)
    _where_asked(target, endpoints, wanted, "ENDPOINTS", "1 where interface endpoints pay", yes)
    _in_two_steps(target, database, yes)


def _where_asked(target: Target, stack: Stack, wanted: dict[str, str], name: str, meaning: str, yes: bool) -> None:
    """What is there is kept up to date; what is not is made by whoever says `name`. All else needs the first one."""
    if change.there(target, stack.name) or wanted.get(name):
        change.bring_up(target, stack, yes)
    elif name == "EMAIL":
        raise Refused(f"{stack.name} is not there yet, and comes first: say {name}=, {meaning}")
    else:
        print(f"\n{stack.name}\n  is not there, and not asked for: {name}=, {meaning}", flush=True)


def _in_two_steps(target: Target, stack: Stack, yes: bool) -> None:
    """Protected when it stands: a first creation that fails half-way could not be undone with the protection on."""
    off = {name: no for name, no in PROTECTIONS.items() if stack.parameters.get(name, no) != no}
    if off and not change.there(target, stack.name):
        change.bring_up(target, stack.given(**off), yes)
    change.bring_up(target, stack, yes)
    if target.environment == "prod":
        protection.put(target, stack.name)


def _functions(target: Target, parts: list[Stack], yes: bool) -> None:
    home = Home(REPOSITORY / ".local")
    with step("sam build", home.log("sam-build")):
        sam.build(home, stacks.BUILD, target.environment)
    [shop] = parts
    near = checks.concurrency(target) * 8 // 10
    _in_two_steps(target, shop.given(ConcurrencyNear=str(near)), yes)


def _containers(target: Target, parts: list[Stack], yes: bool) -> None:
    """Schemas first, by the new image, then the services."""
    repository, migrator, services = parts
    now = stacks.parameters(target, services.name).get("DiscoveryMode")
    discovery.check(now, services.parameters["DiscoveryMode"])
    change.bring_up(target, repository, yes)
    uri = image.published(target)
    account.prepare(target)
    change.bring_up(target, migrator.given(Image=uri), yes)
    migration.run(target, migrator.name)
    _in_two_steps(target, services.given(Image=uri), yes)
