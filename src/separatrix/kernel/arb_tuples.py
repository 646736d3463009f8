"""Kind `tuples` in Arb: hits and misses of every token that asks, as in `tuples`, with none of its rounding."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from separatrix.core.arch import HigherOrder
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs, at_some_precision, decide
from separatrix.kernel.arb_nets import number
from separatrix.kernel.case import Case
from separatrix.kernel.tuples import Asked, asked


def check_tuples(case: Case) -> str:
    """The claim in a sentence, or an error."""
    given = asked(case)
    match case.model().layers:
        case (HigherOrder(heads=1),):
            pass
        case _:
            raise UnknownError("in arb the tuples check decides one head of third-order or higher attention")

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
    """token (V, d), query (d, m); key (R^slots, m), logits (R^slots, 2) of all tuples of R = V (+ 1) rows; the rest."""

    token: Arbs
    query: Arbs
    key: Arbs
    logits: Arbs
    bias: Arbs
    skip: Arbs | None
    shape: tuple[int, ...]

    @classmethod
    def of(cls, case: Case, given: Asked) -> Tables:
        """From a model that `tuples` has let pass."""
        arch, t = case.model(), {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
        layer = arch.layers[0]
        assert isinstance(layer, HigherOrder)
        x = np.concatenate([t["embed.token"], t["embed.blank"][None]]) if arch.blank else t["embed.token"]
        key, value = (products([ab.dot(x, m[0]) for m in t[f"layers.0.{name}"]]) for name in ("keys", "values"))
        return cls(
            t["embed.token"],
            t["layers.0.query"][0] * number(layer.scale),
            key,
            ab.dot(value, ab.dot(t["layers.0.output"][0], t["readout.weight"])),
            t["readout.bias"],
            t["readout.weight"] if layer.residual else None,
            (len(x),) * given.slots,
        )

    def check(self, token: int, hits: np.ndarray, positions: int) -> None:
        """RejectedError unless both answers are right wherever `token` asks; Undecided where that is not known."""
        vocabulary, slots = len(self.token), len(self.shape)
        score = ab.dot(self.key, ab.dot(self.token[token], self.query))
        e = ab.exp(score - score[ab.mid(score).argmax()].mid())
        constant = self.bias if self.skip is None else self.bias + ab.dot(self.token[token], self.skip)
        logits = self.logits + constant
        is_hit = np.zeros(self.shape, dtype=bool)
        is_hit[tuple(hits.T)] = True
        always = bool(is_hit[(token,) * slots])  # the query's own position, taken every time
        for label in (0, 1):
            if not (len(hits) > 0 if label else not always):
                continue
            term = (e * (logits[:, label] - logits[:, 1 - label])).reshape(self.shape)
            whole: Any = ab.zero()
            for blanks in itertools.product((False, True), repeat=slots):
                if any(blanks) and self.shape[0] == vocabulary:
                    continue
                part = tuple(slice(vocabulary, None) if b else slice(0, vocabulary) for b in blanks)
                count = positions ** blanks.count(False)
                own = term[part].reshape(-1)
                if any(blanks):
                    whole += ab.least(own) * count
                elif label == 1:
                    whole += ab.least(term[is_hit]) + ab.least(own) * (count - 1)
                elif not is_hit[part].all():
                    whole += ab.least(term[part][~is_hit[part]]) * count
                else:
                    raise RejectedError(f"token {token} asks: every tuple is a hit, and none may be")
            at = f"token {token} asks: the answer {label} is not proved to win"
            if not decide(whole > 0, whole <= 0, at):
                raise RejectedError(at)


def products(rows: list[Arbs]) -> Arbs:
    """(tuples, columns) entrywise products of one row from each of the (rows, columns), the last one fastest."""
    return reduce(lambda a, b: (a[:, None] * b[None]).reshape(-1, a.shape[-1]), rows)
