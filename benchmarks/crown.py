"""What CROWN, as auto_LiRPA implements it, proves of the same cells. Runs in an environment of its own:

    python3.11 -m venv lirpa
    lirpa/bin/pip install torch==2.13.0 numpy safetensors appdirs pyyaml packaging tqdm graphviz ninja
    lirpa/bin/pip install --no-deps git+https://github.com/Verified-Intelligence/auto_LiRPA@a050a3d
    PYTHONPATH=src lirpa/bin/python -m benchmarks.crown FOLDER

That is version 0.7.1 of May 2026, whose softmax bounds are those of Wei et al. (AISTATS 2023). It asks for torch below
2.9, hence --no-deps, and runs on 2.13 as it is. (PyPI has 0.3 of 2022.) `accuracy_against_proof --crown
lirpa/bin/python` calls this; it adds crown.json to every folder of a model that has none.

CROWN gets the exact set of what a product cell allows (a position's score and values are chosen together, the inputs
are no box) and counts a cell as proved where its bound or auto_LiRPA's interval bound is positive. A number of ones or
distinct symbols it cannot express: such cells are widened to products.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks.cell_tables import CellTable, cells_of
from benchmarks.proof_grid import Row
from separatrix.models import Model

warnings.filterwarnings("ignore")
import torch  # noqa: E402
from auto_LiRPA import BoundedModule, BoundedTensor  # noqa: E402
from auto_LiRPA.linear_bound import LinearBound  # noqa: E402
from auto_LiRPA.perturbations import Perturbation  # noqa: E402

CELLS = 32  # a model
CLEAR = 1e-9


class Columns(Perturbation):
    """x (B, H, J, 1 + M) is, position by position, one of the columns of a table (B, H, J, W, 1 + M)."""

    def __init__(self, table: torch.Tensor, allowed: torch.Tensor) -> None:
        super().__init__()
        self.table, self.forbidden = table, ~allowed  # (B, J, W)
        shut = self.forbidden[:, None, :, :, None]
        self.x_L = table.masked_fill(shut, torch.inf).amin(3)
        self.x_U = table.masked_fill(shut, -torch.inf).amax(3)
        self.eps = 0.0

    def init(self, x, aux=None, forward=False):
        return LinearBound(None, None, None, None, self.x_L, self.x_U), x, None

    def concretize(self, x, A, sign=-1, constraints=None, aux=None):
        """(B, specifications): the least (sign -1) or greatest value of A x."""
        if A is None:
            return None
        if not isinstance(A, torch.Tensor):  # the identity
            return (self.x_L if sign < 0 else self.x_U).flatten(1)
        batch, heads, slots, _, entries = self.table.shape
        each = A.reshape(batch, -1, heads, slots, entries)
        cost = torch.einsum("bshjm,bhjwm->bsjw", each, self.table)
        shut = self.forbidden[:, None]
        ends = cost.masked_fill(shut, torch.inf).amin(3) if sign < 0 else cost.masked_fill(shut, -torch.inf).amax(3)
        return ends.sum(2)


class Layer(torch.nn.Module):
    """The model from the tables on: softmax over positions, then perhaps a ReLU layer, then logits."""

    def __init__(self, out: np.ndarray) -> None:
        super().__init__()
        self.hidden = len(out)
        self.register_buffer("out", torch.from_numpy(out))

    def forward(self, x):
        score, value = x[:, :, :, :1], x[:, :, :, 1:]
        stream = (torch.softmax(score, dim=2) * value).sum(2).sum(1)
        if not self.hidden:
            return stream
        return torch.relu(stream[:, : self.hidden]).matmul(self.out) + stream[:, self.hidden :]


def proved(cells: list[CellTable]) -> np.ndarray:
    """(B,) whether the label beats every rival on the cell, by CROWN or by intervals."""
    heads = cells[0].score.shape[0]
    rows = []
    for cell in cells:
        value = cell.value + cell.own / heads  # weights add up to 1 in every head
        rows.append(np.concatenate([cell.score[..., None], value], axis=3))
    table = torch.from_numpy(np.stack(rows))
    allowed = torch.from_numpy(np.stack([cell.allowed for cell in cells]))
    first = allowed.to(torch.int64).argmax(2)[:, None, :, None, None].expand(-1, heads, -1, 1, table.shape[4])
    x = torch.gather(table, 3, first)[:, :, :, 0].contiguous()
    net = Layer(cells[0].out)
    aim = np.zeros((len(cells), len(cells[0].rivals), cells[0].out.shape[1]))
    for row, cell in zip(aim, cells, strict=True):
        for r, rival in enumerate(cell.rivals):
            row[r, cell.label], row[r, rival] = 1.0, -1.0
    bounded = BoundedModule(net, torch.zeros_like(x), device="cpu", verbose=False)
    inputs = BoundedTensor(x, Columns(table, allowed))
    aims = torch.from_numpy(aim)
    with torch.no_grad():
        easy = bounded.compute_bounds(x=(inputs,), C=aims, method="IBP", bound_upper=False)[0]
        known = {  # of all but the pre-activations, which CROWN bounds by itself: of the rest, intervals are exact
            node.name: [node.lower, node.upper]
            for node in bounded.nodes()
            if getattr(node, "lower", None) is not None and node.lower.dim() == 4
        }
        fine = bounded.compute_bounds(x=(inputs,), C=aims, method="CROWN", bound_upper=False, interm_bounds=known)[0]
    return (torch.maximum(easy, torch.nan_to_num(fine, nan=-torch.inf)).amin(1) > CLEAR).numpy()


def main() -> None:
    """Adds crown.json to every model folder that has none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    every = [path.parent for path in sorted(options.folder.glob("*/row.json"))]
    left = [folder for folder in every if not (folder / "crown.json").exists()]
    for done, folder in enumerate(left):
        print(f"\rCROWN: {done} of {len(left)} models", end="", file=sys.stderr, flush=True)
        row, start = Row.from_json(json.loads((folder / "row.json").read_text())), time.process_time()
        cells = list(cells_of(Model.load(folder), row.problem, row.n, CELLS))
        count = sum(int(proved([cell]).sum()) for cell in cells)
        told = {"cells": len(cells), "proved": count, "seconds": time.process_time() - start}
        (folder / "crown.json").write_text(json.dumps(told))
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
