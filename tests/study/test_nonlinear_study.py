"""A study at finite rotation, from the scenario to the tables: follower load, condensed vertebrae, failures."""

import csv
import json
from pathlib import Path

import pytest

from spinefix.fem.newton import Control
from spinefix.scenario.schema import Study
from spinefix.study import arms
from spinefix.study.run import run_study

STUDY = {
    "schema_version": 1,
    "name": "two_levels",
    "segment": {"kind": "spine", "levels": ["L4", "L5"], "resolution": "coarse"},
    "lesions": [{"level": "L4", "volume_pct": 30}],
    "references": ["untreated"],
    "arms": {},
    "analysis": {"kind": "nonlinear", "load_pct": [50, 100]},
    "loads": [
        {"kind": "pure_moment", "directions": ["flexion"], "moment_Nm": 4.0},
        {"kind": "pure_moment", "directions": ["flexion"], "moment_Nm": 4.0, "follower_N": 200},
        {"kind": "compression", "path": "follower", "force_N": 200},
    ],
    "outputs": {"pictures": False, "vtu": False, "mesh_check": "none"},
}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ran(tmp_path, **changes):
    study = Study.model_validate({**STUDY, **changes})
    run = run_study(study, Path("two_levels.yaml"), tmp_path)
    metrics = {
        (r["direction"], float(r["load_factor"]), r["metric"], r["region"]): float(r["value"])
        for r in rows(tmp_path / "metrics.csv")
    }
    return run, rows(tmp_path / "comparison.csv"), metrics, json.loads((tmp_path / "manifest.json").read_text())


def test_a_nonlinear_study_gives_the_tables_of_a_linear_one(tmp_path):
    run, comparison, metrics, manifest = ran(tmp_path / "condensed")
    assert run.exit_code == 0 and not run.arms[0].error
    assert [(r["direction"], r["case"], r["follower_load_N"]) for r in comparison] == [
        ("flexion", "flexion", "0"),
        ("flexion", "flexion_follower_200N", "200"),
    ]
    assert all(r["converged"] == "true" and 0.5 < float(r["rom_deg"]) < 15.0 for r in comparison)
    half, full = (metrics["flexion", f, "rom", "whole"] for f in (0.5, 1.0))
    assert 0.3 * full < half < 0.9 * full
    assert metrics["flexion", 1.0, "rom_level", "L4-L5"] == pytest.approx(full, rel=0.2)  # the diseased body gives too
    shares = [v for (case, _, name, _), v in metrics.items() if (case, name) == ("flexion", "load_share_moment")]
    assert sum(shares) == pytest.approx(100.0)
    assert metrics["compression_follower", 1.0, "displacement", "whole"] > 0.1
    arm = manifest["arms"]["untreated"]
    assert arm["solver"]["analysis"] == "nonlinear" and arm["solver"]["superelements"] == 2
    assert all(c["passed"] for c in arm["checks"]) and len(arm["checks"]) >= 2
    _, whole, exact, other = ran(tmp_path / "whole", analysis={"kind": "nonlinear", "superelements": False})
    assert other["arms"]["untreated"]["solver"]["superelements"] == 0
    for a, b in zip(comparison, whole, strict=True):
        assert float(a["rom_deg"]) == pytest.approx(float(b["rom_deg"]), rel=2e-3)
    # What is inside a superelement is recovered with one rotation for the whole part, so its own balance is less sharp.
    assert section_moment(exact) == pytest.approx(4.0, rel=1e-3)
    assert section_moment(metrics) == pytest.approx(4.0, rel=0.05)


def test_a_case_without_equilibrium_has_no_number_and_exit_code_3(tmp_path, monkeypatch):
    monkeypatch.setattr(arms, "CONTROL", Control(max_iterations=2, max_cutbacks=1))
    loads = [{"kind": "pure_moment", "directions": ["flexion"], "moment_Nm": 40.0}]
    run, comparison, _, manifest = ran(tmp_path, loads=loads)
    assert run.exit_code == 3
    assert comparison[0]["converged"] == "false" and comparison[0]["rom_deg"] == ""
    assert "flexion has no solution" in " ".join(run.warnings) and manifest["exit_code"] == 3


def section_moment(metrics):
    """Moment [N m] that crosses the diseased body in flexion."""
    return sum(v for (case, _, name, _), v in metrics.items() if (case, name) == ("flexion", "section_moment"))
