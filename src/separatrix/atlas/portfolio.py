"""Lower bounds for a function that no theorem is about: the enumerated matrix where it is small, else a code."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from separatrix.atlas.evidence import Floor
from separatrix.cannot.bound import STATE
from separatrix.cannot.messages import EXCHANGE, ONE_WAY
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.task import Task
from separatrix.kernel import judge

MOST_ENTRIES = 2**22
MOST_PARTITION_ENTRIES = 2**12  # times the number of partitions
MERGE = {"state": STATE, "one-way": ONE_WAY, "exchange": EXCHANGE}


def own_floors(
    task: Task, n: int, arch: str, cut: int | None, folder: Path, progress: Callable[[str], None] = lambda _: None
) -> list[Floor]:
    """Bounds for family `rnn` or `transformer` (one layer), each with a judged certificate; none says nothing."""
    domain = task.domain(n)
    task.answer(*task.sample(n, 4, _rng()))  # errors of the function, before any work
    entries = domain.log2_inputs()
    if cut is not None and not 0 < cut < domain.positions:
        raise InputError(f"cut {cut} must leave a position on both sides of {domain.positions}")
    if arch == "rnn":
        makers = _recurrent(task, n, cut, entries, progress)
    elif arch == "transformer":
        makers = _one_layer(task, n, cut, entries, progress)
    else:
        raise InputError(f"functions are bounded for recurrent models and for one attention layer, not for {arch}")
    floors = []
    for name, expression, made in makers:
        progress(f"checking {name}")
        verdict = judge(made)
        if not verdict.accepted:
            continue
        bits = float.fromhex(made.claim.bound)
        path = made.write(folder / name, name)
        measure, source = made.claim.measure, "communication matrix (Yao 1979)"
        vacuous = None if bits > 0 else "all rows agree: nothing needs to be carried"
        floors.append(
            Floor(
                name, expression, source, measure, MERGE[measure], bits, str(verdict.guarantee), vacuous, False, path,
                verdict.sentence,
            )
        )  # fmt: skip
    return floors


def _rng():
    from separatrix.core.seeds import child

    return child(0, "own")


def _recurrent(
    task: Task, n: int, cut: int | None, entries: float, progress: Callable[[str], None]
) -> list[tuple[str, str, Certificate]]:
    from separatrix.cannot.engine.matrix import Matrix

    cuts = [cut] if cut is not None else sorted({*range(1, task.domain(n).positions)})
    if entries <= math.log2(MOST_ENTRIES):
        if len(cuts) * 2**entries > 4 * MOST_ENTRIES:
            cuts = sorted({max(1, n // 2), n - 1})
        best: Matrix | None = None
        for at in cuts:
            progress(f"matrix at cut {at}")
            matrix = Matrix.of(task, n, at)
            if best is None or len(matrix.labels) > len(best.labels):
                best = matrix
        return [] if best is None else [("rows", f"log₂ rows at cut {best.cut}", best.rows())]
    return _codes(task, n, cuts if cut is not None else sorted({max(1, n // 2), n - 1}), False, progress)


def _one_layer(
    task: Task, n: int, cut: int | None, entries: float, progress: Callable[[str], None]
) -> list[tuple[str, str, Certificate]]:
    from separatrix.cannot.engine.matrix import Matrix
    from separatrix.cannot.engine.partition import worst_by_matrix

    positions = task.domain(n).positions
    found: list[tuple[str, str, Certificate]] = []
    if entries + max(0, positions - 2) <= math.log2(MOST_PARTITION_ENTRIES * 2**8) and positions > 1:
        progress("all partitions")
        worst = worst_by_matrix(task, n)
        found.append(("one-way", f"log₂ rows, Alice at {', '.join(map(str, worst.alice))}", worst.certificate))
    elif positions > 2:
        found += _codes(task, n, [cut or positions - 1], True, progress)
    if entries <= 16 and positions > 1:
        halves = [range(0, positions - 1, 2), range(positions // 2)] if cut is None else [range(cut)]
        makers = [Matrix.of(task, n, alice=alice).rank() for alice in halves]
        best = max(makers, key=lambda made: float.fromhex(made.claim.bound))
        found.append(("exchange", "log₂ rank of the matrix", best))
    return found


def _codes(
    task: Task, n: int, cuts: list[int], known: bool, progress: Callable[[str], None]
) -> list[tuple[str, str, Certificate]]:
    from separatrix.cannot.engine.decoding import decoding_certificate, search

    found: list[tuple[str, str, Certificate]] = []
    for at in cuts:
        progress(f"code at cut {at}")
        try:
            base, guesses, errors = search(task, n, at, known=known)
            made = decoding_certificate(task, n, base, guesses, None if known else at, errors)
        except UnknownError:
            continue
        if float.fromhex(made.claim.bound) > 0:
            found.append((f"decoding-{at}", f"d (1 − h(e)), d = {len(guesses)} bits at cut {at}", made))
    return found
