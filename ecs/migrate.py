"""Brings every schema up to date, before services of a new image start: `python -m ecs.migrate`.

Exits with 0 on success, otherwise with a traceback and 1, and the deploy stops there.
"""

from pathlib import Path

from common.migrator import run

SERVICES = Path(__file__).resolve().parent.parent / "services"


def main() -> None:
    run(SERVICES)


if __name__ == "__main__":
    main()
