from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spinefix.report import comparison_tables, write_report
from spinefix.report.methods import ranking
from spinefix.report.tables import FAILED, MISSING, all_tables, number
from spinefix.viz.folder import read_run

VOID = {"meta", "img", "br", "link", "input"}


class Balance(HTMLParser):
    """Fails on tags that do not match; collects every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def edit_rows(folder: Path, change) -> None:
    path = folder / "comparison.csv"
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        names, rows = reader.fieldnames, list(reader)
    for row in rows:
        change(row)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.00"),
        (0.05, "0.0500"),
        (123.45, "123"),
        (0.0, "0"),
        (float("nan"), MISSING),
        (3e-12, "3.00e-12"),
        (-5.0, "-5.00"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_tables_hold_the_numbers_of_the_run(run_folder):
    tables = {t.title: t for t in all_tables(read_run(run_folder))}
    ratio = tables["Stiffness relative to intact [1] at 7.5 N·m"]
    assert ratio.rows[1] == ("posterior", "5.00 (±4.0 %)", "5.00 (±4.0 %)")
    assert ratio.rows[0] == ("intact", "1.00", "1.00")
    stress = tables["Von Mises stress [MPa]"]
    assert ("rod", "posterior", "180 (200)", "72.0 (80.0)") in stress.rows
    assert not any("left" in row[0] for row in stress.rows), "single screws do not belong here"
    assert len(comparison_tables(run_folder)) == len(tables)


def test_an_arm_without_a_solution_shows_no_number(run_folder):
    def fail(row):
        if row["arm"] == "anterior":
            row.update(converged="false", rom_deg="", stiffness_Nm_per_deg="", stiffness_ratio_to_intact="")

    edit_rows(run_folder, fail)
    run = read_run(run_folder)
    assert all(t.rows[2][1:] == (FAILED, FAILED) for t in all_tables(run)[:3])
    assert all("anterior" not in order for _, order in ranking(run))
    assert "Without a solution" in write_report(run_folder).read_text()


def test_rotations_that_are_no_small_strain_are_told(run_folder):
    assert not any("small strain" in t.note for t in all_tables(read_run(run_folder)))
    edit_rows(run_folder, lambda row: row.update(rom_deg="40") if row["arm"] == "anterior" else None)
    ratio, rom, *_ = all_tables(read_run(run_folder))
    for note in (ratio.note, rom.note):
        assert "anterior: turned by more than 30°, beyond small strain" in note
    manifest = json.loads((run_folder / "manifest.json").read_text())
    manifest["arms"].setdefault("anterior", {})["solver"] = {"analysis": "nonlinear"}
    (run_folder / "manifest.json").write_text(json.dumps(manifest))
    assert not any("small strain" in t.note for t in all_tables(read_run(run_folder)))


def test_differences_within_the_mesh_error_are_no_order(run_folder):
    assert ranking(read_run(run_folder))[0][1] == "posterior 5.00 > anterior 3.33 > intact 1.00"
    edit_rows(run_folder, lambda row: row.update(mesh_error_pct="30"))
    assert ranking(read_run(run_folder))[0][1] == "posterior 5.00 ≈ anterior 3.33 > intact 1.00"


def test_the_report_is_one_file_that_needs_nothing(run_folder):
    (run_folder / "figures").mkdir()
    (run_folder / "figures" / "rom.png").write_bytes(b"\x89PNG not really")
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(run_folder / "figures" / "scene_flexion.png")
    html = write_report(run_folder).read_text(encoding="utf-8")
    page = Balance()
    page.feed(html)
    assert page.open == []
    assert page.addresses and all(
        a.startswith(("#", "data:image/png;base64,", "data:image/webp;base64,")) for a in page.addresses
    )
    assert html.count("<img ") == 2
    assert "<script" not in html and not re.search(r"(?<!\w)https?://", html)


def test_the_report_says_what_must_be_said(run_folder):
    html = write_report(run_folder).read_text(encoding="utf-8")
    assert "research and engineering only" in html
    assert "do not believe these numbers" in html and "energy balance of posterior" in html
    assert "A handbook &lt;1990&gt;" in html
    assert re.search(r'nucleus <span class="flag">assumed</span>', html)
    assert "leaves the pedicle by 0.4 mm" in html
    assert "length [mm]" in html and "rod.right" in html and "by superlu" in html


def test_passed_checks_are_not_called_failed(run_folder):
    path = run_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["arms"]["posterior"]["checks"].pop()
    path.write_text(json.dumps(manifest))
    html = write_report(run_folder).read_text(encoding="utf-8")
    assert "All 3 self-checks passed" in html and "do not believe" not in html


def test_a_folder_without_manifest_and_metrics_still_gets_a_report(run_folder):
    (run_folder / "manifest.json").unlink()
    (run_folder / "metrics.csv").unlink()
    html = write_report(run_folder).read_text(encoding="utf-8")
    assert "No self-checks are on record" in html and "posterior 5.00" in html
