"""Descent with kept states: margins are those of a whole pass, only what is run is counted, small domains end."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from models.recurrent_models import random_recurrent
from models.test_recurrent import modular_counter
from separatrix.can.witnesses import index_lookup_quadratic
from separatrix.core.recurrent import Cell, DiagonalSsm, Gru, Lstm
from separatrix.models import evaluate
from separatrix.tasks import make_task
from separatrix.verify.refuters import refute
from separatrix.verify.refuters.descent import Words
from separatrix.verify.refuters.search import Found, Search, lead


@pytest.mark.parametrize("cell", [Gru(4), Lstm(4), DiagonalSsm(3, 4)], ids=lambda c: c.kind)
def test_kept_states_give_the_margins_of_a_whole_pass(cell: Cell) -> None:
    """Words whose margin is negative end a search, so they are counted as far as they were run and then left out."""
    task, n = make_task("dyck"), 12
    model = random_recurrent((cell,), 3, vocabulary=5, outputs=2)
    search = Search(model, task, n, 1e6, np.random.default_rng(0), "balanced")
    words, ran = Words(search), 0
    for _ in range(60):
        with contextlib.suppress(Found):
            words.run(search.sample(1), None, 0)
    assert 0 < search.spent <= 60
    for _ in range(20):
        for states, place, word in words.neighbours():
            before = search.spent
            new = word.tobytes() not in words.known
            try:
                words.run(word[None], states, place)
            except Found:
                continue
            ran += 1
            assert search.spent - before == pytest.approx((1 - place / search.positions) * new)
    assert ran > 20 and len(words.words) > 20
    logits = evaluate(model, words.words, queries=search.queries)
    assert np.allclose(words.margins, lead(logits, task.answer(words.words)).min(axis=1), atol=1e-9)


def test_a_small_domain_ends() -> None:
    model = modular_counter(2)
    result = refute(model, make_task("parity"), 4, "descent", 1e6)
    assert result.verdict == "unknown" and "no new words among 16" in result.sentence


def test_only_recurrent_models() -> None:
    task = make_task("index-lookup", {"symbols": 3})
    result = refute(index_lookup_quadratic.build(task, 6), task, 6, "descent", 100)
    assert result.verdict == "unknown" and "recurrent" in result.sentence
