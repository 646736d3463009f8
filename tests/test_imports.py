"""The rooms' floors: a room imports only from floors below it, and importing a room loads no heavy library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import separatrix

ROOT = Path(separatrix.__file__).parent
FLOORS: list[set[str]] = [
    {"core"}, {"tasks"}, {"numbers"}, {"models"}, {"kernel"}, {"draw"}, {"verify"},
    {"can", "cannot", "depth", "learn"}, {"atlas"}, {"cli"},
]  # fmt: skip
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FORBIDDEN = {"kernel": {"models", "draw"}, "draw": set(FLOOR) - {"draw"}}
HEAVY = {"torch", "numba", "scipy", "flint"}
LIGHT_ROOMS = ["core", "tasks", "kernel", "can", "cannot", "verify", "models", "draw", "learn", "depth", "atlas", "cli"]
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    """`kernel` for src/separatrix/kernel/balls.py; `` for files of the package itself."""
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else ""


def imported(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Every imported module: absolute name, line, and whether it stands at the top level (loads on import)."""
    tree = ast.parse(path.read_text())
    package = ("separatrix", *path.relative_to(ROOT).parts[:-1])
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        top = id(node) not in inner
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, top
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield module, node.lineno, top
            for alias in node.names:  # `from separatrix import kernel`
                if module == "separatrix":
                    yield f"separatrix.{alias.name}", node.lineno, top


def test_every_room_has_a_floor() -> None:
    rooms = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms <= set(FLOOR), rooms - set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_from_floors_below(path: Path) -> None:
    room = room_of(path)
    for module, line, _ in imported(path):
        if module == "separatrix" or not module.startswith("separatrix."):
            continue
        other = module.split(".")[1]
        if other == room or other not in FLOOR:
            continue
        where = f"{path.relative_to(ROOT)}:{line} imports {module}"
        assert room, where
        assert FLOOR[other] < FLOOR[room], where
        assert other not in FORBIDDEN.get(room, set()), where


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_load_inside_functions_only(path: Path) -> None:
    parts = path.relative_to(ROOT).parts
    if parts[:2] == ("models", "nets") or (room_of(path) == "learn" and path.name != "__init__.py"):
        return  # the torch modules
    if parts in (("depth", "tape.py"), ("depth", "vectors.py")):
        return  # compiled loops, which are imported where circuits are evaluated
    for module, line, top in imported(path):
        assert not (top and module.split(".")[0] in HEAVY), f"{path.relative_to(ROOT)}:{line} imports {module}"
        if room_of(path) in ("core", "tasks", "kernel"):
            known = module.split(".")[0] in {*sys.stdlib_module_names, "numpy", "safetensors", "separatrix"}
            known = known or (module == "flint" and path.name.startswith("arb_"))  # the reference engine
            known = known or (
                module.split(".")[0] == "ray" and path.name == "jobs.py"
            )  # where the executor is asked to
            assert known, f"{path.relative_to(ROOT)}:{line}: the trusted base imports {module}"


def test_importing_the_rooms_loads_no_heavy_library() -> None:
    code = "import sys\n" + "\n".join(f"import separatrix.{room}" for room in LIGHT_ROOMS)
    code += f"\nprint(sorted({HEAVY!r} & {{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_kernel_alone_loads_nothing_but_numpy_and_the_trusted_base() -> None:
    code = (
        "import sys; import separatrix.kernel\n"
        "print(sorted({'.'.join(n.split('.')[:2]) for n in sys.modules if n.startswith('separatrix.')}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms = {name.split(".")[1] for name in ast.literal_eval(done.stdout)}
    assert rooms <= {"core", "tasks", "numbers", "kernel"}, rooms
