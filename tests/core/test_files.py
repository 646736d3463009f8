"""Files: strict JSON, atomic writes on a disk that fails, tensors that are never unpickled, the executor."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from separatrix.core import files, jobs
from separatrix.core.errors import InputError
from separatrix.core.files import (
    canonical_json,
    read_bytes,
    strict_json,
    tensors_from_bytes,
    tensors_to_bytes,
    write_atomically,
)
from separatrix.models.model import Model


@pytest.mark.parametrize("value", [None, True, 3, -(10**17), "ü\u2028", [1, [2]], {"b": 1, "a": {"c": []}}, 2**62])
def test_json_round_trip(value: Any) -> None:
    assert strict_json(canonical_json(value), "x") == value
    assert canonical_json(value).endswith(b"\n")


def test_json_keeps_the_order_and_takes_numpy_integers() -> None:
    assert canonical_json({"b": np.int64(1), "a": 2}) == b'{\n "b": 1,\n "a": 2\n}\n'


@pytest.mark.parametrize("value", [np.float64(1.0), np.bool_(True), {1, 2}, b"x", object()])
def test_json_refuses_what_is_no_json_value(value: object) -> None:
    if isinstance(value, float):
        return  # float64 is a float: written in decimal, refused on reading
    with pytest.raises(TypeError):
        canonical_json({"a": value})


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"x": {"a": 1, "b": 2, "a": 3}}',
        "1.0",
        "1e3",
        "NaN",
        "Infinity",
        "-Infinity",
        "12345678901234567890",
        "",
        "{",
        "[1,]",
        "{'a': 1}",
        "\x00",
        "01",
        "nul",
        "[" * 100_000,
        '{"a":' * 100_000,
        '"\x01"',
        "1 2",
    ],
)
def test_json_that_is_not_strict(text: str) -> None:
    with pytest.raises(InputError) as error:
        strict_json(text.encode(), "the file")
    assert str(error.value).startswith("the file") and len(str(error.value)) < 300


def test_json_that_is_no_text_or_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"\xff\xfe\x00", b'"\xff"', b'"\xc3"'):
        with pytest.raises(InputError):
            strict_json(data, "x")
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 10)
    with pytest.raises(InputError, match="too many"):
        strict_json(b" " * 11, "x")


def test_reading(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a") == b"12345"
    for path, limit in ((tmp_path / "a", 4), (tmp_path / "none", 9), (tmp_path, 9), (tmp_path / ("x" * 300), 9)):
        with pytest.raises(InputError):
            read_bytes(path, limit)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError):
        read_bytes(tmp_path / "loop")
    with pytest.raises(InputError, match="regular"):
        read_bytes(Path("/dev/zero"))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def fail(error: BaseException) -> Callable[..., NoReturn]:
    def raising(*_: object, **__: object) -> NoReturn:
        raise error

    return raising


@pytest.mark.parametrize("what", ["fsync", "fdopen"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"old")
    with monkeypatch.context() as patch:
        real = os.fdopen
        if what == "fdopen":

            def full(handle: int, mode: str) -> NoReturn:
                real(handle, mode).close()
                raise OSError(28, "No space left")

            patch.setattr(os, "fdopen", full)
        else:
            patch.setattr(os, what, fail(OSError(28, "No space left on device")))
        with pytest.raises(InputError, match="No space left"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and names(path.parent) == ["file"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and names(path.parent) == ["file"]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and path.stat().st_mode & 0o777 == 0o644


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """In a process of its own, with a limit of 4 kB on files: EFBIG in the middle of the write."""
    code = (
        "import resource, sys; from pathlib import Path; from separatrix.core.errors import InputError\n"
        "from separatrix.core.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_atomically(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except InputError as error: print('refused', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(tmp_path / "file")], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("refused") and not done.stderr, done
    assert names(tmp_path) == []


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "x", Path("/proc/no-such/x"), tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="cannot be written"):
            write_atomically(path, b"1")
    assert names(tmp_path) == ["file"]


def test_tensors_round_trip() -> None:
    tensors = {
        "b": np.arange(6, dtype=np.int64).reshape(2, 3),
        "a": np.array([5e-324, -0.0, 1e308]),
        "c": np.array(2.5, dtype=np.float32),
        "d": np.arange(6.0).reshape(2, 3).T,
        "e": np.zeros((0, 3)),
    }
    data = tensors_to_bytes(tensors)
    read = tensors_from_bytes(data, "x")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype and read[name].shape == tensor.shape
        assert read[name].tobytes() == np.ascontiguousarray(tensor).tobytes()
    assert tensors_to_bytes(dict(reversed(tensors.items()))) == data == tensors_to_bytes(read)


class Bomb:
    """Unpickling this would leave a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_opened(tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model"
    model.mkdir()
    from separatrix.core.arch import Arch, Attention, Readout, Table

    arch = Arch(2, Table(2), (Attention(1, 1, 1),), Readout(2))
    (model / "config.json").write_bytes(canonical_json(arch.to_config()))
    (model / "model.safetensors").write_bytes(pickle.dumps(Bomb(), protocol))
    with pytest.raises(InputError, match="safetensors"):
        Model.load(model)
    assert not (tmp_path / "exploded").exists()


def test_numpy_and_torch_archives_are_no_models() -> None:
    import io

    for allow in (False, True):
        stream = io.BytesIO()
        np.savez(stream, a=np.array([1, None]) if allow else np.zeros(3))
        with pytest.raises(InputError):
            tensors_from_bytes(stream.getvalue(), "x")


def test_models_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        Model.load(tmp_path / "none")
    with pytest.raises(InputError):
        Model.load(tmp_path)


def square(x: int) -> int:
    if x < 0:
        raise InputError(f"{x} is negative")
    return x * x


def test_one_worker_keeps_order_and_is_lazy() -> None:
    assert list(jobs.run(square, range(5))) == [0, 1, 4, 9, 16]
    results = jobs.run(square, [1, -1, 2])
    assert next(results) == 1
    with pytest.raises(InputError, match="negative"):
        next(results)
    assert jobs.default_workers() >= 1


def test_several_workers_keep_order_and_pass_errors_on() -> None:
    """Fresh processes import the function's module by name: `abs` and `len` stand in for a real job."""
    assert list(jobs.run(abs, [-3, 2, -1, 0], workers=2)) == [3, 2, 1, 0]
    results = jobs.run(len, ["ab", 3, "c"], workers=2)  # pyright: ignore[reportArgumentType]
    assert next(results) == 2
    with pytest.raises(TypeError):
        next(results)
