"""The container's entry point: `python -m ecs.server` serves the service that the environment names."""

import mmap
import multiprocessing
import os
import secrets
import signal
import sys
import time
from threading import Thread, Timer
from typing import Any

import urllib3

from common.configuration import ConfigurationError
from common.observability import describe, logger
from ecs.runtime.listener import Listener
from ecs.runtime.settings import Settings, settings
from ecs.runtime.wsgi import application

SWEPT = 204
_lame = mmap.mmap(-1, 1)  # its one byte is shared with the workers, and needs no file


def main() -> None:
    """SIGTERM fails the health check of all workers at once. They serve on until discovery has noticed, finish what is
    in flight, and this returns. A second one, or SIGINT, ends everything where it is."""
    multiprocessing.set_start_method("fork")  # workers share what is above, and are there again at once when one dies
    config, secret = settings(), secrets.token_hex()
    serve = application(config.service, lame, secret)
    listener = Listener(config.host, config.port, config.workers)

    def go_lame(*_: Any) -> None:
        if lame():
            listener.abandon()
        else:
            _lame[0] = 1
            logger.info("going lame", extra={"seconds": config.lame_seconds})
            ending = Timer(config.lame_seconds, listener.end)
            ending.daemon = True
            ending.start()

    def prepare() -> None:
        signal.signal(signal.SIGTERM, go_lame)
        signal.signal(signal.SIGINT, lambda *_: listener.abandon())
        os.register_at_fork(after_in_child=_heed)
        Thread(target=sweep, args=(config, secret), daemon=True).start()

    listener.on_startup(prepare)  # by then granian has set signal handlers of its own
    listener.serve(target_loader=lambda _: serve)


def _heed() -> None:
    """A worker that is told to end before granian has set its handlers ends: those above are not its own."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def lame() -> bool:
    return _lame[0] == 1


def sweep(config: Settings, secret: str) -> None:
    """Have a worker sweep, on its own connection to the database: there are no more of these than workers."""
    http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=30), retries=False)
    while True:
        time.sleep(config.sweep_seconds)
        if lame():
            return
        try:
            status = http.request("POST", f"{config.own_url}/sweep", headers={"Authorization": secret}).status
            if status != SWEPT:
                logger.warning("the sweep failed", extra={"status": status})
        except urllib3.exceptions.HTTPError as error:
            logger.warning("no sweep", extra=describe(error))


if __name__ == "__main__":
    try:
        main()
    except ConfigurationError as error:
        logger.critical(str(error))
        sys.exit(1)
