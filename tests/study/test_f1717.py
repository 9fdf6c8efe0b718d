"""The standard bench test of a posterior construct against its closed form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinefix.analysis.solve import solve
from spinefix.anatomy.blocks import f1717_closed_form
from spinefix.model.core import Material
from spinefix.results import table
from spinefix.scenario.build import build_arm, build_specimen
from spinefix.scenario.loader import load_study
from spinefix.scenario.schema import Study
from spinefix.study.run import run_study

STIFF = 1e6  # N/mm^3: the interface of a screw that does not give


def stiffness(*, rigid_blocks: bool, rod_mm: float = 5.5, screw_E: float = 110e3) -> float:
    screws = {"levels": ["upper", "lower"], "core_diameter_mm": 5.0, "head_offset_mm": 11.0}
    if rigid_blocks:
        screws |= {"interface_normal_N_per_mm3": STIFF, "interface_tangential_N_per_mm3": STIFF}
    study = Study.model_validate(
        {
            "schema_version": 1,
            "name": "f1717",
            "segment": {"kind": "f1717_blocks", "resolution": 3},
            "arms": {"posterior": {"kind": "posterior", "screws": screws, "rods": {"diameter_mm": rod_mm}}},
            "loads": [{"kind": "compression", "force_N": 100}],
        }
    )
    specimen = build_specimen(study)
    if rigid_blocks:
        specimen = replace(specimen, tissues={"block": Material("rigid", "isotropic", {"E_MPa": 1e6, "nu": 0.3})})
    arm = build_arm(study, specimen, "posterior")
    mesh = arm.model.mesh
    screw = np.unique(np.concatenate([v for k, v in mesh.cells.items() if k.startswith("implant.screw.")]))
    materials = (*arm.model.materials, Material("screw", "isotropic", {"E_MPa": screw_E, "nu": 0.3}))
    material_id = arm.model.material_id.copy()
    material_id[screw] = len(materials) - 1
    model = replace(arm.model, materials=materials, material_id=material_id)
    _, solution = solve(model, arm.cases)
    return 100.0 / -float(solution.displacement("compression")[arm.reference, 2])


@pytest.mark.parametrize("rod_mm", [5.5, 6.35])
def test_rods_alone_with_rigid_blocks_and_screws(rod_mm: float) -> None:
    exact = f1717_closed_form(
        arm=51, free_length=76, rod_diameter=rod_mm, E_rod=110e3, screw_free_length=11, screw_core=5, E_screw=1e7
    )
    assert stiffness(rigid_blocks=True, rod_mm=rod_mm, screw_E=1e7) == pytest.approx(exact, rel=0.01)


def test_rods_and_titanium_screws_with_rigid_blocks() -> None:
    exact = f1717_closed_form(
        arm=51, free_length=76, rod_diameter=5.5, E_rod=110e3, screw_free_length=11, screw_core=5, E_screw=110e3
    )
    assert exact == pytest.approx(37.3, rel=0.01)  # published derivation, reference data f1717_closed_form_ti55
    assert stiffness(rigid_blocks=True) == pytest.approx(exact, rel=0.01)


def test_polyethylene_blocks_only_add_compliance() -> None:
    assert stiffness(rigid_blocks=False) < stiffness(rigid_blocks=True)


def test_a_run_prints_closed_form_and_published_value_beside_its_own(tmp_path: Path) -> None:
    study = load_study(Path(__file__).parents[2] / "scenarios" / "astm_f1717.yaml", ["outputs.pictures=false"])
    assert run_study(study, Path("none.yaml"), tmp_path).exit_code == 0
    rows = table.read(tmp_path / "metrics.csv")
    value = {(r["arm"], r["metric"]): float(r["value"]) for r in rows if r["region"] == "whole"}
    assert value["titanium_5_5", "f1717_closed_form_rigid_blocks"] == pytest.approx(37.3, rel=0.01)
    assert value["titanium_6_0", "f1717_closed_form_rigid_blocks"] == pytest.approx(47.8, rel=0.01)
    assert value["titanium_5_5", "f1717_published"] == 43.0
    assert value["titanium_5_5", "axial_stiffness"] < value["titanium_5_5", "f1717_closed_form_rigid_blocks"]
