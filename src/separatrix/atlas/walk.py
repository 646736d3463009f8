"""A model at work on one input, as a page: patterns, named parts of the stream, and the flow in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from separatrix.atlas.walk_words import changed, flow, short, token_names
from separatrix.core.domain import Labels
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.draw.walk import Grid, Stage, Walk
from separatrix.models import Model
from separatrix.models.trace import Head, Part, Step, Trace, trace

MOST = 96  # positions that a page has room for
DRAWN = 256  # inputs of a seed, of which the most telling is shown
LINES = 16  # columns of one part that are shown one by one
TEXTS = 26  # columns up to which numbers are printed in the cells


def read_input(
    task: Task, n: int, text: str | None, seed: int, distribution: str = "uniform"
) -> tuple[np.ndarray, np.ndarray | None]:
    """The input (tokens, reals) of a page, without a batch axis: given, or the sample of a seed.

    Args:
        text: symbol ids set apart by blanks (pointer sets as 0,1,2); real numbers for a list of numbers (as 1,0.5
            where each has a destination). Real parts of pointer sets are those of the seed. None: all from the seed.

    Raises:
        InputError: n above MOST, or an input that is not legal.
    """
    domain = task.domain(n)
    if domain.positions > MOST:
        raise InputError(f"--n {n} has {domain.positions} positions; a page has room for {MOST}: take a smaller n")
    tokens, reals = _telling(task, *task.sample(n, DRAWN, np.random.default_rng(seed), distribution))
    if text is None:
        return tokens, reals
    words = text.split() if tokens.ndim == 2 else text.replace(",", " ").split()
    numbers = domain.reals is not None and domain.vocabulary == 1 and tokens.ndim == 1
    try:
        if numbers and domain.reals is not None:
            reals = np.array([float(word) for word in words]).reshape(domain.positions, domain.reals.dim)
            legal = domain.reals.contains(reals)
        else:
            rows = [[int(part) for part in word.split(",")] for word in words]
            tokens = np.array(rows if tokens.ndim == 2 else [row[0] for row in rows], dtype=np.int64)
            legal = domain.contains(tokens)
    except (ValueError, OverflowError):
        legal = False
    if not legal:
        kind = "numbers in range" if numbers else "symbol ids (pointer sets as 0,1,2)"
        if domain.reals is not None and domain.reals.kind == "routed":
            kind = "pairs of a destination, each once, and a number in range (as 0,-1.5)"
        raise InputError(
            f"--tokens {text[:60]!r} is no legal input; give {domain.positions} {kind}, set apart by blanks"
        )
    return tokens, reals


def _telling(task: Task, tokens: np.ndarray, reals: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Of the drawn inputs the one with the most different labels, of these the first with the rarest answer."""
    best = 0
    if isinstance(task.outputs(), Labels):
        answers = task.answer(tokens, reals)
        variety = np.array([len(set(row)) for row in answers.tolist()])
        _, kind, counts = np.unique(answers, axis=0, return_inverse=True, return_counts=True)
        best = int(np.lexsort((counts[kind.reshape(-1)], -variety))[0])
    return tokens[best], None if reals is None else reals[best]


def walk(
    model: Model, task: Task, n: int, tokens: np.ndarray, reals: np.ndarray | None, name: str, about: dict[str, str]
) -> Walk:
    """The page of a model on one legal input; `about` are facts that head it."""
    seen = trace(model, tokens, reals)
    names = [_safe(text) for text in token_names(task, tokens, reals)]
    labels = [f"{text}_{{{i}}}" for i, text in enumerate(names)] + list(seen.own)
    if seen.fixed:  # words move from node to node: an input word would be the wrong name
        labels = [f"node {i}" for i in range(len(names))] + list(seen.own)
    queries = task.queries(n)
    right = task.answer(tokens[None], None if reals is None else reals[None])[0]
    answered, verdict, close = _answers(task, seen, queries, right)
    sentences = [f"The input is **{_safe(task.show(tokens, reals))}**: {_scored(queries, labels)}"]
    sentences += [*flow(seen, labels, queries), f"**Read-out**: {verdict}"]
    stages = [*_stages(seen, labels, queries), _readout(task, seen, labels, queries)]
    facts = dict(about) | {"answer": answered, "agrees with the task": "yes" if close else "no"}
    return Walk(
        title=f"How {name} works",
        subtitle=f"{task.name}: {_safe(task.gloss)}{'' if task.gloss[-1] in '.?!' else '.'} One input, step by step"
        + ("." if seen.fixed else "; the small number behind a token is its position, from 0 on."),
        facts=tuple((key, value if key == "answer" else _safe(value)) for key, value in facts.items()),
        flow=tuple(sentences),
        stages=tuple(stages),
        footnote="All numbers are the model's own, computed in float64. The words of the flow leave out weights below "
        "0.05, and tokens on which the answer does not rest.",
    )


