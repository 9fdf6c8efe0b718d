from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runfolder import write_run

from spinefix.viz.probe import child_environment, probe

_DRAW = """
import sys
import numpy as np
from spinefix.viz import scene
from spinefix.viz.folder import read_run
run = read_run(sys.argv[1])
scales = scene.find_scales(run)
out = {"factor": scales.deformation, "top": scales.implant_MPa}
for arm, direction in run.cases():
    grid = scene.read_grid(run, arm, direction)
    for panel in scene.panels(grid, scales, [scene.VIEWS["lateral"], scene.VIEWS["posterior"]], height=300):
        name = f"{arm}.{direction}.{panel.view.name}"
        out[name] = panel.image
        # affine map: two axes and the place of the origin, so that the test can find points without pyvista
        origin = np.array(panel.pixel(np.zeros(3)))
        out[name + ".map"] = np.stack([np.array(panel.pixel(e)) - origin for e in np.eye(3)] + [origin])
np.savez(sys.argv[2], **out)
"""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three arms and two directions over two blocks of bone, a disc, a lesion and rods."""
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def drawn(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Rendered panels of all cases, drawn in a child process; skips where rendering does not work."""
    answer = probe()
    if not answer.ok:
        pytest.skip(answer.message)
    target = tmp_path_factory.mktemp("drawn") / "panels.npz"
    child = subprocess.run(
        [sys.executable, "-c", _DRAW, str(run_folder), str(target)],
        env=child_environment(answer.environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    with np.load(target) as content:
        return dict(content)
