"""The one question: can an architecture of this size compute this task, and what is the witness?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from separatrix import can
from separatrix.atlas.evidence import Floor, Proof, prove_witness, state_bound
from separatrix.atlas.portfolio import own_floors
from separatrix.can import Witness
from separatrix.cannot import bounds_for
from separatrix.core.errors import InputError
from separatrix.core.families import family
from separatrix.core.guarantee import CONJECTURED, Guarantee
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.size import Size
from separatrix.core.task import Task
from separatrix.depth.classes import notes as placement_notes
from separatrix.tasks.own import OwnTask


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict with its evidence.

    Attributes:
        verdict: `can` if a witness with an accepted certificate fits every component that was given; `cannot` if a
            proved or statistical bound is violated however the open components are chosen; else `unknown`.
        proof: the witness (the nearest one that was not ruled out by its size, when the verdict is not `can`).
        nearest: name and size of the smallest known witness, fitting or not.
        floors: every lower bound of the family.
        gap: factor between the nearest witness and the nearest bound in `cut` bits, where both are known.
        complexity: the class that the task is in as n grows, and what follows for the family; no part of the verdict.
    """

    verdict: Literal["can", "cannot", "unknown"]
    task: str
    n: int
    arch: str
    proof: Proof | None
    nearest: tuple[str, Size] | None
    floors: tuple[Floor, ...]
    gap: float | None
    seconds: float
    notes: tuple[str, ...] = field(default=())
    complexity: tuple[str, ...] = field(default=())

    def certificates(self) -> list[str]:
        """Paths of the certificates that carry the verdict, then of the other bounds."""
        paths = [self.proof.certificate] if self.proof is not None else []
        paths += [floor.certificate for floor in sorted(self.floors, key=lambda f: not f.violated)]
        return [str(path) for path in paths if path is not None]

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on, and more."""
        proved = self.verdict == "can" and self.proof is not None
        return {
            "verdict": self.verdict,
            "task": self.task,
            "n": self.n,
            "arch": self.arch,
            "witness": self.proof.witness if proved and self.proof else None,
            "size": self.proof.size.to_json() if proved and self.proof else None,
            "semantics": self.proof.semantics if proved and self.proof else None,
            "nearest_witness": None
            if self.nearest is None
            else {"name": self.nearest[0], "size": self.nearest[1].to_json(), "cut_bits": self.nearest[1].bits("cut")},
            "lower_bounds": [floor.to_json() for floor in self.floors],
            "gap": self.gap,
            "certificates": self.certificates(),
            "notes": list(self.notes),
            "complexity": list(self.complexity),
            "seconds": self.seconds,
        }


def ask(
    task: Task,
    n: int,
    arch: str,
    limits: Size | None = None,
    folder: Path = Path("separatrix-out/ask"),
    progress: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Decides the question and writes the evidence below `folder`; `progress` is told what is being done.

    With a float precision in `limits` the witness must be certified in that arithmetic; otherwise in exact reals.
    """
    start = time.perf_counter()
    limits = limits or Size()
    kind = family(arch)
    task.domain(n)
    semantics = REAL
    if limits.precision is not None and limits.precision.kind == "float" and kind.name == "transformer":
        semantics = Semantics.parse(f"float:{limits.precision.bits}")
    floors = []
    for bound in bounds_for(task.name, kind.bounds_of):
        progress(f"lower bound {bound.name}")
        floors.append(state_bound(bound, task, n, folder / f"bound-{bound.name}", limits))
    if isinstance(task, OwnTask) and kind.bounds_of in ("rnn", "transformer"):
        floors += own_floors(task, n, kind.bounds_of, None, folder, progress, limits)
    ruled_out = any(floor.violated and Guarantee.parse(floor.guarantee).rules_out for floor in floors)
    known, notes = _witnesses(task, n, arch)
    if isinstance(task, OwnTask):
        notes.append("no construction is known for a function of your own: the verdict is cannot, or unknown")
    proof = None
    if not ruled_out:
        for witness, size in known:
            if not size.fits(limits):
                continue
            progress(f"witness {witness.name}")
            try:
                attempt = prove_witness(witness, task, n, folder / f"witness-{witness.name}", semantics, progress)
            except InputError as error:  # the build found out what the formula of its size does not say
                notes.append(str(error))
                continue
            if attempt.certificate is not None:
                proof = attempt
                break
            notes.append(f"{witness.name}: {attempt.sentence}")
    nearest = (known[0][0].name, known[0][1]) if known else None
    verdict = "cannot" if ruled_out else "can" if proof is not None else "unknown"
    cut = nearest[1].bits("cut") if nearest else None
    counted = [f for f in floors if f.vacuous is None and f.measure != "width" and f.guarantee != str(CONJECTURED)]
    best = max((floor.bits for floor in counted), default=None)
    gap = cut / best if cut and best else None
    return Answer(
        verdict, task.name, n, arch, proof, nearest, tuple(floors), gap, time.perf_counter() - start, tuple(notes),
        placement_notes(task, arch),
    )  # fmt: skip


def _witnesses(task: Task, n: int, arch: str) -> tuple[list[tuple[Witness, Size]], list[str]]:
    """The family's witnesses that reach n, least state first, then fewest stored numbers; and why the others do not."""
    known, notes = [], []
    for _, witness in can.registry.items():
        if witness.task == task.name and witness.serves(arch):
            try:
                known.append((witness, witness.size(task, n)))
            except InputError as error:
                notes.append(str(error))
    return sorted(known, key=lambda pair: (pair[1].bits("state") or 0, pair[1].parameters or 0)), notes