def _safe(text: str) -> str:
    """The text where a star, underscore or caret would be taken for a mark."""
    return text.replace("*", "∗").replace("_{", "_ {").replace("^{", "^ {")


def _scored(queries: Sequence[int], labels: Sequence[str]) -> str:
    if len(queries) == 1:
        return f"the answer is read at {labels[queries[0]]}."
    return f"{len(queries)} positions answer, {labels[queries[0]]} to {labels[queries[-1]]}."


def _answers(task: Task, seen: Trace, queries: Sequence[int], right: np.ndarray) -> tuple[str, str, bool]:
    """The answer in short, in a sentence, and whether it is the task's."""
    out, kind = seen.outputs[list(queries)], task.outputs()
    if isinstance(kind, Labels):
        got = out.argmax(axis=1)
        answered = " ".join(map(str, got))
        good = int((got == right).sum())
        if len(queries) == 1:
            top = np.sort(out[0])
            lead = f", ahead by {short(float(top[-1] - top[-2]))}" if len(top) > 1 else ""
            return (
                answered,
                f"the greatest output is that of **{answered}**{lead}; the task says {right[0]}.",
                good == 1,
            )
    else:
        near = np.linalg.norm(out - right, axis=1) <= kind.eps
        good = int(near.sum())
        answered = " ".join(map(short, out[:, 0])) if kind.dim == 1 else f"{len(queries)} vectors"
        far = float(np.linalg.norm(out - right, axis=1).max())
        return (
            answered,
            f"{good} of {len(queries)} within {kind.eps:g} of the task; off by at most {far:.1g}.",
            (good == len(queries)),
        )
    return answered, f"answers {answered}; {good} of {len(queries)} are the task's.", good == len(queries)


def _stages(seen: Trace, labels: list[str], queries: Sequence[int]) -> list[Stage]:
    if seen.kind == "recurrent":
        return [_states(step, number, labels, queries) for number, step in enumerate(seen.steps, 1)]
    first = _values("the stream", "Before the first layer.", seen.start, seen.parts, labels, None, queries)
    stages = [Stage("The input as the model holds it", "Columns are tokens, rows are numbers of each.", (), (first,))]
    for number, step in enumerate(seen.steps, 1):
        grids = [_pattern(h, head, step, labels, queries) for h, head in enumerate(step.heads)]
        framed = "Framed: what this layer changed."
        grids.append(_values("the stream after it", framed, step.after, step.parts, labels, step, queries))
        says = _tuple_lines(step, labels, queries)
        if step.heads:
            says = (*says, "The patterns are the same for every input.") if seen.fixed else says
        stages.append(Stage(f"Layer {number}: {step.kind.replace('-', ' ')}", step.note, says, tuple(grids)))
    return stages


def _pattern(h: int, head: Head, step: Step, labels: list[str], queries: Sequence[int]) -> Grid:
    slots = len({head.slot for head in step.heads})
    title = f"head {h // slots + 1}" if slots < len(step.heads) else "the head"
    gloss = "Row attends to column."
    if slots > 1:
        gloss = f"Weight of the tuples whose token {head.slot + 1} is the column."
    texts = ()
    if len(labels) <= TEXTS:
        texts = tuple(
            tuple("" if w < 0.005 else f"{w:.2f}".rstrip("0").rstrip(".") for w in row) for row in head.weights
        )
    rows = tuple(tuple(float(w) for w in row) for row in head.weights)
    return Grid(title, gloss, tuple(labels), tuple(labels), rows, texts, marked=tuple(queries))


