"""A whole study on the coarse mesh: the files, the theorem of added stiffness, symmetry, equilibrium of sections."""

import json
from pathlib import Path

import numpy as np
import pytest

from spinefix.errors import ScenarioError
from spinefix.results import table
from spinefix.results.table import COMPARISON_COLUMNS, text
from spinefix.scenario.build import build_arm, build_specimen
from spinefix.scenario.loader import load_study
from spinefix.scenario.schema import Study
from spinefix.study.fields import half_widths
from spinefix.study.mesh_error import add_mesh_error
from spinefix.study.run import run_study

DIRECTIONS = ("flexion", "extension", "lateral_left", "lateral_right", "axial_left", "axial_right")
STIFFER = (
    ("combined", "posterior_prosthesis"),
    ("combined", "anterior"),
    ("posterior_prosthesis", "posterior"),
    ("posterior", "untreated"),
    ("intact", "untreated"),
)


def study(**changes: object) -> Study:
    data = {
        "schema_version": 1,
        "name": "l3",
        "segment": {"kind": "spine", "levels": ["L2", "L3", "L4"], "resolution": "coarse"},
        "lesions": [{"level": "L3", "volume_pct": 40}],
        "arms": {
            "posterior": {"kind": "posterior", "screws": {"levels": ["L2", "L4"]}},
            "anterior": {"kind": "anterior", "resect": ["L3"]},
            "posterior_prosthesis": {"kind": "posterior_prosthesis", "resect": ["L3"]},
            "combined": {"kind": "combined", "resect": ["L3"]},
        },
        "loads": [{"kind": "pure_moment"}, {"kind": "compression", "force_N": 400}],
        "outputs": {"mesh_check": "none", "vtu": True, "pictures": False},
    }
    return Study.model_validate({**data, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "l3"
    outcome = run_study(study(), Path("none.yaml"), out)
    assert [(a.name, a.error) for a in outcome.arms if a.error] == []
    assert outcome.exit_code == 0
    return out


@pytest.fixture(scope="module")
def stiffness(folder: Path) -> dict[tuple[str, str], float]:
    rows = table.read(folder / "comparison.csv")
    return {(r["arm"], r["direction"]): float(r["stiffness_Nm_per_deg"]) for r in rows}


def test_comparison_has_a_row_per_arm_and_direction(folder: Path) -> None:
    rows = table.read(folder / "comparison.csv")
    assert tuple(rows[0]) == COMPARISON_COLUMNS
    assert len(rows) == 6 * 6
    for row in rows:
        assert row["converged"] == "true"
        ratio = float(row["moment_Nm"]) / float(row["rom_deg"])
        assert float(row["stiffness_Nm_per_deg"]) == pytest.approx(ratio, rel=1e-7)
    assert {float(r["stiffness_ratio_to_intact"]) for r in rows if r["arm"] == "intact"} == {1.0}


@pytest.mark.parametrize(("stiffer", "softer"), STIFFER)
def test_an_added_elastic_part_never_adds_compliance(stiffness: dict, stiffer: str, softer: str) -> None:
    for direction in DIRECTIONS:
        assert stiffness[stiffer, direction] >= stiffness[softer, direction]


def test_left_and_right_are_equal_in_a_symmetric_scenario(stiffness: dict) -> None:
    for arm in ("intact", "untreated", "posterior", "posterior_prosthesis"):
        for motion in ("lateral", "axial"):
            left, right = stiffness[arm, f"{motion}_left"], stiffness[arm, f"{motion}_right"]
            assert left == pytest.approx(right, rel=1e-6)


def test_symmetric_arms_do_not_turn_aside_in_flexion(folder: Path) -> None:
    """Opposite moments give equal stiffness in any linear model; a motion out of the plane shows asymmetry."""
    rows = table.read(folder / "metrics.csv")
    for arm in ("intact", "untreated", "posterior", "posterior_prosthesis"):
        turn = {a: 0.0 for a in "xyz"}
        for r in rows:
            if (r["arm"], r["direction"]) == (arm, "flexion") and r["metric"].startswith("rotation_"):
                turn[r["metric"][-1]] += abs(float(r["value"]))
        assert turn["y"] > 0.1
        assert turn["x"] + turn["z"] < 1e-6 * turn["y"]


def test_the_mirror_check_looks_at_every_symmetric_arm(folder: Path) -> None:
    arms = json.loads((folder / "manifest.json").read_text())["arms"]
    looked_at = [name for name, arm in arms.items() if "left_right_symmetry" in [c["name"] for c in arm["checks"]]]
    assert looked_at == ["intact", "untreated", "posterior", "posterior_prosthesis"]  # a plate lies on one side


def test_screws_of_both_sides_meet_the_same_bone(folder: Path) -> None:
    arms = json.loads((folder / "manifest.json").read_text())["arms"]
    measures = arms["posterior"]["measures"]
    for name, left in measures.items():
        if ".left." in name:
            assert left == pytest.approx(measures[name.replace(".left.", ".right.")], rel=1e-9), name


def test_fields_tell_the_width_of_plates() -> None:
    plate = {"kind": "plate", "width_mm": 18, "thickness_mm": 3}
    one = study(arms={"anterior": {"kind": "anterior", "resect": ["L3"], "plate": plate}})
    model = build_arm(one, build_specimen(one), "anterior").model
    width = half_widths(model)
    bar = model.mesh.select("implant.plate.bar")
    assert np.linalg.norm(width[bar], axis=1) == pytest.approx(9.0)
    ends = model.mesh.points[model.mesh.blocks[-1].conn[bar - model.mesh.offsets[-2]]]
    assert np.einsum("ni,ni->n", width[bar], ends[:, 1] - ends[:, 0]) == pytest.approx(0.0, abs=1e-9)
    assert np.abs(width[bar][:, 0]).min() > 8.0, "on the left side, wide from back to front"
    rest = np.setdiff1d(np.arange(model.mesh.n_cells), model.mesh.select("implant.plate"))
    assert not width[rest].any()


def test_shares_of_a_section_make_up_the_whole_load(folder: Path) -> None:
    rows = table.read(folder / "metrics.csv")
    for arm in ("untreated", "posterior", "anterior", "combined"):
        for case, metric, total in (
            ("flexion", "section_moment", 7.5),
            ("axial_left", "section_moment", 7.5),
            ("compression", "load_share_force", 100.0),
        ):
            found = [float(r["value"]) for r in rows if (r["arm"], r["direction"], r["metric"]) == (arm, case, metric)]
            assert len(found) >= 2
            assert sum(found) == pytest.approx(total, rel=1e-5)


def test_manifest_vouches_for_the_numbers(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for arm in manifest["arms"].values():
        assert all(c["passed"] for c in arm["checks"])
        assert arm["solver"]["residual"] < 1e-8
        assert arm["seconds"]["factorize"] > 0
    assert manifest["segment"]["lesions"][0]["volume_fraction"] == pytest.approx(0.4, rel=0.01)
    assert manifest["assumed"]
    assert 50.0 < manifest["peak_memory_MB"] < 16e3
    assert len(manifest["sources"]) > 5


def test_fields_of_every_case_are_written(folder: Path) -> None:
    assert len(list((folder / "fields").glob("*.vtu"))) == 6 * 7


def test_an_arm_that_fails_leaves_the_others(tmp_path: Path) -> None:
    broken = study(
        arms={
            "posterior": {"kind": "posterior", "screws": {"levels": ["L2", "L4"]}},
            "anterior": {
                "kind": "anterior",
                "resect": ["L3"],
                "prosthesis": {"footprint": {"width_mm": 65.0, "depth_mm": 48.0}},
            },
        },
        outputs={"mesh_check": "none", "vtu": False, "pictures": False},
    )
    outcome = run_study(broken, Path("none.yaml"), tmp_path)
    failed = {a.name: a.error for a in outcome.arms if a.error}
    assert list(failed) == ["anterior"]
    assert outcome.exit_code == 2
    rows = table.read(tmp_path / "comparison.csv")
    bad = [r for r in rows if r["arm"] == "anterior"]
    assert len(bad) == 6
    assert all(r["converged"] == "false" and r["rom_deg"] == "" for r in bad)
    assert all(r["converged"] == "true" for r in rows if r["arm"] == "posterior")


BENCH = {
    "schema_version": 1,
    "name": "bench",
    "segment": {"kind": "f1717_blocks", "resolution": "coarse"},
    "lesions": [],
    "arms": {"rods": {"kind": "posterior", "screws": {"levels": ["upper", "lower"], "length_mm": 40}}},
    "loads": [{"kind": "compression", "force_N": 300}],
}


def test_what_should_be_looked_at_is_in_the_manifest(tmp_path: Path) -> None:
    """A legal but implausible number, and a screw that the construct itself warns of."""
    wide = {"levels": ["L2", "L4"], "diameter_mm": 9.0}
    odd = study(
        arms={"posterior": {"kind": "posterior", "screws": wide}},
        loads=[{"kind": "pure_moment", "moment_Nm": 50.0, "directions": ["flexion"]}],
        references=(),
        outputs={"mesh_check": "none", "vtu": False, "pictures": False},
    )
    outcome = run_study(odd, Path("none.yaml"), tmp_path)
    warnings = json.loads((tmp_path / "manifest.json").read_text())["warnings"]
    assert warnings == outcome.warnings
    assert any(w.startswith("loads[0].moment_Nm: 50 is outside the plausible range") for w in warnings)
    assert any(w.startswith("posterior: screw.L2.left: the thread breaches the pedicle wall") for w in warnings)


def test_a_run_folder_can_be_run_again_from_its_own_scenario(tmp_path: Path) -> None:
    first = Study.model_validate({**BENCH, "name": "bench_of_its_own"})
    assert run_study(first, Path("none.yaml"), tmp_path).exit_code == 0
    copy = tmp_path / "scenario.yaml"
    before = (tmp_path / "metrics.csv").read_bytes()
    again = load_study(copy, [])
    assert again == first  # defaults and overrides included
    assert run_study(again, copy, tmp_path).exit_code == 0
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_specimen_that_cannot_be_built_leaves_an_earlier_run_alone(tmp_path: Path) -> None:
    run_study(Study.model_validate(BENCH), Path("none.yaml"), tmp_path)
    before = (tmp_path / "metrics.csv").read_bytes()
    with pytest.raises(ScenarioError, match="only"):
        run_study(study(lesions=[{"level": "L3", "volume_pct": 99.0}]), Path("none.yaml"), tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_second_mesh_that_cannot_be_built_costs_the_mesh_error_alone() -> None:
    def fails(_: Study) -> list:
        raise ScenarioError(["lesion.volume_pct = 93: too much"])

    warnings = add_mesh_error(study(outputs={"mesh_check": "fine"}), [], fails)
    assert warnings == ["mesh check: nothing can be built at n=5: lesion.volume_pct = 93: too much"]


def test_facet_joints_are_alike_on_both_sides_of_the_middle_mesh(tmp_path: Path) -> None:
    """Quadrature points that project onto an edge between two facets must choose alike left and right."""
    one = study(
        segment={"kind": "spine", "levels": ["L2", "L3"], "resolution": "middle"},
        lesions=[],
        arms={"intact": {"kind": "intact"}},
        loads=[{"kind": "pure_moment", "directions": ["flexion", "axial_left"]}],
        outputs={"mesh_check": "none", "vtu": False, "pictures": False},
    )
    outcome = run_study(one, Path("none.yaml"), tmp_path)
    checks = {c["name"]: c["value"] for c in outcome.arms[0].record["checks"]}
    assert checks["left_right_symmetry"] < 1e-8


def test_cells_know_no_negative_zero() -> None:
    assert [text(v) for v in (-0.0, -1e-12, float("nan"))] == ["0", "-1e-12", ""]
