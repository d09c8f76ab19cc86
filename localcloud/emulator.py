"""MiniStack, run by the Python of its own environment, with three changes.

It saves its state on SIGUSR1 too, not only when it is asked to end, so that what a killed emulator knew comes back. An
invocation's log ends where the invocation does: MiniStack waits 5 ms for a further line, which on a busy machine comes
later, and is then not found before the function's next call. And a cold start takes a third of the time, since twenty
at once share what processors there are: an archive is unpacked once and linked to from then on, and botocore, by which
MiniStack counts functions that call each other in a circle, is left to those that import it.
"""

import hashlib
import os
import signal
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack import app
from ministack.core import lambda_runtime

UNPACKED = Path(tempfile.gettempdir()) / "unpacked"
COUNT_CALLS = "    _ms_install_invoke_depth()\n"
ANSWER = "        _real_stdout.flush()\n\nrun()\n"
MARK = "-- the end of what this invocation has printed --"
END = ""


class Archive(zipfile.ZipFile):
    """The code of a function or a layer. What is in it is read only, as it is on Lambda."""

    unpacking = threading.Lock()

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._once = UNPACKED / hashlib.sha256(Path(path).read_bytes()).hexdigest()

    def namelist(self) -> list[str]:
        """For the check that nothing is unpacked elsewhere, which is made once as well."""
        return [] if self._once.exists() else super().namelist()

    def extractall(self, path: Any = None, *_: Any, **__: Any) -> None:
        with self.unpacking:
            if not self._once.exists():
                super().extractall(unfinished := self._once.with_suffix(".part"))
                unfinished.rename(self._once)
        for entry in self._once.iterdir():
            Path(path, entry.name).symlink_to(entry)


def read_log(worker: Any) -> None:
    """Put what a worker prints into its queue, line by line, empty ones left out, and END where an invocation ends, or
    the worker. A function may have left the line unfinished on which the mark is."""
    lines, printed = worker._stderr_queue, worker._proc.stderr
    try:
        for line in printed:
            text, mark, _ = line.rstrip("\n").partition(MARK)
            if text:
                lines.put(text)
            if mark:
                lines.put(END)
    except ValueError:  # it was closed, or is no text
        pass
    finally:
        lines.put(END)


def whole_log(worker: Any, **_: Any) -> str:
    return "\n".join(iter(worker._stderr_queue.get, END))


def save(*_: object) -> None:
    app.save_all(app._build_persistence_save_dict())
    Path(os.environ["STATE_DIR"], "saved").touch()


signal.signal(signal.SIGUSR1, save)
lambda_runtime.zipfile = SimpleNamespace(**vars(zipfile) | {"ZipFile": Archive})
lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(COUNT_CALLS, "").replace(
    ANSWER, f"        print({MARK!r})\n{ANSWER}"
)
lambda_runtime.Worker._read_stderr, lambda_runtime.Worker._drain_stderr_bounded = read_log, whole_log
app.main()
