"""The atlas on a small plan: files, links, resuming, page without network."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from separatrix.atlas import run as runner
from separatrix.atlas.run import Job, plan, run, run_job
from separatrix.atlas.write import write_atlas
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError
from separatrix.kernel import judge_file


def small(folder: Path) -> list[Job]:
    wanted = {("index-lookup-quadratic", 16), ("match2-circle", 16), ("index-lookup-recurrent", 16)}
    return [job for job in plan("quick", folder) if (job.name, job.n) in wanted]


def test_small_atlas(tmp_path: Path) -> None:
    jobs = small(tmp_path)
    assert len(jobs) == 5  # two witnesses in two arithmetics each, and a bound
    results = run(jobs, workers=1)
    assert [r.job for r in results] == jobs and all(r.guarantee == "proved" for r in results)
    write_atlas(results, tmp_path, lengths=(2, 4))
    page = (tmp_path / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and " src=" not in page
    links = [link for link in re.findall(r'href="([^"#]+)"', page) if link.endswith(".json")]
    assert links and all((tmp_path / link).is_file() for link in links)
    summary = json.loads((tmp_path / "atlas.json").read_text())
    assert summary["accepted"] == len(jobs) and len((tmp_path / "atlas.csv").read_text().splitlines()) == len(jobs) + 1
    assert (tmp_path / "charts" / "index-lookup.svg").read_text().startswith("<svg")


def test_a_second_run_checks_and_does_not_rebuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = small(tmp_path)[:1]
    run(jobs, workers=1)

    def fail(*_: object) -> None:
        raise AssertionError("rebuilt")

    monkeypatch.setattr(runner, "prove_witness", fail)
    assert run(jobs, workers=1)[0].guarantee == "proved"


def test_a_damaged_certificate_is_reported_not_hidden(tmp_path: Path) -> None:
    jobs = small(tmp_path)[:1]
    path = Path(run(jobs, workers=1)[0].certificate)
    path.write_text(path.read_text().replace('"n": 16', '"n": 17'))
    result = run(jobs, workers=1)[0]
    assert result.guarantee == "" and "changed" in result.sentence


def test_a_certificate_of_an_older_task_is_redone(tmp_path: Path) -> None:
    job = small(tmp_path)[0]
    path = Path(run_job(job).certificate)
    old = dataclasses.replace(Certificate.read(path), task_sha256="1" * 64)
    old.write(path.parent, path.name.removesuffix(".cert.json"))
    assert not judge_file(path).accepted
    assert run_job(job).guarantee == "proved" and judge_file(path).accepted


def test_unknown_preset(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="preset"):
        plan("nothing", tmp_path)
