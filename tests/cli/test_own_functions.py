"""Functions of the user's own: bounds, certificates that need the file, and every error in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from separatrix.cli import main
from separatrix.core.errors import InputError
from separatrix.tasks import registry
from separatrix.tasks.own import load, own_task

SOURCE = '''
import numpy as np
from separatrix.tasks.dyck import Dyck  # not a function of this file

def lookup(x):
    """The symbol at the place that the last one names."""
    return x[np.arange(len(x)), x[:, -1] % x.shape[1]]

def repeats(x):
    return int(len(set(x[0].tolist())) < x.shape[1])

def one_row(x):
    if len(x) > 1:
        raise ValueError("one at a time")
    return [x[0, 0] ^ x[0, -1]]

def noisy(x):
    return np.random.default_rng().integers(0, 10**6, len(x))

def broken(x):
    return 1 // 0

def real(x):
    return x.mean(axis=1)

def wide(x):
    return x

def large(x):
    return x[:, 0] + 2**40

def meets(x):
    h = x.shape[1] // 2
    return (x[:, :h] & x[:, h:]).any(axis=1)

def same(x):
    h = x.shape[1] // 2
    return (x[:, :h] == x[:, h:]).all(axis=1)

def odd(x):
    h = x.shape[1] // 2
    return (x[:, :h] & x[:, h:]).sum(axis=1) % 2

def greater(x):
    h = x.shape[1] // 2
    d = x[:, :h].astype(int) - x[:, h:]
    return d[np.arange(len(x)), (d != 0).argmax(axis=1)] > 0

def nested(word):
    """One word, symbol by symbol: brackets ( and ), well nested."""
    open_ = 0
    for symbol in word:
        open_ += 1 if symbol == 0 else -1
        if open_ < 0:
            return False
    return open_ == 0

def forgets(word):
    if word[0] == 1:
        return 1

def constant(x):
    return np.zeros(len(x), dtype=bool)

def _private(x):
    return x[:, 0]
'''


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    """A file of own functions; what it registers is taken back afterwards."""
    before = dict(registry._entries)
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    yield path
    registry._entries.clear()
    registry._entries.update(before)


@pytest.fixture
def bound(mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`bound(function, ...)` runs `separatrix bound --load mine.py:function ...`: code, JSON or stderr."""

    def run(*words: str) -> tuple[int, Any]:
        monkeypatch.chdir(mine.parent)
        monkeypatch.setattr("sys.argv", ["separatrix", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        code = int(caught.value.code or 0)
        return code, (json.loads(out) if out.startswith("{") else err)

    return run


def of(name: str, alphabet: int, n: int, arch: str = "rnn", *more: str) -> tuple[str, ...]:
    words = ("bound", "--load", f"mine.py:{name}", "--alphabet", str(alphabet), "--n", str(n), "--arch", arch)
    words = (*words, "--time", "6")
    return (*words, *more, "--json", "-o", "out")


def test_small_functions_are_enumerated_and_checked_with_their_file(bound: Any, mine: Path) -> None:
    code, answer = bound(*of("lookup", 2, 6))
    assert code == 0 and answer["guarantee"] == "proved" and answer["bits"] == 2  # it can name two places
    code, answer = bound("check", "out", "--load", "mine.py", "--json")
    assert code == 0 and answer["accepted"]
    mine.write_text(SOURCE.replace("% x.shape[1]]", "% 3]"))
    for name in [n for n in registry if n.startswith(("own-", "circuit-"))]:
        registry._entries.pop(name)
    code, answer = bound("check", "out", "--load", "mine.py", "--json")
    assert code == 1 and "not defined as when" in answer["certificates"][0]["sentence"]


def test_a_certificate_without_its_file_is_not_accepted(bound: Any) -> None:
    bound(*of("constant", 2, 4))
    bound(*of("lookup", 2, 5))
    for name in [n for n in registry if n.startswith(("own-", "circuit-"))]:
        registry._entries.pop(name)
    code, answer = bound("check", "out", "--json")
    assert code == 2 and "unknown task" in answer["certificates"][0]["sentence"]


@pytest.mark.parametrize(
    ("name", "alphabet", "n", "least"),
    [("repeats", 5, 4, 3.45), ("one_row", 4, 4, 2.0), ("nested", 2, 8, math.log2(4))],
)
def test_functions_that_are_not_vectorised_are_looped(
    bound: Any, name: str, alphabet: int, n: int, least: float
) -> None:
    code, answer = bound(*of(name, alphabet, n))
    assert code == 0 and answer["guarantee"] == "proved" and answer["bits"] >= least


def test_long_inputs_get_statistical_bounds(bound: Any) -> None:
    code, answer = bound(*of("lookup", 32, 32))
    assert code == 0 and answer["guarantee"] == "statistical(1e-09)" and 30.5 < answer["bits"] < 31
    assert bound("check", "out", "--load", "mine.py", "--json")[0] == 0


def test_one_attention_layer(bound: Any) -> None:
    code, answer = bound(*of("one_row", 2, 5, "transformer"))
    assert code == 0 and {b["measure"] for b in answer["lower_bounds"]} == {"one-way", "exchange"}
    assert bound("check", "out", "--load", "mine.py", "--json")[0] == 0


@pytest.mark.parametrize("name", ["meets", "same", "odd"])
def test_gadgets_of_functions_and_of_circuits(bound: Any, name: str) -> None:
    """What samples say is `checked`; a circuit's gadget is proved, and rules sizes out."""
    code, answer = bound(*of(name, 2, 64))
    gadgets = {b["bits"]: b["guarantee"] for b in answer["lower_bounds"] if b["name"].startswith("gadget")}
    assert code == 0 and gadgets == {32.0: "checked"} and answer["bits"] > 31.8
    code, answer = bound(*of(name, 2, 64, "rnn", "--circuit"))
    assert code == 0 and (answer["bits"], answer["guarantee"]) == (32.0, "proved")
    assert bound("check", "out", "--load", "mine.py", "--json")[0] == 0
    words = ("ask", "--load", f"mine.py:{name}", "--alphabet", "2", "--n", "64", "--arch", "rnn", "--circuit", "--json")
    assert bound(*words, "--state-bits", "31")[1]["verdict"] == "cannot"
    code, answer = bound(*words, "--state-bits", "32")
    assert code == 3 and answer["verdict"] == "unknown" and answer["notes"]


def test_birthdays_and_patterns_where_there_is_no_gadget(bound: Any) -> None:
    code, answer = bound(*of("greater", 2, 64))
    floors = {b["name"]: (b["bits"], b["guarantee"]) for b in answer["lower_bounds"]}
    assert code == 0 and answer["guarantee"].startswith("statistical") and 8 < answer["bits"] < 32
    assert floors["pattern"] == (32.0, "conjectured")


def test_hints_are_checked(bound: Any, mine: Path) -> None:
    half = [[i] for i in range(4)]
    gadget = {
        "join": "xor", "value": 1, "base": [0] * 8, "hers": half, "his": [[i + 4] for i in range(4)],
        "her_words": [[0], [1]], "his_words": [[0], [1]], "table": [[0, 0], [0, 1]], "cut": 4,
    }  # fmt: skip
    hint = mine.with_name("hint.json")
    hint.write_text(json.dumps({"gadget": gadget}))
    code, answer = bound(*of("odd", 2, 8, "rnn", "--hint", str(hint)))
    assert code == 0 and answer["bits"] == 4.0 and any(b["name"] == "hint" for b in answer["lower_bounds"])
    for change, message in (
        ({"join": "and"}, "does not accept"), ({"table": [[0, 1], [1, 1]]}, "does not accept"), ({"base": 3}, "base"),
        ({"hers": [0, 1]}, "lists of lists"),
    ):  # fmt: skip
        hint.write_text(json.dumps({"gadget": gadget | change}))
        code, err = bound(*of("odd", 2, 8, "rnn", "--hint", str(hint)))
        assert code == 2 and message in err, err
    bits = [{"position": k, "low": 0, "high": 1, "changes": {str(k + 4): 1}, "query": 7, "value": 1} for k in range(4)]
    hint.write_text(json.dumps({"code": {"cut": 4, "base": [0] * 8, "bits": bits}}))
    code, answer = bound(*of("meets", 2, 8, "rnn", "--hint", str(hint)))
    assert code == 0 and any(b["name"] == "hint" and b["bits"] > 3.9 for b in answer["lower_bounds"])
    for text, message in (("[]", "one object"), ('{"code": {"cut": 4}}', "'base' is missing")):
        hint.write_text(text)
        code, err = bound(*of("meets", 2, 8, "rnn", "--hint", str(hint)))
        assert code == 2 and message in err


def test_nothing_found_says_nothing(bound: Any) -> None:
    code, answer = bound(*of("constant", 2, 30))
    assert code == 3 and answer["bits"] is None


@pytest.mark.parametrize(("words", "message"), [
    (of("noisy", 2, 5), "not deterministic"), (of("broken", 2, 5), "raised ZeroDivisionError"),
    (of("forgets", 2, 5), "given the word alone, it returned NoneType"), (of("broken", 2, 5), "of shape (1, 5); given"),
    (of("real", 2, 5), "whole numbers"), (of("wide", 2, 5), "returned shape (1, 5)"), (of("large", 2, 5), "beyond"),
    (of("absent", 2, 5), "defines no function absent; it has lookup"), (of("_private", 2, 5), "defines no function"),
    (of("lookup", 1, 5), "alphabet = 1"), (of("lookup", 2, 0), "n = 0"), (of("lookup", 2, 5, "mlp"), "not for mlp"),
    (of("lookup", 2, 5, "rnn", "--cut", "7"), "cut 7"),
    (("bound", "--n", "4", "--arch", "rnn"), "task name, or --load"),
    (("bound", "--load", "mine.py:lookup", "--n", "4", "--arch", "rnn"), "--alphabet K"),
    (("bound", "--load", "none.py:f", "--alphabet", "2", "--n", "4", "--arch", "rnn"), "No such file"),
    (("bound", "--load", "mine.py", "--n", "4", "--arch", "rnn"), "FILE:NAME"),
    (of("lookup", 2, 5, "rnn", "--circuit"), "as a circuit"), (of("greater", 2, 6, "rnn", "--circuit"), "as a circuit"),
    (of("wide", 2, 5, "rnn", "--circuit"), "one bit a word"), (of("repeats", 5, 4, "rnn", "--circuit"), "as a circuit"),
    (of("lookup", 2, 5, "rnn", "--time", "0"), "--time 0"),
    (("bound", "equality", "--load", "mine.py:lookup", "--n", "4", "--arch", "rnn"), "either the task"),
], ids=str)  # fmt: skip
def test_errors_are_one_line(bound: Any, words: tuple[str, ...], message: str) -> None:
    code, err = bound(*words)
    assert code == 2 and message in err and err.strip().count("\n") == 0 and "Traceback" not in err


def test_files_that_do_not_run_and_names_twice(mine: Path) -> None:
    assert "own-lookup" in load(mine) and load(mine) == load(mine)
    other = mine.with_name("other.py")
    other.write_text("def lookup(x):\n    return x[:, 0]\n")
    with pytest.raises(InputError, match="already defined lookup"):
        load(other)
    other.write_text("import no_such_module\n")
    with pytest.raises(InputError, match="ModuleNotFoundError"):
        load(other)
    task = own_task(f"{mine}:lookup", 3)
    assert task.show(np.array([0, 1])) == "0 1" and task.parameters() == {"alphabet": 3}
    assert task.answer(np.zeros((0, 4), dtype=np.int64)).shape == (0, 1)


def test_too_large_a_matrix_names_its_size(bound: Any) -> None:
    code, err = bound("bound", "equality", "--n", "60", "--arch", "rnn", "--matrix")
    assert code == 3 and "entries" in err
