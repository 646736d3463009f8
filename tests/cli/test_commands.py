"""The commands as a user runs them: verdicts, exit codes, JSON keys, errors in one line."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from separatrix.cli import main


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `separatrix *words`."""
    monkeypatch.setattr("sys.argv", ["separatrix", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    code = caught.value.code
    return 0 if code is None else int(code), out, err


@pytest.fixture
def separatrix(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`separatrix(words)` runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: run(capsys, monkeypatch, *words)


@pytest.mark.parametrize(
    ("words", "verdict", "code"),
    [
        (("index-lookup", "--n", "64", "--arch", "transformer", "--layers", "1"), "can", 0),
        (("index-lookup", "--n", "1024", "--arch", "rnn", "--state-bits", "512"), "cannot", 1),
        (("index-lookup", "--n", "64", "--arch", "rnn", "--state-bits", "16"), "cannot", 1),
        (("index-lookup", "--n", "64", "--arch", "lstm", "--state-bits", "383"), "cannot", 1),
        (("index-lookup", "--n", "64", "--arch", "rnn", "--state-bits", "384"), "can", 0),
        (("index-lookup", "--n", "64", "--arch", "gru", "--state-bits", "384"), "unknown", 3),
        (("dyck", "--n", "64", "--arch", "rnn", "--state-bits", "28"), "can", 0),
        (("equality", "--n", "64", "--arch", "ssm", "--state-bits", "34"), "can", 0),
        (("disjointness", "--n", "64", "--arch", "transformer", "--layers", "2"), "can", 0),
        (("match3", "--n", "16", "--modulus", "31", "--arch", "third-order"), "can", 0),
        (("index-lookup", "--n", "64", "--arch", "transformer", "--width", "2"), "unknown", 3),
        (("sparse-averaging", "--n", "128", "--q", "4", "--arch", "transformer", "--layers", "1"), "can", 0),
        (("sparse-averaging", "--n", "128", "--set", "q=4", "--arch", "rnn", "--state-bits", "16"), "cannot", 1),
        (("match2", "--n", "64", "--modulus", "97", "--arch", "transformer", "--layers", "1"), "can", 0),
        (("match2", "--n", "64", "--modulus", "97", "--arch", "rnn", "--state-bits", "16"), "cannot", 1),
    ],
)
def test_ask_gives_a_verdict_whose_certificates_pass(
    separatrix: Any, words: tuple[str, ...], verdict: str, code: int
) -> None:
    got, out, _ = separatrix("ask", *words, "--json")
    answer = json.loads(out)
    assert (got, answer["verdict"]) == (code, verdict)
    assert {"verdict", "witness", "size", "lower_bounds", "certificates", "seconds"} <= set(answer)
    assert (answer["witness"] is not None) == (verdict == "can")
    for bound in answer["lower_bounds"]:
        assert {"expression", "bits", "guarantee", "source", "vacuous", "certificate"} <= set(bound)
    if verdict != "unknown":
        assert answer["certificates"]
        assert separatrix("check", *answer["certificates"])[0] == 0


def test_build_certify_check_and_a_moved_folder(separatrix: Any, tmp_path: Path) -> None:
    assert separatrix("build", "index-lookup", "--n", "12", "--symbols", "4", "-o", "here")[0] == 0
    shutil.move(tmp_path / "here", tmp_path / "there")
    code, out, _ = separatrix("check", "there")
    assert code == 0 and "proved" in out and "trusted" in out
    code, out, _ = separatrix(
        "certify", "there", "--task", "index-lookup", "--n", "12", "--symbols", "4", "--semantics", "fp32", "--json"
    )
    assert code == 0 and json.loads(out)["verdict"] == "proved"


def test_a_changed_certificate_is_rejected_and_a_truncated_one_is_unusable(separatrix: Any, tmp_path: Path) -> None:
    separatrix("build", "index-lookup-quadratic", "--n", "8", "--symbols", "4", "-o", "m")
    path = tmp_path / "m" / "correct.cert.json"
    text = path.read_text()
    path.write_text(text.replace('"n": 8', '"n": 9'))
    code, out, err = separatrix("check", "m")
    assert code == 1 and "changed" in out and "Traceback" not in out + err
    path.write_text(text[: len(text) // 2])
    assert separatrix("check", "m")[0] == 2


def test_a_damaged_model_is_refuted_with_an_input(separatrix: Any, tmp_path: Path) -> None:
    from separatrix.models import Model, evaluate
    from separatrix.tasks import make_task

    separatrix("build", "index-lookup-quadratic", "--n", "8", "--symbols", "4", "-o", "m")
    model = Model.load(tmp_path / "m")
    tensors = dict(model.tensors)
    tensors["embed.position"] = tensors["embed.position"].copy()
    tensors["embed.position"][3] = tensors["embed.position"][4]
    Model(model.arch, tensors).save(tmp_path / "bad")
    code, out, _ = separatrix("certify", "bad", "--task", "index-lookup", "--n", "8", "--symbols", "4", "--json")
    answer = json.loads(out)
    assert (code, answer["verdict"]) == (1, "refuted")
    tokens = np.array([answer["counterexample"]["tokens"]])
    task = make_task("index-lookup", {"symbols": 4})
    logits = evaluate(Model(model.arch, tensors), tokens, queries=[8])[0, 0]
    label = task.answer(tokens)[0, 0]
    assert np.delete(logits, label).max() >= logits[label]
    assert separatrix("check", answer["certificate"])[0] == 0


@pytest.mark.parametrize(("witness", "words"), [("sorting-program", 1), ("routing-sortnet", 2)])
def test_the_failing_input_of_a_positional_model_is_shown(
    separatrix: Any, tmp_path: Path, witness: str, words: int
) -> None:
    from separatrix.models import Model, evaluate
    from separatrix.tasks import make_task

    task, n = make_task(witness.split("-")[0], {}), 5
    assert separatrix("build", witness, "--n", str(n), "-o", "m")[0] == 0
    model = Model.load(tmp_path / "m")
    bad = Model(model.arch, {**model.tensors, "readout.weight": 1.5 * model.tensors["readout.weight"]})
    bad.save(tmp_path / "bad")
    code, out, _ = separatrix("certify", "bad", "--task", task.name, "--n", str(n), "--json")
    found = json.loads(out)["counterexample"]
    x = np.array(found["tokens"], dtype=float).reshape(1, n, words)
    none = np.zeros((1, n), dtype=np.int64)
    assert code == 1 and found["shown"] == task.show(none[0], x[0])
    assert abs(evaluate(bad, none, x) - task.answer(none, x))[0, found["query"], 0] > 1e-6


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("ask", "index-lokup", "--n", "8"), "did you mean index-lookup"),
        (("ask", "index-lookup", "--n", "8", "--arch", "rrn"), "unknown arch"),
        (("ask", "index-lookup", "--n", "0"), "n = 0"),
        (("ask", "index-lookup", "--n", "8", "--symbols", "x"), "symbols"),
        (("ask", "index-lookup", "--n", "8", "--colour", "3"), "colour"),
        (("ask", "index-lookup", "--n", "8", "--precision", "fp33"), "fp33"),
        (("ask", "index-lookup", "--n", "8", "--heads", "0"), "--heads 0"),
        (("build", "index-lookup-quadratic", "--n", "100000000"), "n = 100000000"),
        (("certify", "nowhere", "--task", "index-lookup", "--n", "8"), "nowhere"),
        (("check", "nowhere.cert.json"), "nowhere"),
        (("list", "dragons"), "dragons"),
        (("atlas", "--preset", "huge"), "huge"),
        (("atlas", "--runs", "nowhere"), "holds no run store"),
        (("learn", "index-lookup", "--across", "20,x"), "--across '20,x'"),
        (("learn", "index-lookup", "--models", "RNN"), "no model 'RNN'"),
        (("learn", "recall", "--size", "middle"), "no size 'middle'"),
        (("learn", "recall", "--precision", "fp16"), "precision 'fp16' is not known; take fp32 or bf16"),
        (("learn", "positional-sum", "--precision", "bf16"), "bf16 is for labels"),
        (("learn", "recall", "--compile"), "--compile goes with --device cuda, not with cpu"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(separatrix: Any, words: tuple[str, ...], part: str) -> None:
    code, out, err = separatrix(*words)
    assert code == 2
    assert part in out + err and "Traceback" not in out + err
    assert len((err or out).strip().splitlines()) <= 2


def test_bad_model_files(separatrix: Any, tmp_path: Path) -> None:
    separatrix("build", "index-lookup-quadratic", "--n", "8", "--symbols", "4", "-o", "m")
    words = ("certify", "m", "--task", "index-lookup", "--n", "8", "--symbols", "4")
    weights = tmp_path / "m" / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(pickle.dumps({"a": 1}))
    code, _, err = separatrix(*words)
    assert code == 2 and "pickle" in err
    weights.write_bytes(good[:-8])
    assert separatrix(*words)[0] == 2
    from separatrix.core.files import tensors_from_bytes, tensors_to_bytes

    tensors = tensors_from_bytes(good, "m")
    tensors["readout.bias"] = tensors["readout.bias"].copy()
    tensors["readout.bias"][0] = np.nan
    weights.write_bytes(tensors_to_bytes(tensors))
    code, _, err = separatrix(*words)
    assert code == 2 and "NaN" in err


def test_lists_name_everything(separatrix: Any) -> None:
    for kind in ("tasks", "archs", "witnesses", "provers", "bounds"):
        code, out, _ = separatrix("list", kind, "--json")
        rows = json.loads(out)
        assert code == 0 and rows and all(row["name"] for row in rows)
        assert separatrix("list", kind)[0] == 0


def test_bound_and_dry_runs(separatrix: Any) -> None:
    code, out, _ = separatrix("bound", "index-lookup", "--n", "128", "--arch", "rnn", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["bits"] == 768 and answer["guarantee"] == "proved"
    assert separatrix("check", answer["certificate"])[0] == 0
    assert separatrix("bound", "index-lookup", "--n", "128", "--arch", "mlp")[0] == 3
    words = ("match2", "--n", "4", "--modulus", "5", "--arch", "rnn")
    code, out, _ = separatrix("bound", *words, "--matrix", "--json")
    rows = {row["name"]: row["bits"] for row in json.loads(out)["lower_bounds"]}
    assert code == 0 and rows["match2-matrix-rows"] >= rows["match2-matrix-shattered"] > 0
    assert separatrix("bound", "match2", "--n", "64", "--arch", "rnn", "--matrix")[0] == 3
    assert separatrix("bound", *words[:-1], "mlp", "--matrix")[0] == 2
    for words in (("build", "index-lookup", "--n", "64"), ("atlas",)):
        code, out, _ = separatrix(*words, "--dry-run")
        assert code == 0 and "about" in out
    assert not Path("separatrix-out").joinpath("atlas").exists()
