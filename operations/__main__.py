"""The commands by which the shop is operated; the Makefile's targets are these."""

import argparse
import sys
from datetime import UTC, datetime

from operations import consumers, erase, logs, reconcile, redrive, replay
from operations.cloud import Cloud


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return _run(Cloud(arguments.environment), arguments)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except Exception as error:  # the command's own words instead of a traceback
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="operations")
    parser.add_argument("--environment", default="local", help="local, or one of samconfig.toml: by AWS credentials")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("logs", help="one order's story over all services").add_argument("order")
    redriving = commands.add_parser("redrive", help="what is in dead-letter queues, and back with it")
    redriving.add_argument("--yes", action="store_true", help="without a question")
    switching = commands.add_parser("consumer", help="one consumer off, and on again")
    switching.add_argument("service")
    switching.add_argument("turn", choices=["on", "off"])
    replaying = commands.add_parser("replay", help="archived events once more to one consumer")
    replaying.add_argument("service")
    replaying.add_argument("start", type=replay.moment)
    replaying.add_argument("end", type=replay.moment, nargs="?")
    reconciling = commands.add_parser("reconcile", help="what the services' books say differently")
    reconciling.add_argument("--patience", type=float, default=reconcile.PATIENCE_SECONDS)
    commands.add_parser("erase", help="what is known of one customer").add_argument("customer_id")
    return parser


def _run(cloud: Cloud, arguments: argparse.Namespace) -> int:
    """The exit code: 1 when something is left to do."""
    match arguments.command:
        case "logs":
            logs.tell(cloud, arguments.order)
        case "redrive":
            return 0 if redrive.redrive(cloud, arguments.yes) else 1
        case "consumer":
            consumers.switch(cloud, arguments.service, arguments.turn == "on")
        case "replay":
            replay.replay(cloud, arguments.service, arguments.start, arguments.end or datetime.now(UTC))
        case "reconcile":
            return 0 if reconcile.reconcile(cloud, arguments.patience) else 1
        case "erase":
            return 0 if erase.erase(cloud, arguments.customer_id) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
