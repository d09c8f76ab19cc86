"""What has to be so before a stack changes, asked before it does."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from localcloud.home import REPOSITORY
from operations.question import agreed
from release import Refused
from release.stack import Stack, application, described, refused
from release.target import DESIGNS, Target

TEMPLATE = REPOSITORY / "template.yaml"
UNRESERVED = 100  # what Lambda keeps for functions that reserve nothing


def caller(target: Target) -> str:
    """Who asks, in whose account. Raises botocore's errors where there are no credentials."""
    found = target.client("sts").get_caller_identity()
    return f"account {found['Account']}, {target.region}, as {found['Arn'].rpartition('/')[2]}"


def source(environment: str) -> str:
    """What is to be deployed. Raises Refused for prod unless it is a commit with a tag and nothing else."""
    commit, changed = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain")
    tags = _git("tag", "--points-at", "HEAD").split()
    if environment == "prod" and changed:
        raise Refused(f"prod is deployed from a commit, and here is more:\n{changed}")
    if environment == "prod" and not tags:
        raise Refused(f"prod is deployed from a tag, and {commit} has none")
    return " ".join([commit, *tags, *(["with changes that are in no commit"] if changed else [])])


def consent(target: Target, yes: bool) -> None:
    """Raises Refused unless whoever deploys prod means this account."""
    if target.environment == "prod" and not agreed("deploy to prod there?", yes):
        raise Refused("nothing was changed")


def alone(target: Target) -> None:
    """Raises Refused where the environment has the other design: both would work on the same schemas."""
    [other] = [design for design in DESIGNS if design != target.design]
    name = application(target.environment, other)[-1].name
    if described(target, name):
        raise Refused(
            f"{target.environment} has the other design, {name}: delete that stack first, or say DESIGN={other}"
        )


def together(target: Target, stacks: list[Stack]) -> None:
    """Raises Refused where a stack would come to another region than those that take what it publishes."""
    if apart := [f"{stack.name} in {stack.region}" for stack in stacks if stack.region != target.region]:
        raise Refused(f"{target.environment} is in {target.region}, but samconfig.toml has {', '.join(apart)}")


def published(target: Target, stack: Stack) -> None:
    """Raises Refused where a value that the stack takes from Parameter Store is not there yet."""
    declared = yaml_parse(stack.template.read_text(encoding="utf-8")).get("Parameters", {})
    given = stack.parameters
    names = {
        str(given.get(name, definition.get("Default")))
        for name, definition in declared.items()
        if definition["Type"].startswith("AWS::SSM::")
    }
    wanted = sorted(names)
    missing: list[str] = []
    for at in range(0, len(wanted), 10):
        missing += target.client("ssm").get_parameters(Names=wanted[at : at + 10])["InvalidParameters"]
    if missing:
        raise Refused(f"{stack.name} takes from Parameter Store what nobody has published yet: {', '.join(missing)}")


def warnings(target: Target, stack: Stack) -> Iterator[str]:
    """What may be meant, and is better known. Raises Refused for what Lambda would refuse."""
    yield from _mail(target, stack.parameters.get("MailSender", ""))
    if target.design == "lambda":
        yield from _concurrency(target, stack)


def _mail(target: Target, sender: str) -> Iterator[str]:
    if not sender:
        return
    identities = [sender, sender.partition("@")[2]]
    try:
        found = target.client("ses").get_identity_verification_attributes(Identities=identities)
    except ClientError as error:
        if not refused(error):
            raise
        yield "whether SES has verified MailSender cannot be seen by this caller"
        return
    states = [each["VerificationStatus"] for each in found["VerificationAttributes"].values()]
    if "Success" not in states:
        yield f"SES has verified neither {sender} nor its domain: no mail will be sent"


def _concurrency(target: Target, stack: Stack) -> Iterator[str]:
    limit, wanted = concurrency(target), reserved(TEMPLATE, stack.parameters)
    if wanted and wanted + UNRESERVED > limit:
        raise Refused(
            f"the functions reserve {wanted} executions, Lambda keeps {UNRESERVED} for all others, and this account "
            f"may have {limit} at once (Service Quotas, Lambda, Concurrent executions): ask for more, or reserve none"
        )
    if limit < UNRESERVED:
        yield f"this account may run {limit} functions at once, as new ones do: ask for more, or expect throttling"


def concurrency(target: Target) -> int:
    """How many functions the account may run at once."""
    return int(target.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"])


def reserved(template: Path, given: dict[str, str]) -> int:
    """Executions that the functions of a template set aside for themselves."""
    content = yaml_parse(template.read_text(encoding="utf-8"))
    values = {name: each.get("Default") for name, each in content.get("Parameters", {}).items()} | given

    def worth(value: Any) -> Any:
        match value:
            case {"Ref": name}:
                return values.get(name)
            case {"Fn::Equals": [one, other]}:
                return str(worth(one)) == str(worth(other))
            case {"Fn::Not": [condition]}:
                return not worth(condition)
            case {"Fn::If": [condition, yes, no]}:
                return worth(yes if worth(content["Conditions"][condition]) else no)
        return value

    common = content.get("Globals", {}).get("Function", {}).get("ReservedConcurrentExecutions")
    functions = [each for each in content["Resources"].values() if each["Type"] == "AWS::Serverless::Function"]
    return sum(int(worth(f["Properties"].get("ReservedConcurrentExecutions", common)) or 0) for f in functions)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Refused(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
