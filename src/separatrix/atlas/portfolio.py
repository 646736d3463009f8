"""Lower bounds that are searched, without a theorem: matrices of small tasks, gadgets, codes, birthdays, patterns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

from separatrix.atlas.evidence import Floor
from separatrix.cannot.bound import STATE, exchange_violated, one_way_violated, state_violated
from separatrix.cannot.messages import EXCHANGE, ONE_WAY
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError, SeparatrixError, UnknownError
from separatrix.core.guarantee import CONJECTURED, Guarantee
from separatrix.core.size import Size
from separatrix.core.task import Task
from separatrix.kernel import judge

MOST_ENTRIES = 2**22
MOST_PARTITION_ENTRIES = 2**12  # times the number of partitions
SECONDS = 60.0  # of processor time for one question
FEW_BITS = 24.0  # below, birthdays may show more than what was found
PATTERN_ENTRIES = 2**14
MERGE = {"state": STATE, "one-way": ONE_WAY, "exchange": EXCHANGE}
VIOLATED = {"state": state_violated, "one-way": one_way_violated, "exchange": exchange_violated}
SOURCES = {
    "communication": "communication matrix (Yao 1979)",
    "gadget": "tensor powers of a block (Mehlhorn and Schmidt 1982)",
    "gadget-sampled": "tensor powers of a block (Mehlhorn and Schmidt 1982)",
    "decoding": "random access codes (Ambainis, Nayak, Ta-Shma, Vazirani 1999)",
    "birthday": "distinct rows of random prefixes",
    "reading": "fooling set, counted by the task's automaton (Yao 1979)",
}
Made = tuple[str, str, Certificate]  # name, formula for people, certificate
Tell = Callable[[str], None]


def own_floors(
    task: Task,
    n: int,
    arch: str,
    cut: int | None,
    folder: Path,
    progress: Tell = lambda _: None,
    limits: Size | None = None,
    hint: Path | None = None,
    seconds: float = SECONDS,
) -> list[Floor]:
    """Bounds for family `rnn` or `transformer` (one layer), each with a judged certificate; none says nothing.

    hint: a file with a code or a gadget that is tried first. limits: of a size that may be ruled out. seconds: of
    processor time that the searches may take, about.
    """
    domain = task.domain(n)
    task.answer(*task.sample(n, 4, _rng()))  # errors of the function, before any work
    if cut is not None and not 0 < cut < domain.positions:
        raise InputError(f"cut {cut} must leave a position on both sides of {domain.positions}")
    if arch not in ("rnn", "transformer"):
        raise InputError(f"functions are bounded for recurrent models and for one attention layer, not for {arch}")
    floors: list[Floor] = []
    if hint is not None:
        from separatrix.cannot.engine.hints import hinted

        progress("hint")
        made = hinted(task, n, hint)
        verdict = judge(made)
        if not verdict.accepted:
            raise InputError(f"--hint {hint}: the kernel does not accept it: {verdict.sentence}")
        if made.claim.arch != arch:
            raise InputError(f"--hint {hint} is about {made.claim.arch}, not {arch}; one with a cut is about rnn")
        floors.append(_floor("hint", "hint", made, verdict.guarantee, verdict.sentence, folder, limits))
    for name, expression, made in (_recurrent if arch == "rnn" else _one_layer)(
        task, n, cut, floors, progress, seconds
    ):
        progress(f"checking {name}")
        verdict = judge(made)
        if verdict.accepted and not any(floor.bound == name for floor in floors):
            floors.append(_floor(name, expression, made, verdict.guarantee, verdict.sentence, folder, limits))
    if cut is None and (pattern := _pattern(task, n, arch, floors, progress)) is not None:
        floors.append(pattern)
    return floors


def _floor(
    name: str, expression: str, made: Certificate, guarantee: Guarantee | None, sentence: str, folder: Path,
    limits: Size | None,
) -> Floor:  # fmt: skip
    bits, measure = float.fromhex(made.claim.bound), made.claim.measure
    vacuous = None if bits > 0 else "all rows agree: nothing needs to be carried"
    violated = vacuous is None and limits is not None and VIOLATED[measure](limits, bits)
    return Floor(
        name, expression, SOURCES[made.kind], measure, MERGE[measure], bits, str(guarantee), vacuous, violated,
        made.write(folder / name, name), sentence,
    )  # fmt: skip


def _rng():
    from separatrix.core.seeds import child

    return child(0, "own")


def _recurrent(
    task: Task, n: int, cut: int | None, floors: list[Floor], progress: Tell, seconds: float
) -> Iterator[Made]:
    from separatrix.cannot.engine.birthday import birthday_certificate
    from separatrix.cannot.engine.matrix import Matrix
    from separatrix.cannot.engine.samples import sampled_rows

    domain, entries = task.domain(n), _entries(task, n)
    cuts = [cut] if cut is not None else list(range(1, domain.positions))
    if entries <= math.log2(MOST_ENTRIES):
        if len(cuts) * 2**entries > 4 * MOST_ENTRIES:
            cuts = sorted({max(1, n // 2), n - 1})
        best: Matrix | None = None
        for at in cuts:
            if not any(query >= at for query in task.queries(n)):
                continue
            progress(f"matrix at cut {at}")
            matrix = Matrix.of(task, n, at)
            if best is None or len(matrix.labels) > len(best.labels):
                best = matrix
        if best is not None:
            yield "rows", f"log₂ rows at cut {best.cut}", best.rows()
        return
    middle = [
        *(c for c in task.splits(n) if len(task.splits(n)) <= 2),
        n // 2,
        *range(domain.positions - 2, domain.positions),
    ]
    cuts = cuts if cut is not None else list(dict.fromkeys(c for c in middle if 0 < c < domain.positions))
    for at in cuts:
        yield from _gadgets(task, n, at, floors, progress, seconds / 4 / len(cuts))
    for at in cuts:
        if not _enough(floors, task, n, at):
            yield from _codes(task, n, at, False, progress, seconds / 4 / len(cuts))
    if all(floor.bits < FEW_BITS for floor in floors):
        seen = []
        for at in cuts:
            progress(f"rows at cut {at}")
            try:
                seen.append(sampled_rows(task, n, at, seconds / 12 / len(cuts)))
            except UnknownError:
                continue
        if seen:
            best_rows = max(seen, key=lambda made: float.fromhex(made.claim.bound))
            yield "rows", f"log₂ rows seen at cut {best_rows.evidence['cut']}", best_rows
        for at in cuts:
            progress(f"random prefixes at cut {at}")
            try:
                yield f"birthday-{at}", f"random prefixes at cut {at}", birthday_certificate(task, n, at, seconds / 6)
                break
            except UnknownError:
                continue


def _enough(floors: list[Floor], task: Task, n: int, cut: int) -> bool:
    """Whether what was found is proved or statistical, and near all that stands on one side of the cut."""
    sizes = [math.log2(len(a)) for a in task.domain(n).alphabets]
    most = min(sum(sizes[:cut]), max(sum(sizes) / 2 - 2, sum(sizes[cut:])))
    return any(Guarantee.parse(f.guarantee).rules_out and f.bits >= 0.9 * most for f in floors)


def _entries(task: Task, n: int) -> float:
    """log2 of the entries of the matrix; infinite where it is not enumerated."""
    domain = task.domain(n)
    if domain.constraint.kind != "product" or domain.lengths:
        return math.inf
    return sum(math.log2(len(a)) for a in domain.alphabets) + (domain.positions if domain.reals else 0)


def _one_layer(
    task: Task, n: int, cut: int | None, floors: list[Floor], progress: Tell, seconds: float
) -> Iterator[Made]:
    from separatrix.cannot.engine.matrix import Matrix
    from separatrix.cannot.engine.partition import worst_by_matrix

    positions, entries = task.domain(n).positions, _entries(task, n)
    if entries + max(0, positions - 2) <= math.log2(MOST_PARTITION_ENTRIES * 2**8) and positions > 1:
        progress("all partitions")
        try:
            worst = worst_by_matrix(task, n)
            yield "one-way", f"log₂ rows, Alice at {', '.join(map(str, worst.alice))}", worst.certificate
        except UnknownError:
            pass
    elif positions > 2:
        yield from _gadgets(task, n, None, floors, progress, seconds / 4)
        query = task.queries(n)[-1]
        at = cut or (query if 0 < query < positions else positions - 1)
        if not any(floor.measure == "one-way" for floor in floors):
            yield from _codes(task, n, at, True, progress, seconds / 4)
    if entries <= 16 and positions > 1 and isinstance(task.outputs(), Labels) and len(task.queries(n)) == 1:
        parties = [range(0, positions - 1, 2), range(positions // 2)] if cut is None else [range(cut)]
        made = [Matrix.of(task, n, alice=alice).rank() for alice in parties if len(alice)]
        if made:
            best = max(made, key=lambda one: float.fromhex(one.claim.bound))
            yield "exchange", "log₂ rank of the matrix", best


def _gadgets(
    task: Task, n: int, cut: int | None, floors: list[Floor], progress: Tell, seconds: float
) -> Iterator[Made]:
    """Gadgets, most bits first, until the kernel has accepted one of each measure."""
    from separatrix.cannot.engine.gadget import gadget_certificate, search

    for measure in ("state",) if cut is not None else ("exchange", "one-way"):
        name = f"gadget-{cut}" if cut is not None else f"gadget-{measure}"
        progress(f"gadgets, {f'cut {cut}' if cut is not None else measure}")
        try:
            found = search(task, n, cut, known=measure == "one-way", seconds=seconds)
        except UnknownError:
            continue
        tried: set[float] = set()
        for gadget in found:
            if any(floor.bound == name for floor in floors):
                break  # the kernel has accepted one
            if gadget.bits in tried and len(tried) > 1:
                continue
            tried.add(gadget.bits)
            shape = f"{len(gadget.blocks.hers)} log₂ {gadget.rank}, {gadget.blocks.join.upper()} of blocks"
            yield name, shape, gadget_certificate(task, n, gadget, cut, measure)


def _codes(task: Task, n: int, cut: int, known: bool, progress: Tell, seconds: float) -> Iterator[Made]:
    """A code found at once, and where it is poor one that is grown."""
    from separatrix.cannot.engine.codes import grow
    from separatrix.cannot.engine.decoding import decoding_certificate, search

    most = sum(len(a) > 1 for a in task.domain(n).alphabets[:cut])
    best: Certificate | None = None
    bits = 0
    for find in (search, grow):
        if best is not None and float.fromhex(best.claim.bound) >= 0.9 * most:
            break
        progress(f"code at cut {cut}" + (", grown" if find is grow else ""))
        try:
            base, guesses, errors = find(task, n, cut, known=known, seconds=seconds)
            made = decoding_certificate(task, n, base, guesses, None if known else cut, errors)
        except UnknownError:
            continue
        if best is None or float.fromhex(made.claim.bound) > float.fromhex(best.claim.bound):
            best, bits = made, len(guesses)
    if best is not None and float.fromhex(best.claim.bound) > 0:
        yield f"decoding-{cut}", f"d (1 − h(e)), d = {bits} bits at cut {cut}", best


def _pattern(task: Task, n: int, arch: str, floors: list[Floor], progress: Tell) -> Floor | None:
    """What the counts at small lengths suggest, where they are enumerated; conjectured, never more."""
    from separatrix.cannot.engine.families import propose
    from separatrix.cannot.engine.matrix import Matrix
    from separatrix.cannot.engine.partition import worst_by_matrix

    counts: dict[int, int] = {}
    for size in range(2 + n % 2, n, 2):
        try:
            entries, positions = _entries(task, size), task.domain(size).positions
            if entries + (positions if arch == "transformer" else 0) > math.log2(PATTERN_ENTRIES):
                break
            progress(f"pattern: n = {size}")
            if arch == "rnn":
                cuts = [c for c in range(1, positions) if any(q >= c for q in task.queries(size))]
                counts[size] = max(len(Matrix.of(task, size, at).labels) for at in cuts)
            else:
                counts[size] = worst_by_matrix(task, size).count
        except (SeparatrixError, ValueError):
            continue
    pattern = propose(counts)
    try:
        count = 0 if pattern is None else pattern.at(n)
    except ValueError:
        return None
    if pattern is None or count <= 1 or count.denominator != 1:
        return None
    whole = count.numerator
    bits, measure = math.log2(whole), "state" if arch == "rnn" else "one-way"
    if any(Guarantee.parse(f.guarantee).rules_out and f.measure == measure and f.bits >= 0.99 * bits for f in floors):
        return None
    seen = ", ".join(f"{size}: {found}" for size, found in counts.items())
    return Floor(
        "pattern", f"log₂ ({pattern})", f"counts at N = {seen}", measure, MERGE[measure], bits, str(CONJECTURED), None,
        False, None, "a pattern of small lengths; nothing is proved at this one",
    )  # fmt: skip


def best_of(floors: list[Floor]) -> Floor | None:
    """The bound to quote: among those within 2% of the most bits, the one that is worth most; never a conjecture."""
    biting = [f for f in floors if f.vacuous is None and f.guarantee != str(CONJECTURED)]
    certified = [f for f in biting if f.certificate is not None] or biting
    most = max((f.bits for f in certified), default=0.0)
    near = [f for f in certified if f.bits >= 0.98 * most]
    order = {"proved": 2, "checked": 0}
    return max(near, key=lambda f: (order.get(f.guarantee, 1), f.bits), default=None)
