"""The one executor of parallel jobs: a process pool on this machine, or the calling process itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from separatrix.core.errors import InputError, SeparatrixError

A = TypeVar("A")
B = TypeVar("B")
TRIES = 3


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


def unordered(function: Callable[[A], B], arguments: Sequence[A], workers: str = "local") -> Iterator[B]:
    """`map` in the order in which results come; the same results whichever workers compute them.

    workers: `local` (a process a core), `local:K`, `local:1` (this process), `ray`, `ray://ADDRESS`. A worker that dies
    is replaced and its job tried again, `TRIES` times in all. Raises InputError for other words, or without ray.
    """
    kind, _, count = workers.partition(":")
    if kind == "ray":
        yield from _by_ray(function, arguments, None if workers == "ray" else workers)
        return
    if kind != "local" or (count and not (count.isdecimal() and int(count) > 0)):
        raise InputError(f"workers {workers!r} is none of local, local:K, ray, ray://ADDRESS")
    processes = int(count) if count else default_workers()
    if processes == 1:
        yield from map(function, arguments)
        return
    left = dict.fromkeys(range(len(arguments)), 0)  # job -> how often its pool broke
    while left:
        with ProcessPoolExecutor(min(processes, len(left)), mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(function, arguments[i]): i for i in left}
            try:
                for future in as_completed(futures):
                    result = future.result()
                    del left[futures[future]]
                    yield result
            except BrokenProcessPool as error:
                for i in left:
                    left[i] += 1
                if max(left.values()) >= TRIES:
                    raise SeparatrixError(f"a worker process died {TRIES} times; is there enough memory?") from error
            finally:
                for future in futures:
                    future.cancel()


def _by_ray(function: Callable[[A], B], arguments: Sequence[A], address: str | None) -> Iterator[B]:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("workers `ray` need the extra: pip install 'separatrix[ray]'") from error
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    remote = ray.remote(max_retries=TRIES)(function)
    pending = [remote.remote(argument) for argument in arguments]
    while pending:
        ready, pending = ray.wait(pending)
        yield ray.get(ready[0])
