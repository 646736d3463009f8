"""Kind `pairs` in Arb: what each listed pair, and the lack of one, lets the model answer (see `pairs`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import PairGroup
from separatrix.core.errors import UnknownError
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs, at_some_precision, decide
from separatrix.kernel.arb_tuples import products, scores
from separatrix.kernel.case import Case
from separatrix.kernel.pairs import Classes, Shape, check_groups

MOST_NUMBERS = 2**18  # pairs of classes, times labels


def check_pairs(case: Case) -> str:
    """The claim in a sentence, or an error."""
    groups = at_some_precision(lambda: check_groups(case, Part.of))
    return f"the model answers {case.where} right on every input ({groups:,} tokens that ask, real arithmetic, arb)"


@dataclass(frozen=True, slots=True)
class Part:
    """Of all pairs of classes: weight (classes, classes), logits (classes, classes, labels), constants included."""

    classes: Classes
    weight: Arbs
    logits: Arbs

    @classmethod
    def of(cls, shape: Shape, classes: Classes) -> Part:
        """From the model; UnknownError where this would take too long."""
        labels, count = shape.case.model().readout.outputs, classes.count
        if count**2 * labels > MOST_NUMBERS:
            raise UnknownError(f"{count} choices of a position and a symbol are too many for the arb engine")
        t = {name: ab.arbs(tensor) for name, tensor in shape.case.tensors.items()}
        x = t["embed.token"][classes.symbol]
        if "embed.position" in t:
            x = x + t["embed.position"][classes.place[: len(x)]]
        if shape.blank:
            x = np.concatenate([x, t["embed.blank"][None]])
        asking = x[classes.asking]
        score = scores(shape.layer, t, 0, x, asking)
        weight = ab.exp(score - score[ab.mid(score).argmax()].mid())
        constant = t["readout.bias"]
        if shape.layer.residual:
            constant = constant + ab.dot(asking, t["readout.weight"])
        value = products([ab.dot(x, map_[0]) for map_ in t["layers.0.values"]])
        logits = ab.dot(value, ab.dot(t["layers.0.output"][0], t["readout.weight"])) + constant
        return cls(classes, weight.reshape(count, count), logits.reshape(count, count, labels))

    def wins(self, group: PairGroup, label: int, rival: int) -> bool:
        """Whether `label` is proved to beat `rival` wherever the group says that it is the answer."""
        classes = self.classes
        term = self.weight * (self.logits[:, :, label] - self.logits[:, :, rival])
        term[classes.same] = ab.infinity()
        held = classes.held(group)
        why = f"token {group.token} at position {group.query} asks: {label} is not proved to beat {rival}"
        for one, two, answer in held:
            if answer == label and not self._positive(term, (one, two), why):
                return False
        if group.rest != label:
            return True
        for one, two, _ in held:
            term[one, two] = ab.infinity()
        return not classes.unlisted(held) or self._positive(term, (), why)

    def _positive(self, term: Arbs, known: tuple[int, ...], why: str) -> bool:
        """Whether the least sum over all pairs of positions is, where these classes are held and the rest is free."""
        classes, whole = self.classes, ab.zero()
        ends = [*classes.starts[1:], classes.count]
        choices = [np.arange(a, b) for a, b in zip(classes.starts, ends, strict=True)]
        for c in known:
            choices[classes.place[c]] = np.array([c])
        for one in choices:
            for two in choices:
                whole += ab.least(term[np.ix_(one, two)].reshape(-1))
        return decide(whole > 0, whole <= 0, why)
