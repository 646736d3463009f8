"""separatrix program: compiled weights against the interpreter, and its errors in one line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from separatrix.can.programs.compare import RANGE, compiled, deviation, programs
from separatrix.cli import main
from separatrix.models import Model


@pytest.fixture
def separatrix(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`separatrix(words)`: exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["separatrix", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", [name for name in programs if name != "route"])
def test_every_library_program_is_compared_at_every_scale(separatrix: Any, name: str) -> None:
    code, out, _ = separatrix("program", name, "--n", "5", "--json")
    said = json.loads(out)
    assert code == 0 and [row["scale"] for row in said["scales"]] == list(range(1, 11))
    assert said["relative"]["float64"] < 1e-12 and said["relative"]["float32"] < 1e-5
    assert said["size"]["layers"] == said["rounds"]
    answers = [row["answer"] for row in said["scales"]]
    assert answers[9] > 5 * answers[0] > 0  # the inputs do grow


@pytest.mark.parametrize(("backend", "layers", "single"), [("sortnet", 6 + 1, 1e-5), ("sortnet-packed", 6 + 2, 2e-4)])
def test_sorting_networks_deliver_by_data(separatrix: Any, backend: str, layers: int, single: float) -> None:
    """Packed words are longer than their payload, by the destination: float32 tells."""
    code, out, _ = separatrix("program", "route", "--n", "8", "--backend", backend, "--json")
    said = json.loads(out)
    assert code == 0 and said["size"]["layers"] == layers and len(said["scales"]) == 10
    assert said["relative"]["float64"] < 1e-12 and said["relative"]["float32"] < single


def test_benes_takes_its_layers_and_agrees(separatrix: Any) -> None:
    code, out, _ = separatrix("program", "least", "--n", "8", "--backend", "benes", "--scale", "3", "--json")
    said = json.loads(out)
    assert code == 0 and said["rounds"] == 3 and said["size"]["layers"] == 3 * 6
    assert said["relative"]["float64"] < 1e-12 and said["relative"]["float32"] < 1e-5


@pytest.mark.parametrize(("name", "layers"), [("prefix-sums", 3 * 6), ("sort-in-turn", 6 * 6 + 6)])
def test_benes_in_the_weights_has_no_extra_words_and_agrees(separatrix: Any, name: str, layers: int) -> None:
    code, out, _ = separatrix("program", name, "--n", "8", "--backend", "benes-weights", "--json")
    said = json.loads(out)
    assert code == 0 and said["size"]["layers"] == layers and said["size"]["heads"] == 2
    assert said["relative"]["float64"] < 1e-12 and said["relative"]["float32"] < 1e-5


def test_damaged_weights_are_seen() -> None:
    made = compiled("sort", 6, "direct", 1)
    tensors = dict(made.model.tensors) | {"layers.2.key": np.zeros_like(made.model.tensors["layers.2.key"])}
    broken = type(made)(made.program, Model(made.model.arch, tensors), made.extra)
    assert deviation(made, 1.0, 16, 0)[0] < 1e-12 and deviation(broken, 1.0, 16, 0)[0] > 0.1
    assert deviation(made, 1.0, 16, 0)[1] <= RANGE


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("srt", "--n", "4"), "did you mean sort"),
        (("sort", "--n", "65"), "--n 65: take 2 to 64"),
        (("sort", "--n", "8", "--backend", "benes"), "take --backend direct"),
        (("least", "--n", "6", "--backend", "benes"), "power of two"),
        (("total", "--n", "8", "--backend", "benes-weights"), "reads some node twice"),
        (("sort", "--n", "8", "--backend", "none"), "--backend none"),
        (("route", "--n", "8"), "take --backend sortnet or sortnet-packed"),
        (("route", "--n", "8", "--backend", "benes"), "take --backend sortnet or sortnet-packed"),
        (("sort", "--n", "8", "--backend", "sortnet"), "take --backend direct"),
        (("sort", "--n", "8", "--scale", "0"), "--scale 0"),
        (("sort", "--n", "8", "--seed", "-1"), "--seed -1"),
    ],
)
def test_errors_are_one_line_with_the_mend(separatrix: Any, words: tuple[str, ...], hint: str) -> None:
    code, out, err = separatrix("program", *words)
    assert (code, out) == (2, "") and hint in err and err.count("\n") == 1
