"""The calls that an execution environment makes, to the database and to the bus, in one order: written down, and held
up where a test wants it, so that the environment can be killed there from outside."""

import threading
from collections.abc import Callable
from enum import Enum

PATIENCE_SECONDS = 30


class Moment(Enum):
    """Where a call is when it is held up."""

    UNHEARD = "sent, but not arrived"
    UNANSWERED = "dealt with, but not answered"


class Cut(Exception):
    """The connection is to be closed as it is: its environment is dead."""


class Calls:
    """What the tap and the bus report, one call at a time, each from a thread of its own."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._hold: tuple[int, Moment] | None = None
        self._reached, self._decided = threading.Event(), threading.Event()
        self._cut = False

    def listen(self, number: int | None = None, moment: Moment = Moment.UNANSWERED) -> None:
        """Begin a new list, and hold up the call of that number, if one is given: the first is 0."""
        self.made.clear()
        self._hold = None if number is None else (number, moment)
        self._reached.clear()
        self._decided.clear()

    def sent(self, call: str) -> None:
        """The environment has sent a call. Raises Cut when it must not arrive."""
        self.made.append(call)
        self._pass(Moment.UNHEARD)

    def answered(self) -> None:
        """There is an answer to the last call. Raises Cut when it must not be passed back."""
        self._pass(Moment.UNANSWERED)

    def reach(self, alive: Callable[[], bool]) -> str:
        """Wait for the call that is to be held up, and return it. Raises AssertionError when the environment ends."""
        while not self._reached.wait(0.05):
            assert alive(), f"it ended after {self.made}"
        return self.made[-1]

    def resolve(self, cut: bool) -> None:
        """Let the call that is held up go on, or end its connection."""
        self._cut = cut
        self._decided.set()

    def _pass(self, moment: Moment) -> None:
        if self._hold == (len(self.made) - 1, moment):
            self._reached.set()
            if not self._decided.wait(PATIENCE_SECONDS) or self._cut:
                raise Cut
