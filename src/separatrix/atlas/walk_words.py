"""A trace in words: names of tokens, short numbers, and the way from the input to the answer, a sentence a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from separatrix.core.task import Task
from separatrix.models.trace import Head, Part, Step, Trace

READS = 0.05  # a weight from which on a key is said to be read
SHARP = 0.9  # a weight from which on it is said to be the only one
SOME = 6  # things that a sentence lists


def token_names(task: Task, tokens: np.ndarray, reals: np.ndarray | None) -> list[str]:
    """One name a position, cut from the task's own line for the input; the ids where it cannot be cut so.

    >>> from separatrix.tasks import make_task
    >>> token_names(make_task("equality", {}), np.array([0, 1, 0, 1]), None)
    ['0', '1', '0', '1']
    """
    line, n = task.show(tokens, reals), len(tokens)
    if reals is not None and tokens.ndim == 1 and reals.shape[1] == 1:
        return [short(float(x)) for x in reals[:, 0]]
    if tokens.ndim == 2:
        return ["{" + ",".join(map(str, row)) + "}" for row in tokens.tolist()]
    words = [word for word in line.split("(mod")[0].split() if word not in ("|", "?", "=", "+")]
    letters = [letter for letter in line if letter not in " |?"]
    pairs = [half for word in words for half in word.split(":")]
    asks = "?" if line.endswith("?") else "end"
    for cut in (words, letters, pairs):
        if len(cut) in (n, n - 1):
            return [*cut, asks][:n]
    return [str(token) for token in tokens.tolist()]


def short(value: float) -> str:
    """A number in three figures, with a true minus; what is below 5e-7 prints as 0.

    >>> short(-12345.0), short(0.5), short(-1e-9)
    ('−1.23e4', '0.5', '0')
    """
    if abs(value) < 5e-7:
        return "0"
    text = f"{value:.3g}"
    if "e" in text:
        digits, power = text.split("e")
        text = f"{digits}e{int(power)}"
    return text.replace("-", "−")


def listed(items: Sequence[str], most: int = SOME) -> str:
    """`a, b and c`; beyond `most` the number of the others."""
    if len(items) > most:
        return ", ".join(items[:most]) + f" and {len(items) - most} more"
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"


def vector(values: np.ndarray) -> str:
    """A part of the stream or state: its numbers, or which of many are not 0."""
    if len(values) == 1:
        return short(values[0])
    if len(values) <= 4:
        return "(" + ", ".join(map(short, values)) + ")"
    on = np.flatnonzero(np.abs(values) >= 5e-7)
    if not len(on):
        return "all 0"
    if len(on) <= 3:
        return listed([f"{short(values[k])} at {k + 1}" for k in on])
    return f"{len(on)} of {len(values)} numbers on, norm {short(float(np.linalg.norm(values)))}"


def changed(step: Step, part: Part) -> np.ndarray:
    """(rows,) whether the part differs before and after the step."""
    before, after = step.before[:, part[1] : part[2]], step.after[:, part[1] : part[2]]
    moved: np.ndarray = np.abs(after - before) > 1e-9 * np.maximum(1.0, np.abs(before))
    return np.asarray(moved.any(axis=1))


def needed(trace: Trace, queries: Iterable[int]) -> list[set[int]]:
    """Per step the rows that the answers rest on: read from the scored ones back, through every weight above READS."""
    out, rows = list[set[int]](), set(queries)
    for step in reversed(trace.steps):
        out.append(set(rows))
        for head in step.heads:
            rows |= {int(j) for i in out[-1] for j in np.flatnonzero(head.weights[i] >= READS)}
    return out[::-1]


def flow(trace: Trace, labels: Sequence[str], queries: Sequence[int]) -> list[str]:
    """The way of the input through the layers, in sentences; `labels` name the rows, the model's own tokens too."""
    if trace.kind == "recurrent":
        return _over_time(trace, labels)
    out = []
    for number, (step, rows) in enumerate(zip(trace.steps, needed(trace, queries), strict=True), 1):
        last = number == len(trace.steps)
        said = sorted(set(queries) if last else rows)
        texts = [_head(step, h, head, said, labels) for h, head in enumerate(step.heads) if head.slot == 0]
        texts.append(_written(step, said, labels))
        text = " ".join(texts)
        text = text if step.heads else text[0].lower() + text[1:]
        out.append(f"**Layer {number}**, {step.kind.replace('-', ' ')}: {text}")
    return out


