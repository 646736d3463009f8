"""The one executor of parallel jobs: the calling process itself, a process pool on this machine, or Ray."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from io import TextIOBase
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from types import ModuleType
from typing import TextIO, TypeVar

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
    with _pool(workers) as pool:
        futures = [pool.submit(function, argument) for argument in arguments]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def processes(workers: str) -> int:
    """How many processes `local` or `local:K` mean; InputError for other words."""
    kind, _, count = workers.partition(":")
    if kind != "local" or (workers != "local" and not (count.isdecimal() and int(count) > 0)):
        raise InputError(f"workers {workers!r} is none of local, local:K, ray, ray://ADDRESS")
    return int(count) if count else default_workers()


def _pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent is killed would wait for work for ever; this one ends with it."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def unordered(
    function: Callable[[A], B], arguments: Sequence[A], workers: str = "local", gpus: float = 0.0
) -> Iterator[B]:
    """`map` in the order in which results come; the same results whichever workers compute them.

    workers: `local` (a process a core), `local:K`, `local:1` (this process), `ray` (the cluster of RAY_ADDRESS or of
        this machine, else one that starts and ends with the call), `ray://ADDRESS`. A worker that dies is replaced and
        its job tried again, `TRIES` times in all.
    gpus: that a job takes on a cluster; 0 for none.

    Raises:
        InputError: other words, without ray, or no cluster at the address. Of a job: what it raised.
        SeparatrixError: a worker died too often.
    """
    if workers == "ray" or (workers.startswith("ray://") and workers != "ray://"):
        yield from _by_ray(function, arguments, None if workers == "ray" else workers, gpus)
        return
    most = processes(workers)
    if most == 1:
        yield from map(function, arguments)
        return
    left = dict.fromkeys(range(len(arguments)), 0)  # job -> how often its pool broke
    while left:
        with _pool(min(most, len(left))) as pool:
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


def _by_ray(function: Callable[[A], B], arguments: Sequence[A], address: str | None, gpus: float) -> Iterator[B]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
    try:
        import ray
        from ray.exceptions import RayTaskError, WorkerCrashedError
    except ImportError as error:
        raise InputError("workers `ray` need the extra: pip install 'separatrix[ray]'") from error
    if not arguments:
        return
    own = not ray.is_initialized()
    if own:
        _join(ray, address)
    try:
        with redirect_stdout(_Apart(sys.stdout)):
            remote = ray.remote(max_retries=TRIES - 1, num_cpus=1, num_gpus=gpus)(function)
            pending = [remote.remote(argument) for argument in arguments]
            while pending:
                ready, pending = ray.wait(pending)
                yield ray.get(ready[0])
    except RayTaskError as error:
        if isinstance(error.cause, RuntimeError) and "failed to import" in str(error.cause):
            told = "the cluster's workers cannot import separatrix; install this version there"
            raise InputError(told) from error
        raise error.cause if isinstance(error.cause, Exception) else error from None
    except WorkerCrashedError as error:
        raise SeparatrixError(f"a worker process died {TRIES} times; is there enough memory?") from error
    finally:
        if own:
            with redirect_stdout(sys.stderr):  # here Ray prints what it held back
                ray.shutdown()


class _Apart(TextIOBase):
    """What is printed, but by threads of Ray's on stderr: they tell of dead workers, and stdout is for results."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def write(self, text: str) -> int:
        return (sys.stderr if threading.current_thread().name.startswith("ray_") else self.out).write(text)

    def flush(self) -> None:
        self.out.flush()


def _join(ray: ModuleType, address: str | None) -> None:
    """Connects to a cluster, or starts one on this machine."""
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, ImportError, ray.exceptions.RayError) as error:
        where = address or os.environ.get("RAY_ADDRESS")
        told = f"no Ray cluster answers at {where}" if where else "Ray does not start here"
        raise InputError(f"{told}: {str(error).strip().partition(chr(10))[0]}") from error
