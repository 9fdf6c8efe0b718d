"""What a run was made with: versions, machine, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import spinefix

PACKAGES = ("numpy", "scipy", "numba", "meshio", "pyvista", "vtk", "pydantic", "ruamel.yaml", "pypardiso", "mkl")


def versions() -> dict[str, str]:
    """Versions of spinefix, Python and the packages that make numbers."""
    out = {"spinefix": spinefix.__version__, "python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "not installed"
    return out


def machine() -> dict[str, Any]:
    """Operating system, processor and number of usable cores; no host name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.system(), "machine": platform.machine(), "cores": cores}


def peak_memory_MB() -> float | None:
    """Most memory that this process has held so far [MB]; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)  # bytes there, kilobytes elsewhere


def commit() -> str | None:
    """Commit of the checkout spinefix runs from, with ``+changes`` when it differs; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, timeout=10)
        dirty = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode:
        return None
    return head.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def canonical_hash(value: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a scenario (sorted keys, shortest round-trip floats)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def now() -> str:
    """Time of the run in UTC, ISO 8601."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()
