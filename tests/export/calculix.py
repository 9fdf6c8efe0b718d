"""Run CalculiX on a deck and read what it printed."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

CCX = shutil.which("ccx")


def run(deck: Path) -> list[dict[int, np.ndarray]]:
    """Displacements of the watched nodes, one table (node id of the deck -> (3,)) per step."""
    job = subprocess.run(
        [str(CCX), deck.stem],
        cwd=deck.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert job.returncode == 0 and "*ERROR" not in job.stdout, job.stdout[-3000:]
    tables: list[dict[int, np.ndarray]] = []
    for line in deck.with_suffix(".dat").read_text().splitlines():
        if "displacements" in line:
            tables.append({})
        elif tables and line.strip():
            node, *values = line.split()
            tables[-1][int(node)] = np.array(values, float)
    return tables
