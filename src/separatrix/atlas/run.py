"""The main job: build, certify and bound everything of a preset, each written to files and re-checked from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from separatrix import can, cannot
from separatrix.atlas.evidence import CORRECT, prove_witness, state_bound
from separatrix.atlas.words import TASKS, task_of
from separatrix.core import jobs
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError, SeparatrixError
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel import judge_file


@dataclass(frozen=True, slots=True)
class Job:
    """One witness or bound at one size; `task` is a row of the atlas."""

    kind: str  # witness | bound
    name: str
    task: str
    n: int
    semantics: str
    folder: str

    def make_task(self) -> Task:
        """The task with the atlas's parameters."""
        return task_of(self.task)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job; `check_seconds` is the kernel's time on the file as written.

    guarantee is empty where nothing was accepted; `sentence` is the kernel's, or the reason; `certificate` is the path
    of the file that was judged.
    """

    job: Job
    guarantee: str
    sentence: str
    certificate: str
    bits: float | None
    seconds: float
    check_seconds: float

    @property
    def failed(self) -> bool:
        """A witness without an accepted certificate, or a file that was rejected; a bound may stand as a formula."""
        return not self.guarantee and (self.job.kind == "witness" or bool(self.certificate))

    def to_json(self) -> dict[str, Any]:
        """A row of atlas.json and atlas.csv."""
        return {
            "kind": self.job.kind,
            "name": self.job.name,
            "task": self.job.task,
            "n": self.job.n,
            "semantics": self.job.semantics,
            "bits": self.bits,
            "guarantee": self.guarantee,
            "sentence": self.sentence,
            "certificate": self.certificate,
            "seconds": self.seconds,
            "check_seconds": self.check_seconds,
        }


SIZES: dict[str, dict[str, Sequence[int]]] = {
    "quick": {
        # witnesses
        "index-lookup-quadratic": (16, 64, 256, 1024),
        "index-lookup-chirp": (64, 256, 1024),
        "index-lookup-random": (64, 256),
        "index-lookup-store": (16, 64),
        "sparse-averaging-circle": (16, 64, 128, 1024),
        "sparse-averaging-moment": (16, 64, 128, 1024),
        "sparse-averaging-trigonometric": (16, 32),
        "sparse-averaging-onehot": (16, 64),
        "sparse-propagation-start": (16, 64),
        "associative-recall-quadratic": (16,),
        "associative-recall-two-layer": (16,),
        "multi-query-recall-two-layer": (4,),
        "nearest-neighbour-recency": (4, 8),
        "nearest-neighbour-pointer": (4, 8),
        "nearest-neighbour-two-layer": (4, 8),
        "match2-circle": (16, 64, 256),
        "match3-third-order": (16, 32),
        "match3-strassen": (16,),
        "match-sums-higher-order": (16, 64),
        "function-composition-strassen": (4, 8),
        "relation-composition-strassen": (4,),
        "match3-packing": (3,),
        "match3-bigram-two-layer": (16,),
        "match3-local-one-layer": (16,),
        "equality-two-layer": (16, 64, 256),
        "equality-store": (16, 64),
        "fingerprint-elman": (16,),
        "disjointness-two-layer": (16, 64, 256),
        "disjointness-store": (16, 64),
        "clauses-two-layer": (16, 64),
        "regular-elman": (16, 64),
        "dyck-elman": (16, 64),
        "dyck-stack": (16, 64, 256),
        "dyck-two-layer": (16, 64),
        "dyck-three-layer": (16,),
        "k-hop-doubling": (8, 16),
        "prefix-sums-program": (16, 64),
        "prefix-minima-program": (16, 64),
        "prefix-maxima-program": (16,),
        "prefix-medians-program": (8,),
        "sorting-program": (16, 64),
        "maximum-subarray-program": (16,),
        "total-program": (16,),
        "least-program": (16,),
        "greatest-program": (16,),
        "prefix-sums-benes": (16,),
        "least-benes": (16,),
        "greatest-benes": (16,),
        "sorting-benes": (16,),
        "routing-sortnet": (16,),
        # bounds, by task
        "index-lookup": (16, 64, 256, 1024),
        "sparse-averaging": (16, 64, 128, 1024),
        "associative-recall": (16, 64),
        "associative-recall-apart": (16, 64),
        "multi-query-recall": (16,),
        "nearest-neighbour": (4, 16),
        "nearest-neighbour-apart": (4, 16),
        "match2": (16, 64, 256),
        "match3": (16, 64),
        "match3-packed": (3, 4),
        "equality": (16, 64, 256),
        "disjointness": (16, 64, 256),
        "inner-product": (16, 64, 256),
        "greater-than": (16, 64, 256),
        "majority": (15, 63, 255),
        "parity": (16, 64),
        "dyck": (16, 64, 256),
        "pointer-chasing": (16,),
        "function-composition": (4, 16),
        "regular": (16, 64),
        "word-problem": (16, 64),
        "sparse-propagation": (16,),
        "relation-composition": (4, 8),
        "match-sums": (16, 64),
        "match3-bigram": (16, 64),
        "match3-local": (16, 64),
        "fingerprint": (16, 64),
        "clauses": (16, 64),
        "induction-heads": (16, 64),
        "k-hop": (16, 64),
        "16-hop": (16, 64),
        "boolean-formula": (16, 64),
        "prefix-sums": (16, 64),
        "prefix-minima": (16, 64),
        "prefix-maxima": (16, 64),
        "prefix-medians": (16, 64),
        "sorting": (16, 64),
        "routing": (16, 64),
        "maximum-subarray": (16, 64),
        "total": (16, 64),
        "least": (16, 64),
        "greatest": (16, 64),
    },
}
SIZES["full"] = SIZES["quick"] | {
    "index-lookup-quadratic": (16, 64, 256, 1024, 4096, 16384, 65536),
    "index-lookup-chirp": (64, 256, 1024, 4096, 16384, 65536),
    "index-lookup-random": (64, 256, 1024),
    "index-lookup-store": (16, 64, 256),
    "sparse-averaging-moment": (16, 64, 128, 1024, 65536),
    "sparse-averaging-trigonometric": (16, 32, 48),
    "sparse-averaging-chirp": (1024,),
    "sparse-averaging-random": (16, 32, 48),  # every set of 4 is looked at
    "sparse-propagation-start": (16, 64, 128, 256),
    "associative-recall-quadratic": (16, 64),
    "associative-recall-two-layer": (16, 64),
    "multi-query-recall-two-layer": (4, 8),
    "nearest-neighbour-recency": (4, 8, 16),
    "nearest-neighbour-pointer": (4, 8, 16),
    "nearest-neighbour-two-layer": (4, 8, 16, 64),
    "match3-third-order": (16, 64, 128),
    "match3-strassen": (16, 64, 128),
    "function-composition-strassen": (4, 8, 16),
    "relation-composition-strassen": (4, 8, 12),
    "match3-bigram-two-layer": (16, 32, 64),
    "match3-packing": (3, 4),  # proved by enumeration alone
    "match3-local-one-layer": (16, 64),
    "equality-two-layer": (16, 64, 256, 512),
    "equality-store": (16, 64, 256, 512),
    "fingerprint-elman": (16, 32),
    "disjointness-two-layer": (16, 64, 256, 512),
    "disjointness-store": (16, 64, 256, 512),
    "clauses-two-layer": (16, 64, 256),
    "regular-elman": (16, 64, 256),
    "dyck-elman": (16, 64, 256),
    "dyck-two-layer": (16, 64, 256, 512),
    "dyck-three-layer": (16, 64, 256),
    "k-hop-doubling": (8, 16, 64),
    "prefix-sums-program": (16, 64, 256, 1024),
    "prefix-minima-program": (16, 64, 256),
    "prefix-maxima-program": (16, 64, 256),
    "prefix-medians-program": (8, 12),
    "sorting-program": (16, 64, 128),
    "maximum-subarray-program": (16, 64),
    "total-program": (16, 64, 256),
    "least-program": (16, 64, 256),
    "greatest-program": (16, 64, 256),
    "prefix-sums-benes": (16, 64),
    "least-benes": (16, 64),
    "greatest-benes": (16, 64),
    "sorting-benes": (16, 64),
    "routing-sortnet": (16, 64),
    "index-lookup": (16, 64, 256, 1024, 4096, 16384, 65536),
    "multi-query-recall": (16, 64),
}


def plan(preset: str, folder: Path) -> list[Job]:
    """The jobs of a preset; witnesses in exact reals and, where they state a float precision, in that as well."""
    if preset not in SIZES:
        raise InputError(f"preset {preset!r} is not known; there are {', '.join(SIZES)}")
    sizes = SIZES[preset]
    planned = []
    rows = [(row, task_of(row), f"{row}-" if about.task else "") for row, about in TASKS.items()]
    for name, witness in can.registry.items():
        for row, task, mark in rows:
            for n in sizes.get(name, ()) if task.name == witness.task else ():
                for semantics in ("real", "float") if witness.method == "separable" and n <= 1024 else ("real",):
                    try:
                        precision = witness.size(task, n).precision
                    except InputError:
                        continue
                    if semantics == "float":
                        if precision is None or precision.kind != "float":
                            continue
                        semantics = f"float:{precision.bits}"
                    where = folder / "certificates" / f"{mark}{name}-n{n}" / semantics.replace(":", "-")
                    planned.append(Job("witness", name, row, n, semantics, str(where)))
    for name, bound in cannot.registry.items():
        for row, task, mark in rows:
            for n in sizes.get(row, ()) if task.name == bound.task else ():
                planned.append(Job("bound", name, row, n, "", str(folder / "certificates" / f"{mark}{name}-n{n}")))
    return planned


def run(planned: Sequence[Job], workers: int, progress: Callable[[Result], None] = lambda _: None) -> list[Result]:
    """Runs the jobs, dearest first, in `workers` processes; a job whose certificate file still holds is not redone."""
    order = sorted(planned, key=lambda job: -job.n)
    results = []
    for result in jobs.run(run_job, order, workers):
        progress(result)
        results.append(result)
    return sorted(results, key=lambda result: planned.index(result.job))


def _outdated(path: Path, task: Task) -> bool:
    """Whether the certificate is about an older definition of the task; what is damaged is not."""
    try:
        return path.exists() and Certificate.read(path).task_sha256 != task.source_sha256()
    except SeparatrixError:
        return False


def run_job(job: Job) -> Result:
    """Builds and certifies, or bounds, unless the file is there already; then judges the file as written.

    A certificate of a task that is defined otherwise by now is redone.
    """
    start, folder, task = time.perf_counter(), Path(job.folder), job.make_task()
    name = CORRECT if job.kind == "witness" else job.name
    path = folder / f"{name}.cert.json"
    if _outdated(path, task):
        path.unlink()
    bits: float | None = None
    reason = ""
    try:
        if job.kind == "witness":
            witness = can.registry.get(job.name)
            bits = witness.size(task, job.n).bits("cut")
            if not path.exists():
                reason = prove_witness(witness, task, job.n, folder, Semantics.parse(job.semantics)).sentence
        else:
            bound = cannot.registry.get(job.name)
            floor = state_bound(bound, task, job.n, None if path.exists() else folder)
            bits, reason = floor.bits, floor.vacuous or floor.sentence
        if path.exists():
            verdict = judge_file(path)
            if verdict.accepted:
                spent = time.perf_counter() - start
                text = str(verdict.guarantee)
                return Result(job, text, verdict.sentence, str(path), bits, spent, verdict.seconds)
            return Result(job, "", verdict.sentence, str(path), bits, time.perf_counter() - start, verdict.seconds)
    except SeparatrixError as error:
        reason = str(error)
    return Result(job, "", reason, "", bits, time.perf_counter() - start, 0.0)
