"""``spinefix list metrics`` speaks of what stands in ``metrics.csv``, by the same names."""

from __future__ import annotations

from pathlib import Path

import pytest

from spinefix.cli import app
from spinefix.metrics import QUANTITIES
from spinefix.results import table
from spinefix.scenario.loader import load_study, parse_study
from spinefix.study.run import run_study

SPINE = """\
schema_version: 1
name: all
segment: {levels: [L2, L3, L4], resolution: coarse}
lesions: [{level: L3, volume_pct: 30}]
references: [untreated]
arms:
  plate: {kind: combined, resect: [L3], plate: {kind: plate}, crosslinks: [{}]}
  rods: {kind: anterior, resect: [L3]}
loads: [{kind: pure_moment, directions: [flexion]}, {kind: shear}, {kind: compression}]
outputs: {vtu: false, pictures: false, mesh_check: none}
"""
LOOP = """\
schema_version: 1
name: loop
segment: {levels: [L4, L5], resolution: coarse}
references: [intact]
analysis: {kind: nonlinear, load_pct: [50, 100], cycle: full}
loads: [{kind: pure_moment, directions: [flexion], moment_Nm: 0.5}]
outputs: {vtu: false, pictures: false, mesh_check: none}
"""
LOOSE = """\
schema_version: 1
name: loose
segment: {levels: [L2, L3, L4], resolution: coarse}
references: []
analysis: {kind: nonlinear}
arms: {loose: {kind: posterior_prosthesis, resect: [L3], prosthesis: {interface: friction}}}
loads: [{kind: pure_moment, directions: [flexion], moment_Nm: 0.5}]
outputs: {vtu: false, pictures: false, mesh_check: none}
"""
BENCH = Path(__file__).resolve().parents[2] / "scenarios" / "astm_f1717.yaml"
BY_NAME = {q.name: q for q in QUANTITIES}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[table.Line]:
    """All metrics of a spine with every kind of part, of a cycle, a loose prosthesis, and the bench test."""
    bench = tmp_path_factory.mktemp("bench")
    out = []
    for text in (SPINE, LOOP, LOOSE):
        folder = tmp_path_factory.mktemp("spine")
        assert run_study(parse_study(text), Path("all.yaml"), folder).exit_code == 0
        out += table.read(folder / "metrics.csv")
    run_study(load_study(BENCH, ("outputs.vtu=false", "outputs.mesh_check=none")), BENCH, bench)
    return [*out, *table.read(bench / "metrics.csv")]


def test_every_row_is_as_listed(rows):
    for row in rows:
        quantity = BY_NAME[row["metric"]]
        assert row["unit"] == quantity.unit, row
        assert quantity.covers(row["region"]), row


def test_everything_listed_occurs(rows):
    found = {row["metric"] for row in rows}
    assert found == set(BY_NAME)
    for quantity in QUANTITIES:
        regions = {row["region"] for row in rows if row["metric"] == quantity.name}
        for pattern in quantity.regions:
            alone = type(quantity)(quantity.name, quantity.unit, (pattern,), "")
            assert any(alone.covers(region) for region in regions), f"{quantity.name}: no region {pattern}"


def test_the_list_shows_name_unit_and_regions(capsys):
    assert app.run_command(["list", "metrics"]) == 0
    words = capsys.readouterr().out.split()
    for quantity in QUANTITIES:
        assert {quantity.name, quantity.unit, *quantity.regions} <= set(words)
