"""A run folder that was damaged or edited: file, line and what is expected; never a traceback, never a wrong number."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from spinefix.cli import app
from spinefix.errors import UsageError
from spinefix.report import comparison_tables, write_report


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def refusal(folder: Path) -> str:
    """The one message of both commands; nothing is printed or written beside it."""
    with pytest.raises(UsageError) as first:
        comparison_tables(folder)
    with pytest.raises(UsageError) as second:
        write_report(folder)
    assert str(first.value) == str(second.value) and not (folder / "report.html").exists()
    return str(first.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("intact,flexion,7.5,", "intact,flexion,heavy,", 2, "column 'moment_Nm': expected a number, got 'heavy'"),
        ("intact,flexion,7.5,5.7296,", "intact,flexion,7.5,,", 2, "column 'rom_deg': expected a number, got ''"),
        ("intact,flexion,7.5,5.7296,", "intact,flexion,7.5,nan,", 2, "expected a finite number, got 'nan'"),
        ("intact,flexion,7.5,5.7296,", "intact,flexion,7.5,1e999,", 2, "expected a finite number, got '1e999'"),
        ("intact,flexion,7.5,5.7296,", 'intact,flexion,7.5,"5,7296",', 2, "column 'rom_deg': expected a number"),
        ("intact,flexion,7.5,5.7296,", "intact,flexion,7.5,5,7296,", 2, "expected 8 cells, as in line 1, got 9"),
        (",5.7296,1.309,1.0,True,4.0", "", 2, "expected 8 cells, as in line 1, got 3"),
        ("1.0,True,4.0", "1.0,perhaps,4.0", 2, "column 'converged': expected true or false, got 'perhaps'"),
        ("intact,axial_left,", "intact,flexion,", 3, "intact, flexion stands in line 2 already"),
        ("intact,flexion,", ",flexion,", 2, "column 'arm': expected a name"),
        ("intact,flexion,", "stranger,flexion,", 2, "expected an arm of manifest.json (intact, posterior, anterior)"),
        ("arm,direction,", "arm,motion,", 1, "column 'direction' is missing; expected: arm, direction, moment_Nm"),
        ("arm,direction,moment_Nm", "arm,arm,direction,moment_Nm", 1, "column 'arm' stands there twice"),
        ("intact,flexion", 'intact,"flexion', 7, "not a CSV table: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_bad_comparison_names_file_and_line(run_folder, old, new, line, expected):
    replace(run_folder / "comparison.csv", old, new)
    text = refusal(run_folder)
    assert text.startswith(f"{run_folder / 'comparison.csv'}:{line}: ") and expected in text, text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (",flexion,0.5,", ",flexion,half,", "metrics.csv:2: column 'load_factor': expected a number, got 'half'"),
        (",L2-L3,", ",,", "metrics.csv:2: column 'region': expected a name, got ''"),
        (",deg\n", ",\n", "metrics.csv:2: column 'unit': expected a name, got ''"),
        (",flexion,1.0,", ",flexion,0.5,", "stands in line 2 already"),
        ("metric,", "what,", "metrics.csv:1: column 'metric' is missing"),
    ],
)
def test_bad_metrics_too(run_folder, old, new, expected):
    path = run_folder / "metrics.csv"
    path.write_text(path.read_text().replace("\r\n", "\n"))
    replace(path, old, new)
    assert expected in refusal(run_folder)


@pytest.mark.parametrize("name", ["comparison.csv", "metrics.csv", "manifest.json"])
def test_files_that_are_no_text_are_told(run_folder, name):
    (run_folder / name).write_bytes(b"arm,direction\n\xff\xfe\x00\x01")
    assert re.match(rf"{re.escape(str(run_folder / name))}:\d+: expected text in UTF-8", refusal(run_folder))


def test_an_empty_comparison_is_told(run_folder):
    (run_folder / "comparison.csv").write_text("")
    assert "comparison.csv:1: column 'arm' is missing" in refusal(run_folder)


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (("arms", "posterior", "checks", 1, "passed"), "no",
         "arms.posterior.checks[1].passed: should be a valid boolean"),
        (("arms", "posterior", "checks", 1, "value"), "small",
         "arms.posterior.checks[1].value: should be a valid number"),
        (("arms", "posterior"), 3, "arms.posterior: should be an object"),
        (("seconds", "arms", "solve"), "long", "seconds.arms.solve: should be a valid number"),
        (("warnings",), "a warning", "warnings: should be a valid array"),
        (("materials", 0, "assumed"), 0, "materials[0].assumed: should be a valid boolean"),
    ],
)  # fmt: skip
def test_a_bad_manifest_names_line_and_key(run_folder, keys, value, expected):
    path = run_folder / "manifest.json"
    content = part = json.loads(path.read_text())
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(content, indent=1))
    text = refusal(run_folder)
    line, _, rest = text.removeprefix(f"{path}:").partition(": ")
    assert rest == expected
    last = next(f'"{k}"' for k in reversed(keys) if isinstance(k, str))
    assert last in path.read_text().splitlines()[int(line) - 1]


def test_a_manifest_that_breaks_off_is_told_with_its_place(run_folder):
    path = run_folder / "manifest.json"
    path.write_text(path.read_text()[:300])
    assert re.match(rf"{re.escape(str(path))}:1:\d+: not JSON: ", refusal(run_folder))


def test_a_check_without_a_result_is_no_passed_check(run_folder):
    path = run_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["arms"]["posterior"]["checks"][0]["passed"]
    path.write_text(json.dumps(manifest))
    assert "arms.posterior.checks[0]: required key 'passed' is missing" in refusal(run_folder)


def test_overlapping_lesions_are_in_the_report(run_folder):
    path = run_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["segment"]["lesion_unions"] = [
        {"part": "L3.body", "lesions": [0, 1], "overlapping": [0, 1], "volume_fraction": 0.3, "overlap_fraction": 0.05}
    ]
    path.write_text(json.dumps(manifest))
    html = write_report(run_folder).read_text()
    assert "Lesions overlap in 5.0 % of L3" in html and "Together they take 30.0 % of it" in html


def test_an_arm_that_could_not_be_built_is_told_in_one_line(run_folder):
    path = run_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["arms"]["anterior"] = {"error": "a.yaml:3:5: arms.anterior: no\n      3 |  x\n        |  ^"}
    path.write_text(json.dumps(manifest))
    html = write_report(run_folder).read_text()
    assert "a.yaml:3:5: arms.anterior: no" in html and "3 |  x" not in html


@pytest.mark.parametrize("command", ["compare", "report", "view"])
@pytest.mark.parametrize("name", ["comparison.csv", "metrics.csv", "manifest.json"])
def test_damaged_files_never_give_a_traceback(capsys, run_folder, name, command, monkeypatch):
    """Random damage: every outcome is a table or exit code 2 with the file's name."""
    monkeypatch.setenv("SPINEFIX_DEBUG", "1")  # an unforeseen error is raised
    path = run_folder / name
    good = path.read_bytes()
    dice = random.Random(f"{name} {command}")
    junk = [b"", b"\x00", b'"', b",", b"\n", b"{", b"1e400", b"\xff", b"-"]
    arguments = ["view", "--arm", "none"] if command == "view" else [command]  # an arm that is not there: draws nothing
    for _ in range(40):
        bad = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            i, j = sorted(dice.sample(range(len(bad)), 2))
            bad[i : dice.choice((j, i + 1))] = dice.choice(junk)
        path.write_bytes(bytes(bad))
        code = app.run_command([arguments[0], str(run_folder), *arguments[1:]])
        err = capsys.readouterr().err
        assert code in (0, 2) and (code == 0 or err.startswith("error: ")), err
