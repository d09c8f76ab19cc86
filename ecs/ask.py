"""Puts an operator's question to a service, in a task of its own: `python -m ecs.ask erase CUSTOMER`.

The questions are those that the service's consumer answers; `parked` and `release` are about its journal here. Each row
of the answer is a log line, and contains nothing personal.
"""

import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from common.database import announce_through
from common.observability import logger
from common.values import uuid7
from ecs.runtime.proxy import Context
from ecs.runtime.settings import settings
from ecs.runtime.wsgi import Unheard

MILLIS = 25_000


def ask(question: str, about: str) -> Sequence[dict[str, Any]]:
    service = settings().service
    adapter = importlib.import_module(f"ecs.{service}")
    announce_through(adapter.journal or Unheard())
    adapter.consumer.parks_in("journal")
    context = Context(service, str(uuid7()), MILLIS, time.monotonic())
    rows: Sequence[dict[str, Any]] = adapter.consumer.handler({"question": question, "about": about}, context)["answer"]
    return rows


def main(question: str, about: str = str(UUID(int=0))) -> None:
    for row in ask(question, about):
        logger.info("answer", extra={"answer": row})


if __name__ == "__main__":
    main(*sys.argv[1:])