def _head(step: Step, h: int, head: Head, rows: list[int], labels: Sequence[str]) -> str:
    """What the given rows of a head look at; rows that look alike are said together."""
    if head.tuples:
        best = [(i, *head.tuples[i][0]) for i in rows]
        says = [f"{labels[i]} finds ({', '.join(labels[j] for j in places)}) with {short(w)}" for i, places, w in best]
        return listed(says) + "."
    alone, looks = list[str](), dict[str, list[str]]()
    for i in rows:
        if head.weights[i, i] >= SHARP:
            alone.append(labels[i])
        else:
            looks.setdefault(_look(head.weights[i], labels), []).append(labels[i])
    says = [f"{listed(who)} {'look' if len(who) > 1 else 'looks'} at {look}" for look, who in looks.items()]
    says += [f"{listed(alone)} {'at themselves' if len(alone) > 1 else 'at itself'}"] if alone and says else []
    says = says or [f"{listed(alone)} {'look at themselves' if len(alone) > 1 else 'looks at itself'}"]
    many = len({head.slot for head in step.heads}) < len(step.heads)
    return (
        (f"*head {h + 1}*: " if many else "")
        + "; ".join(says[:SOME])
        + (f"; and {len(says) - SOME} more" if len(says) > SOME else "")
        + "."
    )


def _look(row: np.ndarray, labels: Sequence[str]) -> str:
    """One row of weights: the one key, the keys it averages, or the heaviest with their weights."""
    keys = [int(k) for k in np.argsort(-row, kind="stable") if row[k] >= READS]
    if keys and row[keys[0]] >= SHARP:
        return labels[keys[0]]
    if not keys or (len(keys) == len(row) > 2 and row.max() - row.min() < 1e-3):
        return "all tokens evenly"
    if len(keys) > 1 and row[keys[0]] - row[keys[-1]] < 0.01 and row[keys].sum() >= SHARP:
        return f"{listed([labels[k] for k in sorted(keys)])} evenly"
    return listed([f"{labels[k]} ({short(row[k])})" for k in keys], 4)


def _written(step: Step, rows: list[int], labels: Sequence[str]) -> str:
    """Which parts the step changes in these rows, and to what; parts that become 0 in all of them are named last."""
    says, cleared = list[str](), list[str]()
    for part in step.parts:
        moved = [i for i in rows if changed(step, part)[i]]
        if not moved:
            continue
        values = [vector(step.after[i, part[1] : part[2]]) for i in moved]
        if not (np.abs(step.after[rows, part[1] : part[2]]) >= 5e-7).any():
            cleared.append(f"*{part[0]}*")
        elif len(set(values)) == 1 and len(moved) > 1:
            says.append(f"*{part[0]}* = {values[0]} in {listed([labels[i] for i in moved])}")
        else:
            says.append(f"*{part[0]}* = " + listed([f"{v} in {labels[i]}" for i, v in zip(moved, values, strict=True)]))
    out = ["It writes " + "; ".join(says) + "."] if says else []
    out += [f"It clears {listed(cleared, 12)}."] if cleared else []
    return " ".join(out) or "It leaves these tokens as they are."


def _over_time(trace: Trace, labels: Sequence[str]) -> list[str]:
    """A recurrent model: what every token does to the named parts of the states."""
    out = []
    for j, label in enumerate(labels):
        says = []
        for number, step in enumerate(trace.steps, 1):
            where = f" of layer {number}" if len(trace.steps) > 1 else ""
            for part in step.parts:
                if changed(step, part)[j]:
                    says.append(f"*{part[0]}*{where} becomes {vector(step.after[j, part[1] : part[2]])}")
        out.append(f"**{label}**: " + (listed(says, 4) if says else "the state stays as it is") + ".")
    return out
