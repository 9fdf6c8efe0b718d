"""The `kernel` decorator: Numba in nopython mode with a cache that cannot go stale.

Numba does not notice that a callee in another file was edited, so a cached caller would return old numbers silently.
The cache folder is therefore named by the SHA-256 of all kernel sources, of Numba, Python and the CPU.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def _source_hash() -> str:
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for folder in ("fem", "materials", "mesh"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Return the writable folder that holds compiled kernels of exactly this source state."""
    import numba

    base = os.environ.get("SPINEFIX_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    tag = f"{_source_hash()}-numba{numba.__version__}-py{sys.version_info.major}{sys.version_info.minor}"
    folder = Path(base) / "spinefix" / f"{tag}-{platform.machine()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"spinefix-{os.getuid() if hasattr(os, 'getuid') else 'user'}" / tag
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _configure() -> None:
    import numba

    if not os.environ.get("NUMBA_CACHE_DIR"):
        numba.config.CACHE_DIR = str(cache_folder())


def kernel(function: F | None = None, *, parallel: bool = False) -> Any:
    """Compile `function` with Numba: nopython, cached, GIL released so that Python threads may share the work.

    No fastmath: NaN checks and reproducibility must hold.
    """
    import numba

    _configure()
    decorate = numba.njit(cache=True, parallel=parallel, nogil=True, fastmath=False, error_model="numpy")
    return decorate if function is None else decorate(function)
