"""Hyperelasticity at finite strain against CalculiX: same mesh, same law, same integration.

A distorted block of two materials is run in CalculiX where it is installed. The open L4/5 disc is compared with a table
of forces from CalculiX where the environment variable SPINEFIX_DATA names the folder that holds `remus_l45_disc`;
docs/explanation/second_code.md says where it comes from.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from finitetools import distorted, mesh_of

from spinefix.mesh.core import CellBlock, Mesh

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import remus_disc

DISC = Path(os.environ.get("SPINEFIX_DATA", "")) / "remus_l45_disc"
needs_disc = pytest.mark.skipif(
    "SPINEFIX_DATA" not in os.environ or not DISC.is_dir(), reason="SPINEFIX_DATA names no folder with remus_l45_disc"
)
needs_ccx = pytest.mark.skipif(shutil.which("ccx") is None, reason="ccx (Debian package calculix-ccx) is not installed")

PRESS_AND_TURN = remus_disc.Motion("A", shift=(0.3, 0.2, -1.0), turn=(0.0, 0.0, 0.0))
BEND = remus_disc.Motion("A", turn=(0.0, 0.5, 0.0))


def block(kind):
    """A distorted block of 4 mm, soft below and stiff above, as a `Disc`."""
    size, cells = (4.0, 4.0, 4.0), (2, 3, 4)
    z = mesh_of(kind, size, cells)[0][:, 2]
    points, conn = distorted(kind, size, cells, amount=0.15)
    region = np.where(z[conn].mean(axis=1) < 2.0, remus_disc.NUCLEUS_REGION, 1)
    reference = points[z == 4.0].mean(axis=0)
    mesh = Mesh(np.vstack([points, reference]), (CellBlock(kind, conn),))
    return remus_disc.Disc(kind, mesh, region, np.flatnonzero(z == 4.0), np.flatnonzero(z == 0.0))


def largest(rows, name):
    return max(abs(rows[f"{name}_{a}"]) for a in "xyz")


@needs_ccx
@pytest.mark.parametrize(("kind", "tolerance"), [("hex8", 2e-6), ("hex20", 1e-3)])
@pytest.mark.parametrize("motion", [PRESS_AND_TURN, BEND], ids=["press", "bend"])
def test_block_of_two_hyperelastic_materials(kind, tolerance, motion):
    """CalculiX prints seven digits; its hex20 has 27 integration points where ours has 14."""
    body = block(kind)
    (ours,), _ = remus_disc.run(remus_disc.build(body, motion), body, motion, [1.0])
    theirs = remus_disc.run_ccx(body, motion, remus_disc.CCX_TYPE[kind])[0][1.0]
    for name in "uFM":
        if largest(theirs, name) > 1e-6:
            difference = {f"{name}_{a}": ours[f"{name}_{a}"] - theirs[f"{name}_{a}"] for a in "xyz"}
            assert largest(difference, name) < tolerance * largest(theirs, name), name


@needs_disc
@pytest.mark.parametrize(
    ("motion", "kind", "formulation", "element", "tolerance"),
    [
        ("compression", "hex20", "standard", "C3D20", 5e-5),
        ("compression", "hex8", "mean_dilatation", "C3D20", 0.02),
        ("flexion", "hex8", "mean_dilatation", "C3D20R", 0.02),
        ("axial", "hex8", "mean_dilatation", "C3D20R", 0.02),
    ],
)
def test_open_disc(motion, kind, formulation, element, tolerance):
    """The same mesh agrees to the digits of the table; the linear elements, of a quarter the nodes, within 2 %."""
    disc, move = remus_disc.read_discs(DISC)[kind], remus_disc.MOTIONS[motion]
    tables = remus_disc.read_reference(DISC / "calculix_reference.csv")
    theirs = next(rows for (case, name), rows in tables.items() if case == move.case and name.split()[0] == element)[
        1.0
    ]
    (ours,), _ = remus_disc.run(remus_disc.build(disc, move, formulation=formulation), disc, move, [1.0])
    for name in remus_disc.quantities(move):
        assert ours[name] == pytest.approx(theirs[name], rel=tolerance), name
