"""Solve a case with CalculiX: python run_calculix.py case.npz answer.npy [threads=2] [controls=...]."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from clock import arguments, finish
from numpy.typing import NDArray
from problems import Case

CONTROLS = "1e-6,1e-2,,,1e-6"
"""Residual over the average force (default 5e-3, after nine iterations 2e-2), correction over the increment (its
default). With its defaults CalculiX may stop an iteration early, at three digits in the column."""


def main() -> None:
    """Write the deck, run ``ccx`` and report the time of that process besides."""
    path, answer, options = arguments(sys.argv)
    case = Case.load(path)
    with tempfile.TemporaryDirectory() as folder:
        deck = Path(folder) / "case.inp"
        deck.write_text(deck_of(case, options.get("controls", CONTROLS)))
        threads = options.get("threads", "2")
        env = os.environ | {"OMP_NUM_THREADS": threads, "CCX_NPROC_EQUATION_SOLVER": threads}
        began = time.perf_counter()
        done = subprocess.run(["ccx", "case"], cwd=folder, env=env, capture_output=True, text=True, check=False)
        ended = time.perf_counter()
        if done.returncode or not deck.with_suffix(".dat").exists():
            raise SystemExit(done.stdout[-3000:] + done.stderr[-2000:])
        u = displacements(deck.with_suffix(".dat"), len(case.points))
        rows = [line.split() for line in deck.with_suffix(".sta").read_text().splitlines()]
    iterations = [int(r[3]) for r in rows if len(r) == 7 and r[0].isdigit()]
    version = re.search(r"Version\s+(\S+)", done.stdout)
    finish(
        answer, u, began, began, iterations=iterations, process_s=ended - began,
        version=version.group(1) if version else "",
    )  # fmt: skip


def deck_of(case: Case, controls: str) -> str:
    """Return the input file."""
    lines = ["*NODE, NSET=ALL"]
    lines += [f"{i + 1},{x:.12g},{y:.12g},{z:.12g}" for i, (x, y, z) in enumerate(case.points)]
    for m, (mu, K) in enumerate(zip(case.mu, case.K, strict=True)):
        cells = np.flatnonzero(case.material == m)
        lines.append(f"*ELEMENT, TYPE=C3D8, ELSET=E{m}")
        lines += [",".join(map(str, (e + 1, *(case.conn[e] + 1)))) for e in cells]
        lines += [f"*MATERIAL, NAME=M{m}", "*HYPERELASTIC, NEO HOOKE", f"{mu / 2.0:.15g},{2.0 / K:.15g}"]
        lines.append(f"*SOLID SECTION, ELSET=E{m}, MATERIAL=M{m}")
    still = case.motion == 0.0
    lines.append("*BOUNDARY")
    lines += [f"{d // 3 + 1},{d % 3 + 1},{d % 3 + 1}" for d in case.fixed[still]]
    lines += [f"*STEP, NLGEOM, INC={case.increments}", "*STATIC, DIRECT", f"{1.0 / case.increments:.12g},1."]
    if controls:
        lines += ["*CONTROLS, PARAMETERS=FIELD", controls]
    if not still.all():
        lines.append("*BOUNDARY")
        moving = zip(case.fixed[~still], case.motion[~still], strict=True)
        lines += [f"{d // 3 + 1},{d % 3 + 1},{d % 3 + 1},{value:.15g}" for d, value in moving]
    loaded = np.argwhere(case.force != 0.0)
    if len(loaded):
        lines.append("*CLOAD")
        lines += [f"{i + 1},{j + 1},{case.force[i, j]:.15g}" for i, j in loaded]
    lines += [f"*NODE PRINT, NSET=ALL, FREQUENCY={case.increments}", "U", "*END STEP", ""]
    return "\n".join(lines)


def displacements(path: Path, n: int) -> NDArray[np.float64]:
    """Return the last table of displacements (n, 3) [mm]."""
    rows = [line.split() for line in path.read_text().splitlines()]
    table = np.array([r for r in rows if len(r) == 4 and r[0].isdigit()], float)[-n:]
    return table[np.argsort(table[:, 0]), 1:]


if __name__ == "__main__":
    main()
