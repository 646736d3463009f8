"""The one executor of parallel jobs: a process pool on this machine, or the calling process itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(function: Callable[[A], B], arguments: Iterable[A], workers: int = 1) -> Iterator[B]:
    """`map` in the order of `arguments`; with `workers` > 1 in fresh processes (function and arguments must pickle).

    An exception in a job is raised here when its turn comes; jobs after it are cancelled.
    """
    if workers <= 1:
        yield from map(function, arguments)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(function, argument) for argument in arguments]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
