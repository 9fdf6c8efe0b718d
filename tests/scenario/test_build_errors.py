"""Mistakes that show only when the model is built have their place in the file, like those of the schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from spinefix.cli import app
from spinefix.errors import ScenarioError, UsageError
from spinefix.scenario.build import build_arm, build_specimen
from spinefix.scenario.loader import parse_study
from spinefix.scenario.schema import Study

CASE = """\
schema_version: 1
name: case
segment: {levels: [L2, L3, L4], resolution: coarse}
lesions:
  - level: L3
    volume_pct: 20
arms:
  posterior:
    kind: posterior
    screws:
      levels: [L2, L4]
      length_mm: auto
  combined:
    kind: combined
    resect: [L3]
    prosthesis:
      footprint: {width_mm: 22}
    plate:
      kind: plate
      screws:
        spacing_mm: 13
    crosslinks: []
loads: [{kind: pure_moment, directions: [flexion]}]
"""


def build(text: str, *overrides: str) -> None:
    study = parse_study(text, "case.yaml", overrides)
    specimen = build_specimen(study)
    for name in study.arms:
        build_arm(study, specimen, name)


def test_the_case_itself_builds():
    build(CASE)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("volume_pct: 20", "volume_pct: 95", "case.yaml:6:17: lesions[0].volume_pct: 95: the cancellous bone of L3 is"),
        ("volume_pct: 20", "volume_pct: 1\n    cortical_breach: [left, right, superior]",
         "case.yaml:7:22: lesions[0].cortical_breach: left, right, superior: a lesion of 1 % does not reach"),
        ("length_mm: auto", "length_mm: 70",
         "case.yaml:12:18: arms.posterior.screws.length_mm: screw.L2.left: length 70 mm breaks out of L2"),
        ("levels: [L2, L4]", "levels: [L2]",
         "case.yaml:11:15: arms.posterior.screws.levels: a rod needs at least two levels, got L2"),
        ("      levels: [L2, L4]\n", "", "case.yaml:10:5: arms.posterior.screws: give levels, e.g. [L2, L4]"),
        ("width_mm: 22", "width_mm: 60",
         "case.yaml:17:7: arms.combined.prosthesis.footprint: the footprint overhangs"),
        ("width_mm: 22", "width_mm: 8, wall_mm: 5",
         "case.yaml:17:41: arms.combined.prosthesis.footprint.wall_mm: 5 leaves no hollow"),
        ("spacing_mm: 13", "spacing_mm: 13\n        length_mm: 79",
         "case.yaml:22:20: arms.combined.plate.screws.length_mm: body_screw.L2.1: length 79 mm breaks out"),
        ("crosslinks: []", "crosslinks: [{between: [L2, L2]}]",
         "case.yaml:22:28: arms.combined.crosslinks[0].between: needs two different levels, got L2 twice"),
        ("crosslinks: []", "crosslinks: [{}]\n    sides: left",
         "case.yaml:22:17: arms.combined.crosslinks: they join two rods, but sides is left"),
    ],
)  # fmt: skip
def test_a_mistake_of_the_build_has_file_line_and_key(old, new, expected):
    assert CASE.count(old) == 1
    with pytest.raises(ScenarioError) as error:
        build(CASE.replace(old, new))
    (finding,) = error.value.findings
    assert finding.startswith(expected), finding
    assert "\n" in finding and finding.rstrip().endswith("^")


def test_a_value_from_the_command_line_is_named_as_such():
    with pytest.raises(ScenarioError, match="^--set lesions.0..volume_pct=95: lesions.0..volume_pct: 95: the"):
        build(CASE, "lesions[0].volume_pct=95")


def test_without_a_file_the_key_is_told():
    data = parse_study(CASE).model_dump()
    data["lesions"][0]["volume_pct"] = 95.0
    study = Study.model_validate(data)
    with pytest.raises(UsageError, match=r"^lesions\[0\].volume_pct: 95: the"):
        build_specimen(study)


def test_where_a_study_was_read_is_no_part_of_it():
    assert parse_study(CASE, "a.yaml") == parse_study(CASE, "b.yaml")
    fine = parse_study(CASE, "case.yaml", ("lesions[0].volume_pct=95",)).with_refinement(3)
    with pytest.raises(ScenarioError, match="^--set"):
        build_specimen(fine)


def test_validate_tells_all_arms_at_once_with_exit_code_2(capsys, tmp_path: Path):
    file = tmp_path / "case.yaml"
    file.write_text(CASE.replace("length_mm: auto", "length_mm: 70").replace("width_mm: 22", "width_mm: 60"))
    code = app.run_command(["validate", str(file)])
    err = capsys.readouterr().err
    assert code == 2
    assert f"{file}:12:18: arms.posterior.screws.length_mm: " in err
    assert f"{file}:17:7: arms.combined.prosthesis.footprint: " in err
    assert "2 mistakes in the scenario; nothing was run" in err
