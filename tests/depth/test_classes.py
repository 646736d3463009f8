"""The class table, and what `ask` says of a task's class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from separatrix.cli.app import app
from separatrix.core.families import FAMILIES
from separatrix.depth.classes import CONSTANT_DEPTH, TABLE, notes, placement
from separatrix.tasks import make_task, registry
from separatrix.tasks.formula_value import ArithmeticFormula, BooleanFormula
from separatrix.tasks.word_problem import WordProblem, elements, products


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout


def test_every_row_has_its_source() -> None:
    assert len(TABLE) == 20 and len({row.subject for row in TABLE}) == 20
    assert all(row.source and row.statement and row.read in ("abstract", "statement", "recalled") for row in TABLE)
    code, text = run("list", "classes")
    assert code == 0 and text.count("\n") == 60 and "RoPE transformers" in text
    assert set(CONSTANT_DEPTH) <= set(FAMILIES)


@pytest.mark.parametrize("group", ["z2", "z6", "s3", "a4", "s4", "a5", "s5"])
def test_word_problems_are_complete_exactly_when_the_group_is_not_solvable(group: str) -> None:
    """Solvability by the derived series, from the multiplication table."""
    table, inside = products(group), set(range(len(elements(group))))
    while True:
        inverse = {a: int((table[a] == 0).argmax()) for a in inside}
        made = {int(table[table[a, b], table[inverse[a], inverse[b]]]) for a in inside for b in inside}
        while (more := {int(table[a, b]) for a in made for b in made} | made) != made:
            made = more
        if made == inside or len(made) == 1:
            break
        inside = made
    found = placement(WordProblem(group))
    assert found is not None and found.complete == (len(made) > 1) == bool(found.unless)


def test_every_ring_holds_boolean_formulas() -> None:
    """The hardness of arithmetic formulas: in each algebra an AND and an OR, or a NOT, of two of its elements."""
    for name in ("gf2", "z3", "z6", "or-and", "min-plus", "matrix2-gf2"):
        ops = [table for _, table in ArithmeticFormula(name).algebra().binary]
        size, found = len(ops[0]), False
        for zero in range(size):
            for one in range(size):
                ands = [t for t in ops if [t[a, b] for a in (zero, one) for b in (zero, one)] == [zero] * 3 + [one]]
                ors = [t for t in ops if [t[a, b] for a in (zero, one) for b in (zero, one)] == [zero] + [one] * 3]
                flips = [1 for t in ops for s in ops for c in range(size) for e in range(size)
                         if t[c, s[e, zero]] == one and t[c, s[e, one]] == zero]  # fmt: skip
                found |= zero != one and bool(ands) and bool(ors or flips)
        assert found, name


def test_ask_says_the_class_in_words(tmp_path: Path) -> None:
    for arguments in (("boolean-formula", "--n", "33"), ("arithmetic-formula", "--n", "33", "--set", "ring=z6"),
                      ("word-problem", "--n", "32")):  # fmt: skip
        code, text = run("ask", *arguments, "-o", str(tmp_path / "a"))
        assert code == 3 and "NC1-complete, so outside TC0 unless TC0 = NC1" in text
        assert "none computes it for every n unless TC0 = NC1; this rules out no fixed n" in text
    code, text = run("ask", "word-problem", "--n", "32", "--set", "group=s4", "--json", "-o", str(tmp_path / "b"))
    lines = json.loads(text)["complexity"]
    assert len(lines) == 1 and "in ACC0, not in AC0" in lines[0]
    code, text = run("ask", "boolean-formula", "--n", "33", "--arch", "rnn", "-o", str(tmp_path / "c"))
    assert "NC1-complete" in text and "models of constant depth" not in text


def test_placements_of_the_other_tasks() -> None:
    assert str(placement(make_task("majority"))).startswith("TC0-complete, not in AC0")
    assert str(placement(make_task("index-lookup"))) == "in AC0 (a multiplexer)"
    assert placement(make_task("sparse-averaging")) is None and notes(make_task("sparse-averaging"), "mlp") == ()
    for _, kind in registry.items():
        found = placement(kind())
        assert found is None or bool(found.unless) == (found.upper == "NC1" and found.complete)
    assert placement(BooleanFormula("plof")) == placement(BooleanFormula())
