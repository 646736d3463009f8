"""Certificates of kind `decoding`: bits that are guessed from the answers, by a given code or by one that is searched.

The search takes pairs of symbols for Alice's positions and words of Bob's from a pool: constant words, constant words
with one change, and random ones; it keeps the bits that some word, answer and pair decode best. That a search finds
little says nothing about the task.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from separatrix.cannot.bound import below, certificate, need
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.guarantee import statistical
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.kernel.decoding import entropy, upper

DELTA = 1e-9
SAMPLES = 100_000
MOST_SYMBOLS = 2**26  # given to the task in one round of a search
SECONDS = 20.0  # what a search may take, by the time that a few answers take


@dataclass(frozen=True, slots=True)
class Guess:
    """One bit: Alice's position with her symbols for 0 and 1, Bob's changes, his query and the answer that means 1."""

    position: int
    low: int
    high: int
    changes: tuple[tuple[int, int | tuple[int, ...]], ...]
    query: int
    value: float


def decoding_certificate(
    task: Task,
    n: int,
    base: np.ndarray,
    guesses: list[Guess],
    cut: int | None = None,
    errors: float = 0.0,
    samples: int = SAMPLES,
    delta: float = DELTA,
) -> Certificate:
    """The claim that these guesses carry d (1 - h(e)) bits; `errors` is the share of wrong guesses to be expected."""
    need(bool(guesses), "no bit can be guessed: this says nothing about the task")
    d, real = len(guesses), not isinstance(task.outputs(), Labels)
    guesses = sorted(guesses, key=lambda guess: guess.position)
    wrong = math.ceil(samples * errors + 6 * math.sqrt(samples * errors))
    e = upper(min(wrong, samples), samples, delta)
    amount = below(d * (1.0 - entropy(e))) if e < 0.5 else 0.0
    changes = [(k, place, symbol) for k, guess in enumerate(guesses) for place, symbol in guess.changes]
    symbols = np.array([symbol for *_, symbol in changes], dtype=np.int64).reshape(len(changes), *base.shape[1:])
    state = cut is not None
    evidence: dict[str, object] = {"samples": samples, "delta": float(delta).hex()}
    made = certificate(
        task,
        n,
        "decoding",
        "rnn" if state else "transformer",
        "state" if state else "one-way",
        max(0.0, amount),
        evidence | ({"cut": cut} if state else {}),
        positions=np.array([g.position for g in guesses], dtype=np.int64),
        low=np.array([g.low for g in guesses], dtype=np.int64),
        high=np.array([g.high for g in guesses], dtype=np.int64),
        base=base.astype(np.int64),
        changes=np.array([(k, place) for k, place, _ in changes], dtype=np.int64).reshape(-1, 2),
        symbols=symbols,
        queries=np.array([g.query for g in guesses], dtype=np.int64),
        values=np.array([g.value for g in guesses], dtype=np.float64 if real else np.int64),
    )
    return replace(made, guarantee=statistical(delta))


def search(
    task: Task, n: int, cut: int, seed: int = 0, rounds: int = 4, known: bool = False, seconds: float = SECONDS
) -> tuple[np.ndarray, list[Guess], float]:
    """(base word, guesses, a limit of their share of errors) at a contiguous cut, for labels of single symbols.

    known: the token at the query stays as it is.
    """
    domain, outputs = task.domain(n), task.outputs()
    need(isinstance(outputs, Labels), "codes are searched for labels")
    need(not any(isinstance(a, PointerSets) for a in domain.alphabets), "codes are searched for single symbols")
    rng = child(seed, "decoding", task.name, n, cut)
    alphabets = [np.asarray(a) for a in domain.alphabets]
    if known:
        need(len(task.queries(n)) == 1, "one position must be scored")
        alphabets[task.queries(n)[0]] = alphabets[task.queries(n)[0]][:1]
    used = np.array([j for j in range(cut) if len(alphabets[j]) > 1], dtype=np.int64)
    queries = [q for q in task.queries(n) if q >= cut]
    need(bool(len(used) and queries), "no position of Alice's varies, or nothing is scored after the cut")
    affordable = answers_in(task, n, seconds / 2)
    pool = _pool(alphabets[cut:], rng, max(8, min(affordable, 16 * MOST_SYMBOLS // domain.positions) // 48))
    filler = np.array([a[0] for a in alphabets])
    low = np.array([a[0] for a in alphabets])
    high = np.array([a[-1] for a in alphabets])
    best: dict[int, tuple[float, Guess]] = {}
    trials = int(min(256, max(48, min(affordable, MOST_SYMBOLS // domain.positions) // len(pool))))
    rounds = max(1, min(rounds, affordable // (len(pool) * trials)))
    for turn in range(rounds):
        scores = _scores(task, n, filler, used, low, high, pool, cut, trials, rng)
        for k, position in enumerate(used.tolist()):
            error, word, query, value = scores[k]
            changes = tuple((cut + j, int(s)) for j, s in enumerate(pool[word].tolist()) if s != filler[cut + j])
            guess = Guess(position, int(low[position]), int(high[position]), changes, query, float(value))
            if position not in best or error < best[position][0]:
                best[position] = (error, guess)
        good = [p for p in used.tolist() if best[p][0] < 0.1]
        hopeless = turn > 0 and min(error for error, _ in best.values()) > 0.3
        if turn == rounds - 1 or len(good) == len(used) or hopeless:
            break
        for position in used.tolist():  # keep what works, try other symbols elsewhere
            if best[position][0] < 0.1:
                low[position], high[position] = best[position][1].low, best[position][1].high
            else:
                pair = rng.choice(alphabets[position], 2, replace=False)
                low[position], high[position] = pair
    chosen = sorted(best.values(), key=lambda pair: pair[0])
    kept = max(range(len(chosen) + 1), key=lambda d: worth([error for error, _ in chosen[:d]]))
    guesses = [guess for _, guess in chosen[:kept]]
    need(bool(guesses), "no bit of the words that were tried can be guessed; that says nothing about the task")
    return filler, guesses, expected(task, n, filler, guesses, rng, affordable)


def answers_in(task: Task, n: int, seconds: float) -> int:
    """About how many inputs the task answers in so many seconds, at least 2^12."""
    tokens, _ = task.sample(n, 64, child(0, "speed"))
    spent = []
    for _ in range(3):  # the first call may load or compile something
        start = time.process_time()
        task.answer(tokens)
        spent.append(time.process_time() - start)
        if spent[-1] > seconds / 100:
            break
    return int(min(2**24, max(2**12, 64 * seconds / max(1e-6, min(spent)))))


def worth(errors: list[float]) -> float:
    """Bits of a code with guesses of these errors, somewhat less than they say."""
    mean = sum(errors) / len(errors) if errors else 0.5
    return len(errors) * (1 - entropy(min(mean + 0.02, 0.5)))


def _pool(alphabets: list[np.ndarray], rng: np.random.Generator, most: int) -> np.ndarray:
    """Bob's words: all of them where they are few; else constant, with one change, and random ones."""
    count = math.prod(map(len, alphabets))
    if count <= most:
        grids = np.meshgrid(*alphabets, indexing="ij")
        return np.stack([grid.reshape(-1) for grid in grids], axis=1)
    words = []
    for at in range(min(2, max(map(len, alphabets)))):
        word = np.array([a[min(at, len(a) - 1)] for a in alphabets])
        words.append(word)
        for j, alphabet in enumerate(alphabets):
            for symbol in alphabet[alphabet != word[j]].tolist()[: max(1, most // (4 * len(alphabets)))]:
                words.append(np.where(np.arange(len(word)) == j, symbol, word))
    chosen = np.array(words)
    if len(chosen) > most:
        chosen = chosen[np.sort(rng.choice(len(chosen), most, replace=False))]
    extra = np.stack([rng.choice(a, max(4, most // 8)) for a in alphabets], axis=1)
    return np.unique(np.concatenate([chosen, extra]), axis=0)


def _scores(
    task: Task,
    n: int,
    filler: np.ndarray,
    used: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    pool: np.ndarray,
    cut: int,
    trials: int,
    rng: np.random.Generator,
) -> list[tuple[float, int, int, int]]:
    """For each used position: (error, word of the pool, query, value) of the best guess on common random words."""
    positions = len(filler)
    queries = [i for i, q in enumerate(task.queries(n)) if q >= cut]
    bits = rng.integers(0, 2, (trials, len(used)))
    prefix = np.tile(filler[:cut], (trials, 1))
    prefix[:, used] = np.where(bits, high[used], low[used])
    best = [(1.0, 0, 0, 0)] * len(used)
    step = max(1, MOST_SYMBOLS // 8 // (trials * positions))
    for start in range(0, len(pool), step):
        words = pool[start : start + step]
        tokens = np.concatenate([np.repeat(prefix, len(words), axis=0), np.tile(words, (trials, 1))], axis=1)
        answers = task.answer(tokens)[:, queries].reshape(trials, len(words), len(queries))
        for value in np.unique(answers).tolist():
            hit = (answers == value).reshape(trials, -1).astype(np.float32)
            signs = 2.0 * bits.astype(np.float32) - 1.0
            share = 0.5 - (signs.T @ (2 * hit - 1)) / (2 * trials)  # (used, words x queries) wrong guesses
            at = share.argmin(axis=1)
            for k, place in enumerate(at.tolist()):
                if share[k, place] < best[k][0]:
                    word, column = divmod(place, len(queries))
                    query = task.queries(n)[queries[column]]
                    best[k] = (float(share[k, place]), start + word, query, value)
    return best


def expected(
    task: Task, n: int, base: np.ndarray, guesses: list[Guess], rng: np.random.Generator, affordable: int = 4000
) -> float:
    """A limit of the share of wrong guesses that a fresh sample will show."""
    tried = min(4000, affordable)
    wrong = round(_error(task, n, base, guesses, rng, tried) * tried)
    return upper(wrong, tried, 1e-4) if wrong else 0.0


def _error(task: Task, n: int, base: np.ndarray, guesses: list[Guess], rng: np.random.Generator, size: int) -> float:
    """The share of wrong guesses of a code, on words of its own."""
    d = len(guesses)
    bits, asked = rng.integers(0, 2, (size, d)), rng.integers(0, d, size)
    places = np.array([g.position for g in guesses])
    tokens = np.tile(base, (size, 1))
    tokens[:, places] = np.where(bits, [g.high for g in guesses], [g.low for g in guesses])
    for row, k in enumerate(asked.tolist()):
        for place, symbol in guesses[k].changes:
            tokens[row, place] = symbol
    place = {query: column for column, query in enumerate(task.queries(n))}
    column = [place[guesses[k].query] for k in asked.tolist()]
    answers = task.answer(tokens)[np.arange(size), column]
    values = np.array([g.value for g in guesses])[asked]
    return float(np.mean((answers == values) != bits[np.arange(size), asked]))
