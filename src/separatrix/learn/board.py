"""TensorBoard: the curve and metrics of every finished run, one folder a run, written once."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from separatrix.core.errors import InputError
from separatrix.learn.run import Run


class Board:
    """A folder for `tensorboard --logdir`; InputError without tensorboard."""

    def __init__(self, folder: Path) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError("--tensorboard needs the extra: pip install 'separatrix[tensorboard]'") from error
        self.folder, self._writer = folder, SummaryWriter

    def add(self, experiment: str, run: Run, curve: np.ndarray, metrics: Mapping[str, float]) -> None:
        """Writes a finished run: loss and score by step, and what was measured at the end.

        curve: (checks, 3) step, training loss, validation score. A folder that is there is complete, and is left alone.
        """
        rate = f"learning rate {run.member.learning_rate:g}"
        name = re.sub(r"[^\w .,=-]", "_", f"{run.label}, N = {run.n}, {rate}, seed {run.member.seed}")
        final = self.folder / experiment / f"{name} {run.key[:8]}"
        if final.exists():
            return
        partial = final.with_name("." + final.name)
        shutil.rmtree(partial, ignore_errors=True)  # of a killed driver
        with self._writer(str(partial)) as writer:
            writer.add_text("run", f"<pre>{run.text}</pre>")
            for step, loss, score in curve.tolist():
                writer.add_scalar("loss", loss, int(step))
                writer.add_scalar("score", score, int(step))
            last = int(curve[-1, 0]) if len(curve) else 0
            for metric, value in metrics.items():
                writer.add_scalar(f"measured/{metric}", value, last)
        partial.rename(final)
