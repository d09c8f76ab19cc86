"""`python -m localcloud.ecs run` plays orders in the ECS design; `python -m localcloud.ecs exec -- COMMAND …` runs a
command, such as tests that make a `localcloud.ecs.shop.Shop`, in namespaces that end with it."""

import argparse
import signal
import sys

from localcloud import apt
from localcloud.ecs import unshared
from localcloud.ecs.graph import DISCOVERY, home
from localcloud.home import Busy
from localcloud.programs import CommandFailed


def main() -> int:
    parser = argparse.ArgumentParser(prog="localcloud.ecs")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("--discovery", choices=DISCOVERY, default=DISCOVERY[0])
    commands.add_parser("exec").add_argument("argument", nargs="+")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        if arguments.command == "exec":
            return unshared.run(home(), arguments.argument)
        with home().locked():
            return unshared.run(home(), [sys.executable, "-m", "localcloud.ecs.play", arguments.discovery])
    except KeyboardInterrupt:
        print("\ninterrupted; nothing of it is left", file=sys.stderr)
        return 130
    except (apt.Missing, Busy, CommandFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
