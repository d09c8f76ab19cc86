"""`python -m release deploy dev`; the Makefile's targets are these."""

import argparse
import signal
import subprocess
import sys

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from urllib3.exceptions import HTTPError

from localcloud.api import UnexpectedAnswer
from localcloud.played import UnexpectedEnd
from localcloud.programs import CommandFailed
from release import Refused, smoke
from release.deploy import deploy
from release.destroy import destroy
from release.image import publish
from release.target import DESIGNS, Target

ENVIRONMENTS = {
    "deploy": ("dev", "prod"),
    "image": ("dev", "prod"),
    "smoke": ("local", "dev", "prod"),
    "destroy": ("local", "dev", "prod"),
}
FAILURES = (Refused, BotoCoreError, ClientError, CommandFailed, HTTPError, UnexpectedAnswer, UnexpectedEnd, OSError)
"""Whose words say enough."""
HERE = {"deploy": "make run", "image": "make run-ecs"}


def main(arguments: list[str]) -> int:
    asked = _parser().parse_args(arguments)
    if asked.environment not in ENVIRONMENTS[asked.command]:
        there = f"; on this machine it is `{HERE[asked.command]}`" if asked.command in HERE else ""
        print(f"say ENV= and one of {', '.join(ENVIRONMENTS[asked.command])}{there}", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        _run(Target(asked.environment, asked.design), asked)
    except (KeyboardInterrupt, EOFError):
        print(
            "\ninterrupted; what CloudFormation has begun it goes on with, and the same command waits for it",
            file=sys.stderr,
        )
        return 130
    except NoCredentialsError:
        print("\nno AWS credentials were found: name a profile (AWS_PROFILE=…) or sign in, then again", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired as error:
        print(f"{' '.join(map(str, error.cmd[:2]))} … did not end within {error.timeout:.0f} s", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(map(str, error.cmd[:2]))} … failed", file=sys.stderr)
        return 1
    except FAILURES as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m release")
    parser.add_argument("command", choices=ENVIRONMENTS)
    parser.add_argument("environment")
    parser.add_argument("--design", choices=DESIGNS, default=DESIGNS[0])
    parser.add_argument("--yes", default="", help="without a question; to destroy prod it has to be `prod`")
    parser.add_argument("--account", action="store_true", help="destroy what all environments share as well")
    for name in ("email", "repository", "endpoints"):
        parser.add_argument(f"--{name}", default="")
    return parser


def _run(target: Target, asked: argparse.Namespace) -> None:
    match asked.command:
        case "deploy":
            wanted = {"EMAIL": asked.email, "REPOSITORY": asked.repository, "ENDPOINTS": asked.endpoints}
            deploy(target, bool(asked.yes), wanted)
        case "image":
            publish(target)
        case "smoke":
            smoke.play(smoke.door(target))
        case "destroy":
            destroy(target, asked.yes, asked.account)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
