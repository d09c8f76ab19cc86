"""A database in trouble, as the one who asks it sees it: a tap that does not pass everything on."""

import threading

from tests.faults.calls import Calls, Cut


class Trouble(Calls):
    """From `begin` to `end`. The second call after `begin` is number 1, on whatever connection it comes."""

    def __init__(self, after: int = 0) -> None:
        super().__init__()
        self._after = after
        self._bad, self.over = threading.Event(), threading.Event()

    def begin(self) -> None:
        self.listen()
        self._bad.set()

    def end(self) -> None:
        self._bad.clear()
        self.over.set()

    @property
    def now(self) -> bool:
        """Whether it is bad, and so many calls have been answered."""
        return self._bad.is_set() and len(self.made) > self._after


class Slow(Trouble):
    """Every answer is so many seconds late."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def answered(self) -> None:
        if self.now:
            self.over.wait(self._seconds)


class Silent(Trouble):
    """Whoever calls is heard, but nobody answers any more; what was asked last is done nevertheless."""

    def answered(self) -> None:
        if self.now:
            self.over.wait()
            raise Cut


class Restarted(Trouble):
    """A connection breaks with an answer on its way; others, and new ones, are as good as ever."""

    def answered(self) -> None:
        if self.now:
            self._bad.clear()
            raise Cut
