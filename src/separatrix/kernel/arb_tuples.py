"""Kind `tuples` in Arb: hits and misses of every token that asks, as in `tuples`, with none of its rounding."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from separatrix.core.arch import HigherOrder, Strassen
from separatrix.core.errors import RejectedError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs, at_some_precision, decide
from separatrix.kernel.arb_nets import number
from separatrix.kernel.case import Case
from separatrix.kernel.tuples import LEVELS, Asked, asked


def check_tuples(case: Case) -> str:
    """The claim in a sentence, or an error."""
    given = asked(case)

    def check() -> int:
        tables = Tables.of(case, given)
        for done, (token, hits) in enumerate(given.tokens):
            tables.check(token, hits, given.positions)
            case.progress(f"{done + 1:,} tokens, arb")
        return len(given.tokens)

    count = at_some_precision(check)
    return f"the model answers {case.where} right on every input ({count} tokens that ask, real arithmetic, arb)"


@dataclass(frozen=True, slots=True)
class Tables:
    """x (R, d): the tokens, then perhaps the blank; logits: (R^slots, 2) a head, of all tuples; constant (V, 2)."""

    layer: HigherOrder | Strassen
    tensors: Mapping[str, Arbs]
    x: Arbs
    logits: tuple[Arbs, ...]
    constant: Arbs
    shape: tuple[int, ...]

    @classmethod
    def of(cls, case: Case, given: Asked) -> Tables:
        """From a model that `tuples` has let pass."""
        arch, t = case.model(), {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
        layer = arch.layers[0]
        assert isinstance(layer, HigherOrder | Strassen)
        token, readout = t["embed.token"], t["readout.weight"]
        x = np.concatenate([token, t["embed.blank"][None]]) if arch.blank else token
        logits = []
        for h in range(layer.heads):
            value = products([ab.dot(x, map_[h]) for map_ in t["layers.0.values"]])
            logits.append(ab.dot(value, ab.dot(t["layers.0.output"][h], readout)))
        constant = ab.zeros(len(token), 2) + t["readout.bias"]
        if layer.residual:
            constant = constant + ab.dot(token, readout)
        return cls(layer, t, x, tuple(logits), constant, (len(x),) * given.slots)

    def check(self, token: int, hits: np.ndarray, positions: int) -> None:
        """RejectedError unless both answers are right wherever `token` asks; Undecided where that is not known."""
        is_hit = np.zeros(self.shape, dtype=bool)
        is_hit[tuple(hits.T)] = True
        always = bool(is_hit[(token,) * len(self.shape)])  # the query's own position, taken every time
        weights = []
        for h in range(self.layer.heads):
            score = scores(self.layer, self.tensors, h, self.x, self.x[token])
            weights.append(ab.exp(score - score[ab.mid(score).argmax()].mid()))
        for label in (0, 1):
            if not (len(hits) > 0 if label else not always):
                continue
            ahead = self.constant[token, label] - self.constant[token, 1 - label]
            sums = [
                Sums(e, own[:, label] - own[:, 1 - label], is_hit, len(self.constant), label, positions)
                for e, own in zip(weights, self.logits, strict=True)
            ]
            at = f"token {token} asks: the answer {label} is not proved to win"
            won = sums[0].least(-ahead) if len(sums) == 1 else ahead + sum(each.share() for each in sums)
            if not all(decide(value > 0, value <= 0, at) for value in won):
                raise RejectedError(at)


@dataclass(frozen=True, slots=True)
class Sums:
    """One head and a token that asks, for inputs with some hit (one entry a hit), or with none (one entry).

    e, margin (R^slots,): weights of tuples, and what each adds to the right logit over the other.
    """

    e: Arbs
    margin: Arbs
    is_hit: np.ndarray
    vocabulary: int
    label: int
    positions: int

    def least(self, level: Any) -> Arbs:
        """The least sum of e (margin - level) over all tuples, each taken on its own, in each entry."""
        shape = self.is_hit.shape
        term = (self.e * (self.margin - level)).reshape(shape)
        whole = term[self.is_hit] if self.label else ab.zeros(1)
        for blanks in itertools.product((False, True), repeat=len(shape)):
            if any(blanks) and shape[0] == self.vocabulary:
                continue
            part = tuple(slice(self.vocabulary, None) if b else slice(0, self.vocabulary) for b in blanks)
            count = self.positions ** blanks.count(False)
            own = term[part].reshape(-1)
            if not any(blanks) and self.label:
                count -= 1  # besides the hit
            elif not any(blanks):
                own = term[part][~self.is_hit[part]]
                if not len(own):
                    raise RejectedError("a token asks: every tuple is a hit, and none may be")
            whole = whole + ab.least(own) * count
        return whole

    def share(self) -> Arbs:
        """Below what this head of several adds, in each entry: the best of a few levels, L where `least(L)` >= 0."""
        best = ab.low(ab.least(self.margin)) + (ab.zeros(int(self.is_hit.sum())) if self.label else ab.zeros(1))
        ends = ab.mid(self.margin)
        for level in np.linspace(ends.min(), ends.max(), LEVELS + 1)[1:-1].tolist():
            fine = [bool(value >= 0) for value in self.least(number(level))]
            best = np.array([number(level) if f else old for f, old in zip(fine, best, strict=True)], dtype=object)
            if not any(fine):
                break
        return best


def scores(layer: HigherOrder | Strassen, t: Mapping[str, Arbs], h: int, x: Arbs, asking: Arbs) -> Arbs:
    """(rows^slots,) of head h over tuples of x (rows, d), for one stream that asks (d,)."""
    query = ab.dot(asking, t["layers.0.query"][h]) * number(layer.scale)
    keys = [ab.dot(x, map_[h]) for map_ in t["layers.0.keys"]]
    if isinstance(layer, HigherOrder):
        return ab.dot(products(keys), query)
    one, two = (ab.dot(key, query) for key in keys)
    return (one[:, None] + two + ab.dot(keys[0], keys[1].T) * number(layer.scale)).reshape(-1)


def products(rows: list[Arbs]) -> Arbs:
    """(tuples, columns) entrywise products of one row from each of the (rows, columns), the last one fastest."""
    return reduce(lambda a, b: (a[:, None] * b[None]).reshape(-1, a.shape[-1]), rows)
