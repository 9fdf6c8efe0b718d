"""Can this machine draw? Asked in a child process, because VTK without a graphics driver dies instead of raising.

The VTK wheels bring no software renderer. Without X, EGL or OSMesa the first render call ends the process with a
segmentation fault that no ``try`` can catch, so the first picture is always drawn by a child.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

HOW_TO_INSTALL = "apt-get install libegl1 libgl1-mesa-dri"
"""What a Debian or Ubuntu machine without a screen needs (software rendering by Mesa)."""

_SCRIPT = """
import sys
import numpy as np
import pyvista as pv
plotter = pv.Plotter(off_screen=True, window_size=(64, 64))
plotter.background_color = "white"
plotter.add_mesh(pv.Sphere(), color="black", lighting=False)
image = plotter.screenshot(return_img=True)
print(type(plotter.render_window).__name__)
sys.exit(0 if image[32, 32].max() < 64 and image[0, 0].min() > 192 else 3)
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether 3D pictures can be drawn, and how.

    Parameters
    ----------
    ok : bool
    window : str
        VTK class of the render window that worked, empty if none did.
    environment : mapping of str to str or None
        What a drawing process needs set (None: unset) on top of the present environment.
    message : str
        One line for people; says what to install if `ok` is false.
    """

    ok: bool
    window: str
    environment: Mapping[str, str | None]
    message: str


def has_screen() -> bool:
    """Tell whether a window can be opened (as far as the environment shows it)."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def child_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the present environment with `changes` applied and this package importable."""
    env = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [env.get("PYTHONPATH")])])
    for key, value in changes.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


@lru_cache(maxsize=1)
def probe() -> Probe:
    """Return how to draw off-screen here; a success is remembered in the temporary folder, a failure is not.

    A failure is asked again in the next process, so that installing the missing libraries takes effect at once.
    """
    memory = Path(tempfile.gettempdir()) / f"spinefix-render-{_key()}.json"
    remembered = _recall(memory)
    if remembered is not None:
        return remembered
    found = _search()
    if found.ok:
        _remember(memory, found)
    return found


def forget() -> None:
    """Drop a remembered success: libraries may have gone since."""
    (Path(tempfile.gettempdir()) / f"spinefix-render-{_key()}.json").unlink(missing_ok=True)
    probe.cache_clear()


def _search() -> Probe:
    reason = ""
    for changes in _candidates():
        rc, window, reason = _try(changes)
        if rc == 0:
            return Probe(True, window, changes, f"3D pictures are drawn off-screen by {window}")
    hint = f"; on Debian or Ubuntu: {HOW_TO_INSTALL}" if sys.platform.startswith("linux") else ""
    return Probe(False, "", {}, f"3D pictures skipped: off-screen rendering does not work here ({reason}){hint}")


def _candidates() -> list[dict[str, str | None]]:
    """Environments to try, the likeliest first."""
    if not sys.platform.startswith("linux") or "VTK_DEFAULT_OPENGL_WINDOW" in os.environ:
        return [{}]
    # A DISPLAY may be set and dead (a closed remote login), so software rendering without it is tried as well.
    no_screen: dict[str, str | None] = {"DISPLAY": None, "WAYLAND_DISPLAY": None}
    egl = {**no_screen, "VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow"}
    osmesa = {**no_screen, "VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow"}
    return [{}, egl, osmesa] if has_screen() else [egl, osmesa]


def _try(changes: Mapping[str, str | None]) -> tuple[int, str, str]:
    """Draw one sphere in a child; return its exit status, the window class and why it failed."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env=child_environment(changes),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", type(error).__name__
    window = child.stdout.strip().splitlines()[-1] if child.stdout.strip() else ""
    if child.returncode < 0:
        return child.returncode, window, f"the renderer ended with signal {-child.returncode}"
    lines = child.stderr.strip().splitlines()
    return child.returncode, window, lines[-1] if lines else f"exit status {child.returncode}"


def _key() -> str:
    try:
        vtk = metadata.version("vtk")
    except metadata.PackageNotFoundError:
        vtk = "none"
    names = ("DISPLAY", "WAYLAND_DISPLAY", "VTK_DEFAULT_OPENGL_WINDOW")
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    parts = [vtk, platform.node(), sys.prefix, user, *(os.environ.get(n, "") for n in names)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _recall(path: Path) -> Probe | None:
    try:
        return Probe(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _remember(path: Path, found: Probe) -> None:
    record = {"ok": found.ok, "window": found.window, "environment": found.environment, "message": found.message}
    try:
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(record), encoding="utf-8")
        draft.replace(path)
    except OSError:
        return  # only a memory: the next process asks again
