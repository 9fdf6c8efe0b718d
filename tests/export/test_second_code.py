"""The same model in CalculiX: an independent code must find the same displacements.

CalculiX prints seven digits; agreement to 1e-6 is all that can be seen.
"""

from dataclasses import replace
from pathlib import Path

import calculix
import numpy as np
import pytest
from export_models import everything, spine

from spinefix.analysis.deck import averaged, with_formulation
from spinefix.analysis.export_abaqus import write_abaqus
from spinefix.analysis.solve import solve
from spinefix.mesh.generate import box
from spinefix.model.core import LoadCase, Material, Model, Support

pytestmark = pytest.mark.skipif(calculix.CCX is None, reason="ccx (Debian package calculix-ccx) is not installed")


def difference(path: Path, model: Model, cases: list[LoadCase], reference: int, code: str = "abaqus") -> float:
    """Greatest difference of the reference point's motion over its own size, over all cases."""
    _, ours = solve(model, cases)
    theirs = calculix.run(write_abaqus(path / "m.inp", model, cases, code=code))
    worst = 0.0
    for table, case in zip(theirs, ours.cases, strict=True):
        turn = model.mesh.n_points + 1 + int(ours.rotation_index[reference])
        for a, b in (
            (ours.displacement(case)[reference], table[reference + 1]),
            (ours.rotation(case, reference), table[turn]),
        ):
            worst = max(worst, float(np.abs(a - b).max() / np.abs(a).max()))
    return worst


def test_solids_springs_ties_rods_and_rigid_ends(tmp_path: Path) -> None:
    model, cases, reference = everything("standard")
    assert difference(tmp_path, averaged(model)[0], cases, reference) < 1e-6


def test_spine_with_lesion_and_screws(tmp_path: Path) -> None:
    built = spine("posterior")
    model = with_formulation(averaged(built.model)[0], "standard")
    moment, force = np.array([3000.0, 7000.0, 2000.0]), np.array([20.0, 10.0, -400.0])
    case = LoadCase("all", forces={built.reference: force}, moments={built.reference: moment})
    assert difference(tmp_path, model, [case], built.reference) < 2e-6


@pytest.mark.parametrize("kind", ["hex8", "tet4", "tet10"])
def test_distorted_solids(tmp_path: Path, kind: str) -> None:
    model, case, tip = bar(kind, distortion=0.5)
    _, ours = solve(model, [case])
    theirs = calculix.run(write_abaqus(tmp_path / "m.inp", model, [case]))[0][tip + 1]
    assert theirs == pytest.approx(ours.displacement("tip")[tip], rel=1e-5, abs=1e-6 * np.abs(theirs).max())


def test_incompatible_modes_are_those_of_calculix_on_parallelepipeds(tmp_path: Path) -> None:
    model, case, tip = bar("hex8", distortion=0.0)
    model = replace(model, materials=(replace(model.materials[0], formulation="incompatible"),))
    _, ours = solve(model, [case])
    theirs = calculix.run(write_abaqus(tmp_path / "m.inp", model, [case]))[0][tip + 1]
    assert theirs == pytest.approx(ours.displacement("tip")[tip], rel=1e-5, abs=1e-6 * np.abs(theirs).max())


def bar(kind: str, distortion: float) -> tuple[Model, LoadCase, int]:
    """A cantilever of wavy cells with an oblique force on one corner of its end."""
    mesh = box((10, 12, 30), (3, 3, 6), kind=kind)
    x = mesh.points
    inside = (x[:, 2] > 0) & (x[:, 2] < 30)
    mesh = replace(mesh, points=x + distortion * np.sin(0.9 * x[:, [1, 2, 0]]) * inside[:, None])
    n = mesh.n_cells
    tip = int(np.argmax(x.sum(axis=1)))
    model = Model(
        mesh=mesh,
        materials=(Material("m", "isotropic", {"E_MPa": 1000.0, "nu": 0.3}, "standard"),),
        material_id=np.zeros(n, np.int32),
        scale=np.ones((n, 8)),
        fibres=np.zeros((n, 2, 3)),
        sections=(),
        section_id=np.full(n, -1, np.int32),
        orientation=np.zeros((n, 3)),
        supports=(Support("held", mesh.nodes["block.zmin"]),),
    )
    return model, LoadCase("tip", forces={tip: np.array([1.0, 2.0, -3.0])}), tip
