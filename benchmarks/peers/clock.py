"""What every runner reports: seconds by phase and the answer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def finish(answer: str, u: NDArray[np.float64], began: float, ready: float, **more: Any) -> None:
    """Save displacements (n, 3) [mm] and print a line of JSON.

    Parameters
    ----------
    answer : str
        File for the displacements.
    u : (n, 3) float64 [mm]
    began, ready : float
        Clock when the process began and when imports were done and the case was read.
    more : iterations, factorizations, versions and the like
    """
    now = time.perf_counter()
    np.save(answer, u)
    report = {"import_s": ready - began, "solve_s": now - ready, **more}
    print(json.dumps(report), flush=True)


def arguments(argv: list[str]) -> tuple[Path, str, dict[str, str]]:
    """Return case file, answer file and ``key=value`` options."""
    return Path(argv[1]), argv[2], dict(a.split("=", 1) for a in argv[3:])
