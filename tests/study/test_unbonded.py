"""A prosthesis that stands on the endplates: it opens in extension, presses in flexion, and the tables tell how."""

import csv
import json
from pathlib import Path

import meshio
import numpy as np
import pytest

from spinefix.report import methods
from spinefix.scenario.schema import Study
from spinefix.study.run import run_study
from spinefix.viz.folder import read_run

ARM = {"kind": "posterior_prosthesis", "resect": ["L3"]}
STUDY = {
    "schema_version": 1,
    "name": "gap",
    "segment": {"kind": "spine", "levels": ["L2", "L3", "L4"], "resolution": "coarse"},
    "references": [],
    "analysis": {"kind": "nonlinear"},
    "outputs": {"pictures": False, "vtu": False, "mesh_check": "none"},
}


def ran(folder, directions, interfaces, **changes):
    """Run arms that differ in the interface alone, named after it."""
    arms = {name: {**ARM, "prosthesis": {"interface": name}} for name in interfaces}
    loads = [{"kind": "pure_moment", "directions": list(directions), "moment_Nm": 5.0}]
    study = Study.model_validate({**STUDY, "arms": arms, "loads": loads, **changes})
    run = run_study(study, Path("gap.yaml"), folder)
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return run, {(r["arm"], r["direction"], r["metric"], r["region"]): float(r["value"] or "nan") for r in rows}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gap")
    outputs = {**STUDY["outputs"], "vtu": True}
    run, metrics = ran(folder, ["flexion", "extension"], ["bonded", "friction"], outputs=outputs)
    return folder, run, metrics


FACES = ("implant.prosthesis.superior", "implant.prosthesis.inferior")


def test_it_opens_in_extension_and_presses_in_flexion(runs):
    _, run, metrics = runs
    assert run.exit_code == 0
    rom = {key[:2]: value for key, value in metrics.items() if key[2:] == ("rom", "whole")}
    assert rom["friction", "extension"] > 5.0 * rom["bonded", "extension"], "nothing but the rods holds it"
    assert rom["bonded", "flexion"] < rom["friction", "flexion"] < 1.5 * rom["bonded", "flexion"]
    gaps = [metrics["friction", "extension", "contact_gap_max", face] for face in FACES]
    assert sum(gaps) > 1.0
    for face in FACES:
        of = {name: metrics["friction", "extension", f"contact_{name}", face] for name in ("force", "area_share")}
        assert of == {"force": 0.0, "area_share": 0.0}
        of = {
            name: metrics["friction", "flexion", f"contact_{name}", face]
            for name in ("force", "area_share", "pressure_max", "pressure_mean", "gap_max", "slip_max")
        }
        assert of["force"] > 50.0 and 10.0 < of["area_share"] < 60.0
        area = 0.01 * of["area_share"] * 97.0  # mm^2, of a ring of 22 mm and 1.5 mm wall
        assert of["pressure_mean"] == pytest.approx(of["force"] / area, rel=0.02)
        assert of["pressure_max"] > of["pressure_mean"]
        assert 0.0 < of["gap_max"] < 0.2 and 0.0 < of["slip_max"] < 0.1
    forces = [metrics["friction", "flexion", "contact_force", face] for face in FACES]
    assert forces[0] == pytest.approx(forces[1], rel=0.02), "the prosthesis is in balance"
    assert not [key for key in metrics if key[0] == "bonded" and key[3] in FACES]
    assert metrics["bonded", "extension", "contact_force", "L2-L3.facet_joint.left"] >= 0.0


def test_manifest_report_and_fields_tell_of_it(runs):
    folder, _, metrics = runs
    manifest = json.loads((folder / "manifest.json").read_text())
    assert any("friction" in line for line in manifest["assumed"])
    assert manifest["arms"]["friction"]["measures"]["prosthesis.friction_1"] == 0.5
    text = " ".join(methods.methods(read_run(folder)))
    assert "Prostheses press on the endplates, open and slide in friction (friction 0.5)" in text
    data = meshio.read(folder / "fields" / "friction_extension.vtu").point_data
    gaps = max(metrics["friction", "extension", "contact_gap_max", face] for face in FACES)
    assert np.nanmax(data["contact_gap"]) == pytest.approx(gaps, rel=0.05)
    assert data["contact_pressure"].min() >= 0.0


def test_without_friction_it_opens_alike(runs, tmp_path):
    run, metrics = ran(tmp_path, ["extension"], ["no_tension"])
    assert run.exit_code == 0
    smooth = metrics["no_tension", "extension", "rom", "whole"]
    bonded, rough = (runs[2][arm, "extension", "rom", "whole"] for arm in ("bonded", "friction"))
    assert bonded < rough <= smooth * (1.0 + 1e-3)
    assert sum(metrics["no_tension", "extension", "contact_gap_max", face] for face in FACES) > 1.0
