"""One function, called with one of the sample events."""

import json
import shutil
import subprocess

from localcloud import aws, sam
from localcloud.cloudformation import physical_ids
from localcloud.home import REPOSITORY, Home

EVENTS = REPOSITORY / "events"


class NoSuchEvent(Exception):
    """The message lists those that there are."""


class FunctionFailed(Exception):
    """The function raised; the message is what it answered instead."""


def invoke(home: Home, function: str, event: str) -> str:
    """The answer, of a container where Docker runs, of the local cloud otherwise. Raises NoSuchEvent, FunctionFailed,
    CommandFailed."""
    file = EVENTS / function / f"{event}.json"
    if not file.exists():
        known = "\n".join(
            f"    FUNCTION={path.parent.name} EVENT={path.stem}" for path in sorted(EVENTS.glob("*/*.json"))
        )
        raise NoSuchEvent(f"there is no {file.relative_to(REPOSITORY)}; there are\n{known}")
    name = physical_ids(home, "AWS::Lambda::Function")[function]
    functions = aws.client(home, "lambda")
    if _docker_runs():
        # The template's variables as the local cloud resolved them; the host's network, for all is on loopback.
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        home.write("invoke.json", {function: variables})
        return sam.invoke(home, home.root / "sam", function, file, home.root / "invoke.json")
    answer = functions.invoke(FunctionName=name, Payload=file.read_bytes())
    printed = json.dumps(json.loads(answer["Payload"].read()), indent=2, ensure_ascii=False)
    if "FunctionError" in answer:
        raise FunctionFailed(printed)
    return printed


def _docker_runs() -> bool:
    return (
        shutil.which("docker") is not None and subprocess.run(["docker", "info"], capture_output=True).returncode == 0
    )
