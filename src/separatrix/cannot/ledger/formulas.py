"""Formulas: brackets that are open, and what was written in them, must be kept.

Infix. An open bracket may wait for its first operand, `(`, or hold it, `(v op`. Bob closes the one with `op e)`, the
other with `)`. Of two, either kind may be the outer one; where Bob closes them in the other order, a bracket holds one
operand or three, and the word is no formula. With e the neutral element of op every word that he closes rightly has
one value. So d pairs of brackets carry d bits. `(~` holds an operand, too, and is shorter.

Postfix, the longer operand first. The value of a formula that stands alone before the last two tokens must be kept, or
that it is none: e op leaves that value.
"""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import STATE, Bound, certificate, need, of_kind, registry, state_violated
from separatrix.cannot.engine.readings import low
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.cannot.reduction import EQ, Reduction
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks.formula_value import ArithmeticFormula, BooleanFormula, FormulaValue

MOST_PAIRS = 10  # that the kernel goes through, all choices of both sides
MOST_N = 2**12


def formula(task: Task) -> FormulaValue:
    """`task`, if it is one of the two."""
    return of_kind(BooleanFormula if task.name == "boolean-formula" else ArithmeticFormula, task)


def neutral(task: FormulaValue) -> tuple[int, int]:
    """(e, op): tokens with x op e = e op x = x for all x."""
    kinds = task.algebra()
    every = np.arange(kinds.size)
    for number, (_, table) in enumerate(kinds.binary):
        for e in range(kinds.size):
            if (table[:, e] == every).all() and (table[e] == every).all():
                return e, kinds.size + len(kinds.unary) + number
    raise InputError(f"{task.name}: no operation has a neutral element")


def sides(task: FormulaValue) -> tuple[np.ndarray, np.ndarray]:
    """Alice's two words of a pair of brackets, and Bob's two in the same order, (2, tokens) each."""
    (e, op), kinds = neutral(task), task.algebra()
    opened = kinds.size + len(kinds.unary) + len(kinds.binary)
    holds = [opened, kinds.size] if kinds.unary else [opened, e, op]
    waits, close = [opened], [opened + 1]
    finish = [op, e, *close]
    hers = [[*waits, *holds], [*holds, *waits]]  # the outer one first, which Bob closes last
    return np.array(hers), np.array([[*close, *finish], [*finish, *close]])


def layout(task: FormulaValue, n: int) -> tuple[int, int]:
    """(pairs, tokens of the formula inside them), as many as fit; (0, n) for postfix.

    Seven tokens or more are a formula wherever so many are at all.
    """
    if task.written() != "infix":
        return 0, n
    hers, his = sides(task)
    each = hers.shape[1] + his.shape[1]
    most = (n - 1) // each
    return next(((d, n - d * each) for d in (most, most - 1) if d > 0 and task.shapes(n - d * each)), (0, n))


def inside(task: FormulaValue, n: int) -> np.ndarray:
    """(n,) tokens of an infix formula: e op e, all brackets to the left, and as many unary operations as it takes."""
    (e, op), kinds = neutral(task), task.algebra()
    opened = kinds.size + len(kinds.unary) + len(kinds.binary)
    binary, unary = task.shapes(n)[0]
    word = [opened] * binary + [opened, kinds.size] * unary + [e] + [opened + 1] * unary
    return np.array(word + [op, e, opened + 1] * binary)


def bits(task: Task, n: int) -> float:
    """d, the pairs of brackets; postfix log2(values + 1)."""
    given = formula(task)
    if given.written() == "infix":
        return float(layout(given, n)[0])
    return low(given.algebra().size + 1) if n >= 3 else 0.0


def words(task: FormulaValue, n: int, hers: np.ndarray, his: np.ndarray) -> np.ndarray:
    """(batch, N) tokens for the choices (batch, d) of both sides; Bob's blocks stand in the order of Alice's."""
    left, right = sides(task)
    middle = np.repeat(inside(task, layout(task, n)[1])[None], len(hers), axis=0)
    return np.concatenate(
        [left[hers].reshape(len(hers), -1), middle, right[his[:, ::-1]].reshape(len(his), -1)], axis=1
    )


def infix_certificate(task: FormulaValue, n: int) -> Certificate:
    """One block a pair of brackets; the answer is the one value iff all agree."""
    (d, middle), (left, right) = layout(task, n), sides(task)
    need(0 < d <= MOST_PAIRS, "this bound says nothing here, or a certificate is too large")
    zeros, a, b = np.zeros((1, d), dtype=np.int64), left.shape[1], right.shape[1]
    base = words(task, n, zeros, zeros)
    start = d * a + middle
    return certificate(
        task,
        n,
        "gadget",
        "rnn",
        "state",
        float(d),
        {"query": n - 1, "join": "and", "value": int(task.answer(base)[0, 0]), "by": "words", "cut": d * a},
        hers=np.arange(d * a).reshape(d, a),
        his=start + np.arange(d * b).reshape(d, b)[::-1],
        her_words=left,
        his_words=right,
        table=np.eye(2, dtype=np.int64),
        base=base[0],
    )


def postfix_certificate(task: FormulaValue, n: int) -> Certificate:
    """A formula of each value, made as long as need be, and one word that is none."""
    (e, op), kinds = neutral(task), task.algebra()
    need(3 <= n <= MOST_N, "this bound says nothing here, or a certificate is too large")
    longer = [kinds.size] * ((n - 3) % 2) + [e, op] * ((n - 3) // 2)
    prefixes = [[value, *longer] for value in range(kinds.size)]
    return rows_certificate(task, n, n - 2, np.array([*prefixes, [op] * (n - 2)]), np.array([[e, op]]))


def made(task: Task, n: int) -> Certificate:
    """By the encoding."""
    given = formula(task)
    given.domain(n)
    return infix_certificate(given, n) if given.written() == "infix" else postfix_certificate(given, n)


def vacuous(task: Task, n: int) -> str | None:
    """A sentence where no pair of brackets fits."""
    return None if bits(task, n) > 0 else "a formula of so few tokens holds no pair of open brackets, or no value"


def brackets(task: Task, n: int, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, None]:
    """EQ: her bits say which kind of bracket is the outer one of each pair, his which he closes last."""
    return words(formula(task), n, a, b), None


for name in ("boolean-formula", "arithmetic-formula"):
    registry.register(f"{name}-recurrent")(
        Bound(
            name=f"{name}-recurrent",
            task=name,
            arch="rnn",
            source="fooling set of open brackets of two kinds, as for Dyck words; postfix: Myhill 1957, Nerode 1958",
            expression="about N/7 (N/8 without unary operations); postfix log₂(values + 1)",
            measure="state",
            merge=STATE,
            bits=bits,
            certificate=made,
            violated=state_violated,
            vacuous=vacuous,
            status="derived here",
            reduction=Reduction(
                EQ,
                lambda task, n: layout(formula(task), n)[0],
                brackets,
                lambda task, answers: (answers[:, -1] < formula(task).algebra().size).astype(np.int64),
            ),
        )
    )
