"""kill -9 at random moments, then resume: the table of an undisturbed sweep, with local workers and with Ray."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from learn.killed import kill_and_resume, measure, runs, table
from separatrix.core import jobs
from separatrix.core.errors import InputError
from separatrix.learn.store import Store
from separatrix.learn.sweep import sweep


def calm(folder: Path, cohorts: int) -> list[tuple]:
    """The table of a sweep that nobody kills."""
    store = Store(folder)
    sweep("x", runs(cohorts), measure, store, cohort=2)
    assert not list((folder / "checkpoints").glob("*"))
    return table(store)


def test_three_kills(tmp_path: Path) -> None:
    halfway, _ = kill_and_resume(tmp_path / "killed", "local:1", 3, 12)
    assert halfway, "no kill hit a cohort in training"
    assert table(Store(tmp_path / "killed")) == calm(tmp_path / "calm", 12)
    assert not list((tmp_path / "killed" / "checkpoints").glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["local:1", "local:2"])
def test_twenty_kills(tmp_path: Path, workers: str) -> None:
    halfway, finished = kill_and_resume(tmp_path / "killed", workers, 20, 40)
    assert halfway > 3 and 0 < finished < 80
    assert table(Store(tmp_path / "killed")) == calm(tmp_path / "calm", 40)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be read does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


ORPHANS = """
import sys
sys.path[:0] = {path!r}
from learn.test_kills import sleeps
from separatrix.core import jobs
if __name__ == "__main__":
    list(jobs.unordered(sleeps, [{folder!r}] * 2, "local:2"))
"""


def sleeps(folder: str) -> None:
    """Tells its process id, then takes its time."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(1.0)


def test_workers_end_with_a_killed_driver(tmp_path: Path) -> None:
    path = tmp_path / "driver.py"
    path.write_text(ORPHANS.format(path=[str(Path(__file__).parents[1]), *sys.path], folder=str(tmp_path)))
    process = subprocess.Popen([sys.executable, str(path)], stderr=subprocess.DEVNULL)
    for _ in range(600):
        told = [int(file.name) for file in tmp_path.iterdir() if file.name.isdecimal()]
        if told:
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert told
    for _ in range(100):
        if not any(map(alive, told)):
            return
        time.sleep(0.1)
    raise AssertionError("a worker outlived its driver")


# ------------------------------------------------------------------------------------------------ Ray


def test_without_ray_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'separatrix\[ray\]'"):
        list(jobs.unordered(len, ["ab"], "ray"))
    for bad in ("ray:", "ray:2", "ray://", "rays"):
        with pytest.raises(InputError, match="local:K, ray, ray://ADDRESS"):
            list(jobs.unordered(len, ["ab"], bad))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a process finds a cluster of this machine, whose head is this test's child."""
    pytest.importorskip("ray")
    folder = Path(f"/tmp/ray-{os.getpid()}")  # short: sockets lie in it
    told = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    told["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])  # of its workers
    told["RAY_worker_niceness"] = "0"  # Ray's own 15 starves them where the machine has other work
    with (tmp_path_factory.mktemp("ray") / "log").open("w") as log, subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(folder)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=log,
        text=True, env=os.environ | told,
    ) as head:  # fmt: skip
        assert head.stdout is not None and head.stdin is not None
        address = head.stdout.readline().strip()
        assert address, Path(log.name).read_text()
        yield told | {"RAY_ADDRESS": address}
        head.stdin.close()
        assert head.wait(60) == 0
    shutil.rmtree(folder, ignore_errors=True)


CLUSTER = """
import ray, sys
told = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
print(told.address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""


def dies_once(path: str) -> int:
    """Kills its process the first time."""
    if not Path(path).exists():
        Path(path).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def always_dies(_: str) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def refuses(_: str) -> int:
    raise InputError("this job refuses")


RETRIES = """
import sys
sys.path[:0] = {path!r}
from learn.test_kills import always_dies, dies_once, refuses
from separatrix.core import jobs
assert list(jobs.unordered(dies_once, [{folder!r} + "/a", {folder!r} + "/b"], "ray")) == [7, 7]
for job in (always_dies, refuses):
    try:
        list(jobs.unordered(job, [""], "ray"))
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_ray_replaces_a_dead_worker(tmp_path: Path, cluster: dict[str, str]) -> None:
    code = RETRIES.format(path=[str(Path(__file__).parents[1]), *sys.path], folder=str(tmp_path))
    told = subprocess.run([sys.executable, "-c", code], env=os.environ | cluster, text=True, capture_output=True)
    assert told.stdout.splitlines() == [
        "SeparatrixError a worker process died 3 times; is there enough memory?",
        "InputError this job refuses",
    ], told.stderr


@pytest.mark.slow
def test_twenty_kills_with_ray(tmp_path: Path, cluster: dict[str, str]) -> None:
    halfway, finished = kill_and_resume(tmp_path / "killed", "ray", 20, 40, cluster)
    assert halfway > 3 and 0 < finished < 80
    assert table(Store(tmp_path / "killed")) == calm(tmp_path / "calm", 40)


ABSENT = """
from separatrix.core import jobs
try:
    list(jobs.unordered(len, ["ab"], "ray://127.0.0.1:1"))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_an_absent_cluster_is_one_line() -> None:
    pytest.importorskip("ray")
    told = subprocess.run([sys.executable, "-c", ABSENT], text=True, capture_output=True)
    assert told.stdout.startswith("InputError no Ray cluster answers at ray://127.0.0.1:1: "), told.stderr
    assert told.stdout.count("\n") == 1
