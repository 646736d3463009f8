"""Certificate kind `reading`: two parties and a task with a read-once automaton, at any length.

The task says (`Task.reading`) an automaton that reads every position once, in an order of its own, and ends with the
answer at the query. The evidence says who holds which position (`alice`, 1 for hers), which symbols each position may
hold, and one of four measures; the kernel counts by dynamic programming, so 2^4096 rows are checked as such.

`classes`: the order is that of the tokens and Alice holds those before a cut: states that suffixes tell apart.
`rows`: all words of Alice's, any two told apart by a word of Bob's.
`fooling`: the words that a second automaton (arrays `guard`, `accepts`) accepts: all have the answer `value`, and of
    any two of them one crossing has not.
`rank`: a lower bound of the rank over the rationals of the matrix with entries values[answer].

Claims: `state` of `rnn` (Alice holds the positions before a cut that lies before the query; any measure);
`one-way` of `transformer` (the token at the query is the same in all words; any measure but `classes`): bits of a
message from Alice after which Bob answers; `exchange` of `transformer` (`fooling`, `rank`): bits of a conversation
after which both know the answer (Yao 1979; Mehlhorn and Schmidt 1982 for the rank).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.reading import Reading
from separatrix.kernel import reading_steps
from separatrix.kernel.case import Case
from separatrix.kernel.needs import claimed, inside, integers, log2_low, named_arrays, open_domain, require, shown
from separatrix.kernel.reading_steps import Game

MEASURES = {
    ("rnn", "state"): ("classes", "rows", "fooling", "rank"),
    ("transformer", "one-way"): ("rows", "fooling", "rank"),
    ("transformer", "exchange"): ("fooling", "rank"),
}
MOST_VALUE = 2**10


def check(case: Case) -> str:
    """The claim in a sentence, or an error."""
    claim, target = case.claim, (case.claim.arch, case.claim.measure)
    if target not in MEASURES:
        raise RejectedError(f"this kind says nothing about {claim.measure} of {claim.arch}")
    amount = claimed(case, *target)
    domain, outputs = open_domain(case), case.task.outputs()
    value = (case.evidence.get("value"),) if case.evidence.get("measure") == "fooling" else ()
    query, measure, *value = case.fields(query=int, measure=str, **({"value": int} if value else {}))
    if not isinstance(outputs, Labels) or query not in case.task.queries(case.n):
        raise RejectedError(f"position {query} is not scored with labels")
    if measure not in MEASURES[target]:
        raise InputError(f"measure {measure!r} of the evidence is none of {', '.join(MEASURES[target])}")
    reading = case.task.reading(case.n, query)
    if reading is None or len(reading.order) != domain.positions or reading.transitions.shape[1] < domain.vocabulary:
        raise UnknownError(f"task {case.task.name} has no read-once automaton here")
    extra = {"fooling": ("guard", "accepts"), "rank": ("values",)}.get(measure, ())
    named_arrays(case, "alice", "offsets", "symbols", *extra)
    alice, sets = _parties(case, domain)
    cut = int(alice.sum())
    if target == ("rnn", "state") and not (alice[:cut].all() and query >= cut):
        raise RejectedError("Alice must hold the positions before a cut, and the query must lie after it")
    if target == ("transformer", "one-way") and len(sets[query]) != 1:
        raise RejectedError("the token at the query must be known to both")
    if measure == "classes":
        if reading.order != tuple(range(domain.positions)):
            raise UnknownError("classes are counted where the automaton reads the tokens in order")
        count = reading_steps.classes(reading.transitions, reading.labels, sets[:cut], sets[cut:])
    else:
        count = _count(case, _game(reading, alice, sets), measure, outputs.k, *value)
    require(amount, log2_low(count) if count > 0 else Fraction(0), "bits")
    return _sentence(case, target, shown(amount), query, cut)


def _count(case: Case, game: Game, measure: str, labels: int, value: int = 0) -> int:
    match measure:
        case "rows":
            return reading_steps.rows(game)
        case "rank":
            values = integers(case, "values", labels)
            if np.abs(values).max() > MOST_VALUE:
                raise InputError(f"values must be at most {MOST_VALUE}")
            p, q = reading_steps.rank(game, values.tolist())
            return -(-p // q)
        case _:
            accepts = integers(case, "accepts", None)
            guard = integers(case, "guard", len(accepts), len(game.table[0]))
            if not 1 <= len(guard) <= reading_steps.MOST_STATES or guard.min() < 0 or guard.max() >= len(guard):
                raise InputError(f"the guard must move between its own states, at most {reading_steps.MOST_STATES}")
            return reading_steps.fooling(game, value, guard.tolist(), (accepts == 1).tolist())


def _parties(case: Case, domain: Sequence) -> tuple[np.ndarray, list[np.ndarray]]:
    """(positions,) whether Alice holds a position; and the legal symbols that each position may hold."""
    n = domain.positions
    alice, offsets, symbols = (
        integers(case, "alice", n),
        integers(case, "offsets", n + 1),
        integers(case, "symbols", None),
    )
    if not np.isin(alice, (0, 1)).all() or alice.all() or not alice.any():
        raise InputError("alice must hold 1 at her positions and 0 at Bob's, and neither side be empty")
    sizes = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != len(symbols) or (sizes < 1).any():
        raise InputError("offsets must split symbols into one set a position")
    if (np.delete(np.diff(symbols), offsets[1:-1] - 1) <= 0).any():
        raise InputError("symbols must increase within each set")
    if not inside(domain.alphabets, np.repeat(np.arange(n), sizes), symbols).all():
        raise RejectedError("an allowed symbol is not legal at its position")
    return alice == 1, np.split(symbols, offsets[1:-1])


def _game(reading: Reading, alice: np.ndarray, sets: list[np.ndarray]) -> Game:
    numbers: dict[bytes, int] = {}
    distinct: list[list[int]] = []
    steps: list[tuple[bool, int]] = []
    for position in reading.order:
        key = sets[position].tobytes()
        if key not in numbers:
            numbers[key] = len(distinct)
            distinct.append(sets[position].tolist())
        steps.append((bool(alice[position]), numbers[key]))
    return Game(reading.transitions.tolist(), reading.labels.tolist(), steps, distinct)


def _sentence(case: Case, target: tuple[str, str], bits: str, query: int, cut: int) -> str:
    match target[1]:
        case "state":
            return (
                f"every recurrent model (any transition, one pass) that answers {case.where} right at position {query} "
                f"carries at least {bits} bits across cut {cut}"
            )
        case "one-way":
            return (
                f"whoever holds these {cut} positions of {case.where} sends at least {bits} bits to a party that holds "
                f"the others and then answers right at position {query}, whose token is common knowledge"
            )
    return (
        f"two parties, one holding these {cut} positions of {case.where} and one the others, exchange at least {bits} "
        f"bits until both know the answer at position {query}"
    )
