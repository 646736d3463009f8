"""Time limits of searches: what `within` leaves to the provers that are called inside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from separatrix.core.errors import UnknownError
from separatrix.kernel.case import Progress

GRACE = 2.0  # seconds past a limit that what is short may take
_until: ContextVar[float | None] = ContextVar("until", default=None)  # a `perf_counter` time


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Provers called inside stop their searches after so many seconds; None sets no limit but their own."""
    token = _until.set(None if seconds is None else time.perf_counter() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def time_left(limit: float) -> float:
    """Seconds that a search may still take: what `within` left, or else the prover's own `limit`."""
    until = _until.get()
    return limit if until is None else max(0.0, until - time.perf_counter())


def stopping(progress: Progress) -> Progress:
    """Progress that ends a check by the kernel, undecided, GRACE seconds after `within` left none."""
    until = _until.get()
    if until is None:
        return progress

    def told(message: str) -> None:
        progress(message)
        if time.perf_counter() > until + GRACE:
            raise UnknownError("the time is spent")

    return told
