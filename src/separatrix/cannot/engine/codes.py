"""Codes that grow bit by bit, where random changes of all of Alice's symbols at once drown each other.

Before a base word, each of Alice's positions is changed alone, and words of Bob's are kept that notice it. Bits are
then taken in one by one, as long as all that are in can still be guessed when all of them vary; where a position does
not serve, its symbol in the base word is drawn anew. So small solutions grow to long ones, without a hint about the
task. Positions often play parts in turn (a key, then its label): once a code has grown, others are grown with bits at
every second or third position only, where the rest of her symbols is free to make room. For averages of real parts
Alice's bits are signs, and Bob's words are pointer sets.
"""

from __future__ import annotations

import math
import time
from itertools import combinations

import numpy as np

from separatrix.cannot.bound import need
from separatrix.cannot.engine.decoding import SECONDS, Guess, answers_in, expected, worth
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.seeds import child
from separatrix.core.task import Task

BASES = 6  # base words that are tried
SYMBOLS = (8, 64)  # of a position that are tried: at least, at most
POOL = 1024  # words of Bob's before one base word
REDRAWN = 6  # symbols that are drawn anew for it
NEAR = 2  # positions next to it that may serve after that
OPTIONS = 12  # changes of a position that are tried as its bit
TRIALS = (48, 2048)  # random words for a new bit, and as many guesses of older ones: at least, at most
IDLE = 60  # rounds without a new bit before a base word is given up; 3 before the first one
MOST_SETS = 2**14
Option = tuple[int, np.ndarray, int, int, int]  # symbol of 1, Bob's word, column, label of 1, words that notice
Part = tuple[int, int]  # positions p with p = second modulo first
PARTS = ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2))


