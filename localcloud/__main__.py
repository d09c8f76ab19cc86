"""The commands of the Makefile."""

import argparse
import signal
import sys

from localcloud import cloud, invoke, ministack, page, played, sam, users
from localcloud.api import Api
from localcloud.home import REPOSITORY, Home
from localcloud.stack import Stack
from localcloud.steps import step


def main() -> int:
    parser = argparse.ArgumentParser(prog="localcloud")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="bring everything up and play orders")
    commands.add_parser("stop", help="end everything; the data stays")
    commands.add_parser("token", help="print an ID token").add_argument("user")
    invocation = commands.add_parser("invoke", help="call one function with one of events/")
    invocation.add_argument("function")
    invocation.add_argument("event")
    commands.add_parser("build", help="sam build into .aws-sam").add_argument("environment")
    arguments, home = parser.parse_args(), Home.default()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        match arguments.command:
            case "run":
                _run(home)
            case "stop":
                cloud.down(home)
            case "token":
                ministack.expect(home)
                print(users.id_token(home, Stack.load(home), arguments.user))
            case "invoke":
                ministack.expect(home)
                print(invoke.invoke(home, arguments.function, arguments.event))
            case "build":
                with step(f"sam build for {arguments.environment}", home.log("sam-build")):
                    sam.build(home, REPOSITORY / ".aws-sam", arguments.environment)
    except KeyboardInterrupt:
        print("\ninterrupted; what this command had started is ended", file=sys.stderr)
        return 130
    except Exception as error:  # the command's own words instead of a traceback
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _run(home: Home) -> None:
    with cloud.ended_on_failure(home):
        stack = cloud.up(home)
        played.play(*(Api(stack.api_url, users.id_token(home, stack, name)) for name in ("alice", "bob", "staff")))
    print(
        f"""
The shop is up, and stays up until `make stop`. It is described in {home.root / "stack.json"}.

  API        {stack.api_url}
  Reference  {page.url(home)}
  Users      {", ".join(stack.users)}: make token USER=alice
  Try        curl -H "Authorization: Bearer $(make token USER=alice)" {stack.api_url}/orders
"""
    )


if __name__ == "__main__":
    sys.exit(main())
