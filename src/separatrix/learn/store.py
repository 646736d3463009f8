"""The run store: one SQLite file, written by the driver alone; a finished run is one transaction and is never repeated.

Write-ahead logging, so that a killed driver leaves either all of a run or nothing of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from separatrix.core.errors import InputError
from separatrix.learn.run import Run
from separatrix.models.model import Model

SCHEMA = """
create table if not exists run (
    key text primary key, experiment text not null, label text not null, spec text not null, state text not null,
    steps integer not null, score real not null, seconds real not null, finished text not null default (datetime())
);
create table if not exists curve (key text not null, step integer not null, loss real, score real,
    primary key (key, step));
create table if not exists metric (key text not null, name text not null, value real not null, primary key (key, name));
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run as the store knows it; `metrics` are what the experiment measured on the trained model."""

    run: Run
    experiment: str
    state: str
    steps: int
    score: float
    seconds: float
    metrics: Mapping[str, float]


class Store:
    """A folder: runs.db, and models/KEY for every run whose model is kept."""

    def __init__(self, folder: Path) -> None:
        """Opens or makes the store; InputError where the file is no store."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        try:
            self.db = sqlite3.connect(folder / "runs.db", timeout=30)
            self.db.execute("pragma journal_mode = wal")
            self.db.execute("pragma synchronous = normal")
            self.db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise InputError(f"{folder / 'runs.db'}: {error}; move the file away to start a new store") from error

    def has(self, keys: Iterable[str]) -> set[str]:
        """Which of these runs are finished."""
        known = {key for (key,) in self.db.execute("select key from run")}
        return known & set(keys)

    def add(
        self,
        experiment: str,
        run: Run,
        state: str,
        steps: int,
        score: float,
        seconds: float,
        curve: np.ndarray,
        metrics: Mapping[str, float],
        model: Model | None = None,
    ) -> None:
        """Writes a finished run, in one transaction; the model's folder first, so that no row lacks its model."""
        key = run.key
        if model is not None:
            model.save(self.model_folder(key))
        with self.db:
            row = (key, experiment, run.label, run.text, state, steps, _real(score), seconds)
            self.db.execute(
                "insert or replace into run (key, experiment, label, spec, state, steps, score, seconds) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            points = ((key, int(step), _real(loss), _real(value)) for step, loss, value in curve.tolist())
            self.db.executemany("insert or replace into curve values (?, ?, ?, ?)", points)
            values = ((key, name, _real(value)) for name, value in metrics.items())
            self.db.executemany("insert or replace into metric values (?, ?, ?)", values)

    def finished(self, experiment: str | None = None) -> list[Finished]:
        """The runs of an experiment (of all), oldest first."""
        metrics: dict[str, dict[str, float]] = {}
        for key, name, value in self.db.execute("select key, name, value from metric"):
            metrics.setdefault(key, {})[name] = value
        query = "select key, experiment, label, spec, state, steps, score, seconds from run "
        where, given = ("where experiment = ? ", (experiment,)) if experiment else ("", ())
        rows = self.db.execute(query + where + "order by finished, rowid", given)
        return [
            Finished(Run.from_json(label, spec), name, state, steps, score, seconds, metrics.get(key, {}))
            for key, name, label, spec, state, steps, score, seconds in rows
        ]

    def curve(self, key: str) -> np.ndarray:
        """(checks, 3) step, training loss, validation score."""
        rows = self.db.execute("select step, loss, score from curve where key = ? order by step", (key,)).fetchall()
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def model_folder(self, key: str) -> Path:
        """Where a run's model lies, if it is kept."""
        return self.folder / "models" / key[:16]

    def close(self) -> None:
        """Closes the file."""
        self.db.close()


def _real(value: float) -> float:
    """SQLite keeps no NaN; one is written as minus infinity."""
    return value if value == value else float("-inf")