class Growth:
    """One base word and the bits that were found for it."""

    def __init__(
        self, task: Task, n: int, cut: int, known: bool, base: np.ndarray, rng: np.random.Generator, budget: int,
        deadline: float = math.inf, part: Part = (1, 0),
    ) -> None:  # fmt: skip
        self.task, self.n, self.cut, self.rng, self.budget, self.deadline = task, n, cut, rng, budget, deadline
        domain = task.domain(n)
        self.constraint = domain.constraint
        self.alphabets = [np.asarray(a) for a in domain.alphabets]
        self.base = base.copy()
        if known:
            self.alphabets[task.queries(n)[0]] = base[task.queries(n)[0]][None]
        self.columns = [i for i, q in enumerate(task.queries(n)) if q >= cut]
        self.code: dict[int, Option] = {}
        self.varied = [p for p in range(cut) if len(self.alphabets[p]) > 1]
        self.used = [p for p in self.varied if p % part[0] == part[1]]
        self.trials = min(TRIALS[1], max(TRIALS[0], budget // (64 * max(1, len(self.used)))))

    def full(self) -> bool:
        """Whether all positions serve that may, and these are half of them at least."""
        return len(self.code) == len(self.used) and 2 * len(self.code) >= len(self.varied) - 1

    def answers(self, tokens: np.ndarray) -> np.ndarray:
        """(batch, columns) the answers, -1 where a word is no input."""
        self.budget = self.budget - len(tokens) if time.process_time() < self.deadline else 0
        found = self.task.answer(tokens)[:, self.columns]
        if self.constraint.kind != "product":
            found = np.where(self.constraint.holds(tokens)[:, None], found, -1)
        return found

    def pool(self) -> np.ndarray:
        """Bob's words: all, or the base word's with one change, and random ones."""
        after, own = self.alphabets[self.cut :], self.base[self.cut :]
        if math.prod(map(len, after)) <= POOL:
            return np.stack([g.reshape(-1) for g in np.meshgrid(*after, indexing="ij")], axis=1)
        changes = [(j, s) for j, a in enumerate(after) for s in a[a != own[j]].tolist()]
        if len(changes) > POOL:
            changes = [changes[i] for i in self.rng.choice(len(changes), POOL, replace=False).tolist()]
        words = np.tile(own, (len(changes), 1))
        for row, (j, s) in enumerate(changes):
            words[row, j] = s
        return words

    def options(self, places: list[int], pool: np.ndarray) -> dict[int, list[Option]]:
        """For each place, changes of its symbol that a word of the pool notices, those that fewest notice first."""
        whole = np.concatenate([np.tile(self.base[: self.cut], (len(pool), 1)), pool], axis=1)
        before, found = self.answers(whole), {}
        symbols = min(SYMBOLS[1], max(SYMBOLS[0], self.budget // (16 * len(pool) * max(1, len(places)))))
        for place in places:
            others = self.alphabets[place][self.alphabets[place] != self.base[place]]
            seen: list[Option] = []
            found[place] = []
            for symbol in self.rng.permutation(others)[:symbols].tolist():
                if self.budget < len(pool):
                    return found
                whole[:, place] = symbol
                after = self.answers(whole)
                differ = np.argwhere((after != before) & (after >= 0) & (before >= 0))
                for at in self.rng.permutation(len(differ))[: OPTIONS // 4].tolist():
                    row, column = differ[at]
                    seen.append((symbol, pool[row], int(column), int(after[row, column]), len(differ)))
            found[place] = sorted(seen, key=lambda option: option[4])[:OPTIONS]
            whole[:, place] = self.base[place]
        return found

    def holds(self, code: dict[int, Option], new: int | None) -> bool:
        """Whether the bits of a code can be guessed while all of them vary, the new one above all."""
        asked = self.rng.integers(0, len(code), self.trials)
        if new is not None:
            asked = np.concatenate([asked, np.full(self.trials, list(code).index(new))])
        return bool(self.right(code, asked[:24]).all()) and bool(self.right(code, asked).all())

    def right(self, code: dict[int, Option], asked: np.ndarray) -> np.ndarray:
        """(guesses,) whether the guess of bit asked[i] of a code is right on a random word."""
        places = list(code)
        bits = self.rng.integers(0, 2, (len(asked), len(places)))
        tokens = np.tile(self.base, (len(asked), 1))
        tokens[:, places] = np.where(bits, [code[p][0] for p in places], self.base[places])
        tokens[:, self.cut :] = np.stack([code[places[k]][1] for k in asked.tolist()])
        columns = np.array([code[places[k]][2] for k in asked.tolist()])
        labels = np.array([code[places[k]][3] for k in asked.tolist()])
        answers = self.answers(tokens)[np.arange(len(asked)), columns]
        return ((answers == labels) == (bits[np.arange(len(asked)), asked] == 1)) & (answers >= 0)

    def prune(self) -> None:
        """Drops the bits whose guesses fail so often that the rest is worth more."""
        while len(self.code) > 1:
            asked = np.repeat(np.arange(len(self.code)), self.trials)
            errors = 1 - self.right(self.code, asked).reshape(-1, self.trials).mean(axis=1)
            worst = int(errors.argmax())
            if worth(errors.tolist()) >= worth(np.delete(errors, worst).tolist()):
                return
            del self.code[list(self.code)[worst]]

    def grow(self) -> None:
        """Takes in bits until all positions serve, nothing is gained, or the budget is spent; some are dropped again.

        A bit that is asked about in an awkward way may keep others out, so each idle round gives up a few at random.
        """
        idle, best, base = 0, self.code, self.base
        while self.budget > 0 and idle < (IDLE if best else 3) and len(best) < len(self.used):
            free = [p for p in self.used if p not in self.code]
            for place, options in self.options(free, self.pool()).items():
                for option in options:
                    code = {**self.code, place: option}
                    if self.budget > 0 and self.holds(code, place):
                        self.code = code
                        break
            if len(self.code) > len(best):
                idle, best, base = 0, self.code, self.base
                continue
            idle += 1
            if idle > 2 and len(self.code) > 1:
                gone = self.rng.choice(list(self.code), min(2, len(self.code) - 1), replace=False).tolist()
                gone.append(max(self.code, key=lambda p: (self.code[p][4], self.rng.random())))
                self.code = {p: option for p, option in self.code.items() if p not in gone}
            self._redraw([p for p in self.varied if p not in self.code])
            if len(self.code) > len(best):
                idle, best, base = 0, self.code, self.base
        self.code, self.base = best, base

    def _redraw(self, places: list[int]) -> None:
        """New symbols at places that do not serve: at best one that serves at once, else any that does no harm."""
        for place in places:
            for symbol in self.rng.permutation(self.alphabets[place])[:REDRAWN].tolist():
                if self.budget <= 0:
                    return
                kept, self.base = self.base, self.base.copy()
                self.base[place] = symbol
                if not self.constraint.holds(self.base[None])[0] or (self.code and not self.holds(self.code, None)):
                    self.base = kept
                    continue
                near = sorted((p for p in self.used if p not in self.code), key=lambda p: abs(p - place))[:NEAR]
                for other, options in self.options(near, self.pool()).items():
                    serves = next((o for o in options if self.holds({**self.code, other: o}, other)), None)
                    if serves is not None:
                        self.code = {**self.code, other: serves}
                        break
                if place in self.code:
                    break

    def guesses(self) -> list[Guess]:
        """The code, as changes of the base word."""
        queries, found = [self.task.queries(self.n)[i] for i in self.columns], []
        for place, (symbol, word, column, label, _) in self.code.items():
            changes = tuple((self.cut + j, int(s)) for j, s in enumerate(word.tolist()) if s != self.base[self.cut + j])
            found.append(Guess(place, int(self.base[place]), symbol, changes, queries[column], float(label)))
        return found


def grow(
    task: Task, n: int, cut: int, known: bool = False, seed: int = 0, seconds: float = SECONDS
) -> tuple[np.ndarray, list[Guess], float]:
    """(base word, guesses, a limit of their share of errors) at a contiguous cut; UnknownError where nothing grows.

    known: the token at the query stays as it is. seconds: about what it may take.
    """
    domain = task.domain(n)
    if any(isinstance(a, PointerSets) for a in domain.alphabets):
        return signs(task, n, cut, seed)
    need(isinstance(task.outputs(), Labels), "codes are searched for labels")
    need(not domain.lengths and domain.reals is None, "codes are searched for words of one length")
    need(not known or len(task.queries(n)) == 1, "one position must be scored")
    need(any(q >= cut for q in task.queries(n)), "nothing is scored after the cut")
    rng = child(seed, "codes", task.name, n, cut)
    affordable, deadline = answers_in(task, n, seconds), time.process_time() + seconds
    best: Growth | None = None
    tried: list[Part] = []
    left, bases = affordable, iter(())
    while left > 0 and time.process_time() < deadline and (best is None or not best.full()):
        base = next(bases, None)
        if base is None:
            if best is not None and not best.code:
                break
            bases = iter(_bases(task, n, rng))
            continue
        part = _part(best, tried)
        tried.append(part)
        growth = Growth(task, n, cut, known, base, rng, affordable // BASES, deadline, part)
        growth.grow()
        growth.prune()
        left -= max(1, affordable // BASES - growth.budget)
        if best is None or len(growth.code) > len(best.code):
            best = growth
    assert best is not None
    need(bool(best.code), "no bit of the words that were tried can be guessed; that says nothing about the task")
    guesses = best.guesses()
    return best.base, guesses, expected(task, n, best.base, guesses, rng, affordable)


def _part(best: Growth | None, tried: list[Part]) -> Part:
    """All positions at first; then the parts of which the best code uses most, in turn."""
    if best is None or not best.code:
        return 1, 0

    def density(part: Part) -> float:
        places = [p for p in best.varied if p % part[0] == part[1]]
        return sum(p in best.code for p in places) / max(1, len(places))

    return min(((1, 0), *PARTS), key=lambda part: (tried.count(part), -density(part)))


def _bases(task: Task, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Words that are inputs: constant ones, and random ones."""
    domain = task.domain(n)
    alphabets = [np.asarray(a) for a in domain.alphabets]
    ranks = [0, 1, *rng.integers(0, max(map(len, alphabets)), BASES).tolist()]
    words = [np.array([a[min(rank, len(a) - 1)] for a in alphabets]) for rank in ranks]
    legal = [word for word in words if domain.constraint.holds(word[None])[0]][: BASES // 2]
    return [*legal, *task.sample(n, BASES - len(legal), rng)[0]]


def signs(task: Task, n: int, cut: int, seed: int = 0) -> tuple[np.ndarray, list[Guess], float]:
    """A code of signs for answers that are averages: Bob's last token points at sets of which one sign decides."""
    domain, query = task.domain(n), task.queries(n)[-1]
    sets = domain.alphabets[query]
    need(isinstance(sets, PointerSets) and query >= cut and domain.reals is not None, "signs need pointers and reals")
    assert isinstance(sets, PointerSets) and domain.reals is not None
    rng = child(seed, "signs", task.name, n, cut)
    if len(sets) <= MOST_SETS:
        pool = np.array(list(combinations(range(sets.n), sets.size)))
    else:
        pool = np.sort(rng.random((MOST_SETS, sets.n)).argsort(axis=1)[:, : sets.size], axis=1)
    trials, base = 64, np.tile(np.arange(sets.size), (domain.positions, 1))
    hers = rng.integers(0, 2, (trials, cut)) * 2 - 1
    reals = np.zeros((trials, domain.positions, domain.reals.dim))
    reals[:, :cut, 0] = hers
    best: dict[int, tuple[float, int]] = {}
    for row, pointers in enumerate(pool):
        tokens = np.tile(base, (trials, 1, 1))
        tokens[:, query] = pointers
        shown = task.answer(tokens, reals)[:, -1, 0]
        for k in pointers[pointers < cut].tolist():
            clear = float((shown * hers[:, k]).min())
            if clear > task.outputs().eps and clear > best.get(k, (0.0, 0))[0]:  # type: ignore[union-attr]
                best[k] = (clear, row)
    need(bool(best), "no sign decides an answer; that says nothing about the task")
    guesses = [
        Guess(k, -1, 1, ((query, tuple(pool[row].tolist())),), query, 0.0) for k, (_, row) in sorted(best.items())
    ]
    return base, guesses, 0.0
