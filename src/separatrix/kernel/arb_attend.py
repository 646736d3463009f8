"""What one attention head returns on every input of a cell, in Arb: the bound of `contracts.attend`.

For any number L the head returns o >= L + F/Z with Z = sum_j e_j and F the least sum_j e_j (v_j - L) over the cell, a
sum over positions of least terms. L is the value at the heaviest position that the cell determines, then the least
bound found so far for rows that share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from separatrix.kernel import arb_arrays as ab
from separatrix.kernel.arb_arrays import Arbs
from separatrix.kernel.arb_contract_floats import Rules
from separatrix.kernel.arb_words import smallest
from separatrix.kernel.contracts.rows import Rows
from separatrix.kernel.contracts.stream import Stream

ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Head:
    """query, key (classes, m), the scale in the query; values (classes, c): lower ends.

    With `rules` queries and keys are as computed, the scale is applied to their product, and the values have lost what
    the sum may lose.
    """

    query: Arbs
    key: Arbs
    values: Arbs
    causal: bool
    rules: Rules | None = None
    scale: float = 1.0

    def scores(self, own: int) -> Arbs:
        """(classes,) of the class that asks."""
        if self.rules is not None:
            return self.rules.scores(self.key, self.query[own], self.scale)
        return ab.dot(self.key, self.query[own])


def least(head: Head, rows: Rows, stream: Stream) -> Arbs:
    """(rows, c) below what the head returns, in each column of its values, on every input of each cell."""
    found = np.full((len(rows), head.values.shape[1]), None, dtype=object)
    for own in np.unique(rows.own).tolist():
        score = head.scores(own)
        for ground in np.unique(rows.ground[rows.own == own]).tolist():
            here = np.flatnonzero((rows.own == own) & (rows.ground == ground))
            ask = Ask(head, stream, rows.allowed[ground].astype(bool), score, own)
            heard = [ask.heaviest([own, *rows.forced[row].tolist()]) for row in here]
            for top in dict.fromkeys(heard):
                some = here[[h == top for h in heard]]
                found[some] = ask.bounds(rows, some, top)
    return found


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks: class `own`; what the others may hold: `allowed` (classes,); score (classes,)."""

    head: Head
    stream: Stream
    allowed: np.ndarray
    score: Arbs
    own: int

    def heaviest(self, known: list[int]) -> int:
        """The known class that is seen and scores most, by the centres."""
        place = self.stream.place
        seen = [c for c in known if not self.head.causal or place[c] <= place[self.own]]
        return max(seen, key=lambda c: float(self.score[c].mid()))

    def bounds(self, rows: Rows, which: np.ndarray, top: int) -> Arbs:
        """(rows, c) for rows whose heaviest known class is `top`."""
        place, n = self.stream.place, self.stream.positions
        reach = np.arange(n) <= place[self.own] if self.head.causal else np.ones(n, dtype=bool)
        at = [np.flatnonzero((place == j) & self.allowed) for j in range(n)]
        score = self.score
        if self.head.rules is not None:  # rounding of the scores less the greatest one grows with the greatest
            heard = {self.own, *rows.forced[which].reshape(-1).tolist(), *(c for some in at for c in some.tolist())}
            most = ab.greatest(ab.high(score[[c for c in sorted(heard) if reach[place[c]]]]))
            score = self.head.rules.logarithms(score, most)
        score = score - self.score[top].mid()  # a wide ball of weights has no lower end to speak of: two thin ones
        low_e, high_e = (ab.exp(end) for end in (ab.low(score), ab.high(score)))
        least_e: list[Any] = [smallest(low_e[classes]) if len(classes) else None for classes in at]
        most_e: list[Any] = [-smallest(-high_e[classes]) if len(classes) else None for classes in at]
        fixed = {row: self._fixed(rows, row, reach) for row in which.tolist()}
        weights = []
        for row in which.tolist():
            free = [j for j in range(n) if reach[j] and j not in fixed[row]]
            low: Any = sum((least_e[j] for j in free), sum((low_e[c] for c in fixed[row].values()), ab.zero()))
            high: Any = sum((most_e[j] for j in free), sum((high_e[c] for c in fixed[row].values()), ab.zero()))
            weights.append((low.lower().max(ab.zero()), high.upper()))
        level, best = self.head.values[top], self._floors(which, fixed, at, reach)
        for _ in range(ROUNDS):
            above = self.head.values - level
            terms = ab.low(ab.smaller(low_e[:, None] * above, high_e[:, None] * above))
            share = self._share(terms, rows, which, fixed, at, reach, weights)
            bound = ab.low(level + share)
            best = np.where(ab.finite(bound), ab.larger(best, bound), best)
            raised = ab.least(best, axis=0)
            gain = ab.mid(raised - level)
            gain = gain if self.head.rules is None else np.abs(gain)  # wide weights: a lower L may do better
            if not ab.finite(raised).all() or not (gain > 1e-6 * (1e-30 + np.abs(ab.mid(level)))).any():
                break
            level = raised
        return best

    def _fixed(self, rows: Rows, row: int, reach: np.ndarray) -> dict[int, int]:
        """Position -> class of what the cell determines, where it is seen."""
        known = [self.own, *rows.forced[row].tolist()]
        return {int(self.stream.place[c]): c for c in known if reach[self.stream.place[c]]}

    def _floors(self, which: np.ndarray, fixed: dict[int, dict[int, int]], at: list, reach: np.ndarray) -> Arbs:
        """(rows, c) the least values that can be seen at all."""
        values, found = self.head.values, []
        free = [ab.least(values[classes], axis=0) if len(classes) else None for classes in at]
        for row in which.tolist():
            seen = [values[c] for c in fixed[row].values()]
            seen += [free[j] for j in range(len(at)) if reach[j] and j not in fixed[row]]
            found.append(ab.least(np.array(seen, dtype=object), axis=0))
        return np.array(found, dtype=object).reshape(len(which), values.shape[1])

    def _share(
        self,
        terms: Arbs,
        rows: Rows,
        which: np.ndarray,
        fixed: dict[int, dict[int, int]],
        at: list,
        reach: np.ndarray,
        weights: list,
    ) -> Arbs:
        """(rows, c) F/Z from below."""
        n, columns = len(at), terms.shape[1]
        each = [ab.least(terms[classes], axis=0) if len(classes) else None for classes in at]
        tied = 0 if rows.automaton is None else int(self.stream.place[self.own])
        ends = self._words(terms, rows, at, tied) if tied else {}
        found = np.full((len(which), columns), None, dtype=object)
        for i, row in enumerate(which.tolist()):
            parts = [terms[c] for c in fixed[row].values()]
            parts += [each[j] for j in range(n) if reach[j] and j >= tied and j not in fixed[row]]
            whole = sum(parts, ab.zeros(columns))
            if tied:
                assert rows.accepting is not None
                whole = whole + ab.least(
                    np.array([ends[s] for s in np.flatnonzero(rows.accepting[row]).tolist() if s in ends]), axis=0
                )
            low, high = weights[i]
            for c in range(columns):
                f = whole[c].lower()
                by = low if f < 0 else high
                # a weight of 0 from below says nothing where F is negative
                found[i, c] = f / by if by > 0 else -ab.infinity()
        return found

    def _words(self, terms: Arbs, rows: Rows, at: list, tied: int) -> dict[int, Arbs]:
        """State -> (c,) least sum of terms over the words of the first `tied` positions that lead there."""
        assert rows.automaton is not None
        table = rows.automaton.table
        reached = {0: ab.zeros(terms.shape[1])}
        for j in range(tied):
            after: dict[int, list[Arbs]] = {}
            for c in at[j].tolist():
                symbol = int(self.stream.symbol[c])
                for state, found in reached.items():
                    after.setdefault(int(table[state, symbol]), []).append(found + terms[c])
            reached = {state: ab.least(np.array(found, dtype=object), axis=0) for state, found in after.items()}
        return reached