def _tuple_lines(step: Step, labels: list[str], queries: Sequence[int]) -> tuple[str, ...]:
    """The heaviest tuples of the scored rows."""
    out = []
    for head in step.heads:
        for i in list(queries)[:24] if head.tuples else ():
            best = [f"({', '.join(labels[j] for j in at)}) {short(w)}" for at, w in head.tuples[i] if w >= 5e-4]
            out.append(f"**{labels[i]}** looks at {', '.join(best)}")
    return tuple(out)


def _values(
    title: str, gloss: str, x: np.ndarray, parts: tuple[Part, ...], labels: Sequence[str], step: Step | None,
    queries: Sequence[int],
) -> Grid:  # fmt: skip
    """The named numbers of x (tokens, columns): a row a number, or one row with the norm of a wide part."""
    rows, names, framed = list[np.ndarray](), list[str](), set[tuple[int, int]]()
    heats = list[np.ndarray]()
    for part in parts:
        name, start, stop = part
        own, alone = x[:, start:stop], stop - start == 1
        wide = stop - start > (2 * LINES if len(parts) == 1 else LINES)
        lines = [np.linalg.norm(own, axis=1)] if wide else list(own.T)
        top = max(float(np.abs(lines).max()), 1e-300)
        for k, line in enumerate(lines):
            moved = np.zeros(len(x), dtype=bool)
            if step is not None:
                moved = changed(step, part if wide else (name, start + k, start + k + 1))
            framed |= {(len(rows), int(j)) for j in np.flatnonzero(moved)}
            names.append(f"‖{_safe(name)}‖" if wide else _safe(name) if alone else f"{_safe(name)} {k + 1}")
            rows.append(line)
            heats.append(np.abs(line) / top if top > 1e-9 else np.zeros(len(line)))
    texts = tuple(tuple(short(float(v)) for v in row) for row in rows) if len(labels) <= TEXTS else ()
    return Grid(
        title, gloss, tuple(names), tuple(labels), tuple(tuple(map(float, row)) for row in heats), texts,
        marked_columns=tuple(queries), framed=frozenset(framed),
    )  # fmt: skip


def _states(step: Step, number: int, labels: list[str], queries: Sequence[int]) -> Stage:
    """One recurrent layer over time: a column a position, and the start."""
    table = np.concatenate([step.before[:1], step.after])
    beside = Step(step.kind, "", (), np.concatenate([table[:1], table[:-1]]), table, step.parts)
    scored = [j + 1 for j in queries]
    grid = _values(
        "the state", "Framed: what the token changed.", table, step.parts, ["start", *labels], beside, scored
    )
    says = ("Each column is the state after that token; it is all that later tokens know of the ones before.",)
    return Stage(f"Layer {number}: {step.kind.replace('-', ' ')}", step.note, says, (grid,))


def _readout(task: Task, seen: Trace, labels: list[str], queries: Sequence[int]) -> Stage:
    """The outputs at the scored positions."""
    out, kind = seen.outputs[list(queries)], task.outputs()
    names, framed = tuple(f"output {k}" for k in range(out.shape[1])), frozenset[tuple[int, int]]()
    kept = np.arange(out.shape[1])
    if isinstance(kind, Labels):
        framed = frozenset((int(row.argmax()), j) for j, row in enumerate(out))
        says = "The answer is the label with the greatest output (framed)."
    else:
        says = "The outputs are the answer."
    if len(kept) > 2 * LINES:  # the labels that matter: the greatest of every column
        kept = np.unique(np.argsort(-out, axis=1)[:, :4])[: 2 * LINES]
        names = tuple(names[k] for k in kept)
        framed = frozenset((int(np.flatnonzero(kept == i)[0]), j) for i, j in framed if i in kept)
        says += f" Of {out.shape[1]} outputs the greatest are shown."
    shown = out[:, kept].T
    low, high = shown.min(axis=0), shown.max(axis=0)
    warm = (shown - low) / np.where(high > low, high - low, 1.0)
    if not isinstance(kind, Labels):
        warm = np.abs(shown) / max(float(np.abs(shown).max()), 1e-300)
    texts = tuple(tuple(short(float(v)) for v in row) for row in shown) if len(queries) <= TEXTS else ()
    heats = tuple(tuple(map(float, row)) for row in warm)
    grid = Grid("the outputs", "", names, tuple(labels[j] for j in queries), heats, texts, framed=framed)
    return Stage("Read-out", "An affine map of the last stream or state.", (says,), (grid,))
