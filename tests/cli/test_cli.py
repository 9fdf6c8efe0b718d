"""Commands, messages and exit codes, as a person at a terminal meets them."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from spinefix import errors
from spinefix.cli import app, common, init, listing
from spinefix.cli import run as run_module
from spinefix.scenario.loader import load_study, parse_study

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
HEAVY = ("numpy", "scipy", "numba", "vtkmodules", "pyvista", "matplotlib", "pydantic", "ruamel")


def run(capsys, *arguments):
    code = app.run_command([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_help_is_light():
    script = (
        "import sys; from spinefix.cli.app import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        f"sys.exit(' '.join(m for m in {HEAVY!r} if m in sys.modules) or 0)"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3


@pytest.mark.parametrize(
    "command", ["run", "validate", "compare", "view", "report", "list", "schema", "init", "doctor"]
)
def test_every_command_has_help(capsys, command):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0 and "Usage:" in out


def test_version(capsys):
    assert "0.1.0" in run(capsys, "--version")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "No such command 'rum'"),
        (["run"], "Missing argument"),
        (["list", "implants"], "'implants' is not one of"),
        (["validate", "none.yaml"], "none.yaml: No such file"),
        (["compare", "none"], "does not exist"),
        (["run", "scenario.yaml", "--threads", "0"], "--threads"),
        (["view", ".", "--screenshot", "picture"], "picture: pictures are PNG"),
    ],
)
def test_wrong_requests_exit_with_2(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2 and words in err


def test_mistakes_of_a_scenario_are_listed_with_their_lines(capsys, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(init.template("bad").replace("volume_pct", "volum_pct").replace("moment_Nm: 7.5", "moment_Nm: x"))
    code, out, err = run(capsys, "validate", file)
    assert code == 2 and out == ""
    assert f"{file}:" in err and "did you mean 'volume_pct'?" in err
    assert "3 mistakes in the scenario; nothing was run" in err


def test_set_and_resolution_reach_the_study():
    study = common.load(SCENARIOS[0], ("name=other",), "4")
    assert study.name == "other" and study.segment.refinement() == 4
    with pytest.raises(errors.ScenarioError, match="--set segment.resolution=9"):
        common.load(SCENARIOS[0], (), "9")


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (errors.SpinefixError("a"), 1),
        (errors.UsageError("a"), 2),
        (errors.ConvergenceError("a"), 3),
        (errors.CheckError("a"), 4),
        (errors.SweepIncomplete("a"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_foreseen_errors_become_exit_codes(capsys, monkeypatch, raised, code):
    monkeypatch.setattr(listing, "KINDS", {"levels": lambda: (_ for _ in ()).throw(raised)})
    got, _, err = run(capsys, "list", "levels")
    assert got == code and "Traceback" not in err


def test_unforeseen_errors_leave_a_log_and_no_traceback(capsys, monkeypatch):
    monkeypatch.delenv("SPINEFIX_DEBUG", raising=False)
    monkeypatch.setattr(listing, "KINDS", {"levels": lambda: 1 / 0})
    code, _, err = run(capsys, "list", "levels")
    assert code == 1 and "ZeroDivisionError" in err and "Traceback" not in err
    log = Path(err.strip().rpartition(": ")[2])
    assert "Traceback" in log.read_text()
    log.unlink()
    monkeypatch.setenv("SPINEFIX_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        app.run_command(["list", "levels"])


@pytest.mark.parametrize("kind", list(listing.KINDS))
def test_lists_are_filled_from_the_registries(capsys, kind):
    code, out, _ = run(capsys, "list", kind)
    assert code == 0 and out.strip()


def test_lists_mark_what_is_from_memory(capsys):
    titanium = next(x for x in run(capsys, "list", "materials")[1].splitlines() if x.startswith("ti6al4v"))
    assert "E 110000 MPa," in titanium and "nu 0.3*" in titanium


def test_schema_is_json_and_goes_to_a_file(capsys, tmp_path):
    code, out, _ = run(capsys, "schema")
    assert code == 0 and json.loads(out)["properties"]["schema_version"]["const"] == 1
    run(capsys, "schema", "--out", tmp_path / "s.json")
    assert (tmp_path / "s.json").read_text() == out


def test_init_writes_a_valid_commented_scenario_and_its_schema(capsys, tmp_path):
    file = tmp_path / "new" / "patient 7.yaml"
    assert run(capsys, "init", file)[0] == 0
    first = file.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=spinefix.schema.json"
    assert json.loads((file.parent / "spinefix.schema.json").read_text())
    study = load_study(file)
    assert study.name == "patient_7"
    assert list(study.arms) == ["intact", "untreated", "posterior", "anterior"]
    code, _, err = run(capsys, "init", file)
    assert code == 2 and "--force" in err
    assert run(capsys, "init", file, "--force")[0] == 0


@pytest.mark.parametrize("stem", ["7up", "ä", "x" * 90, "a.b"])
def test_init_makes_a_legal_name_of_any_file_name(stem):
    assert parse_study(init.template(stem)).name


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda f: f.stem)
def test_scenarios_are_named_after_their_file_and_can_be_built_without_a_warning(capsys, file):
    study = load_study(file)
    assert study.name == file.stem and study.title
    code, out, err = run(capsys, "validate", file, "--resolution", "coarse")
    assert code == 0 and err == "" and "fine" in out and "Implants as built" in out


def test_the_four_scenarios_are_there():
    assert {f.stem for f in SCENARIOS} >= {"l3_lytic", "two_level_l2_l3", "multiple_metastases", "astm_f1717"}


HALF_A_RUN = (
    "arm,direction,moment_Nm,rom_deg,stiffness_Nm_per_deg,stiffness_ratio_to_intact,converged\n"
    "intact,flexion,7.5,12,0.6,,true\n"
)


def test_tables_of_a_run_that_was_stopped_say_so(capsys, tmp_path):
    (tmp_path / "comparison.csv").write_text(HALF_A_RUN)
    code, out, err = run(capsys, "compare", tmp_path)
    assert code == 0 and "12.0" in out and "was stopped" in err


def test_a_terminal_without_unicode_gets_question_marks(tmp_path):
    (tmp_path / "comparison.csv").write_text(HALF_A_RUN)
    command = [sys.executable, "-m", "spinefix", "compare", str(tmp_path)]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Range of motion [?] at 7.5 N?m" in done.stdout, done.stderr


def test_run_refuses_a_folder_that_is_not_a_run(capsys, tmp_path):
    (tmp_path / "fields").mkdir()
    code, _, err = run(capsys, "run", SCENARIOS[0], "--out", tmp_path)
    assert code == 2 and "not a run folder" in err
    assert (tmp_path / "fields").exists()


def test_run_takes_the_folder_of_a_run_that_was_stopped_early(tmp_path):
    (tmp_path / "scenario.yaml").touch()
    (tmp_path / "fields").mkdir()
    run_module._check_free(tmp_path)


def test_a_place_that_cannot_be_written_is_told_without_a_log(capsys, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "run", SCENARIOS[0], "--out", tmp_path / "file" / "runs")
    assert code == 1 and "Not a directory" in err and str(tmp_path) in err and "unforeseen" not in err


@pytest.mark.parametrize("solver", ["pardiso", "cholmod"])
def test_a_solver_that_is_not_installed_is_one_mistake_before_anything_is_done(capsys, tmp_path, monkeypatch, solver):
    monkeypatch.setattr("spinefix.fem.linsolve.available", lambda: ("superlu",))
    scenario = tmp_path / "bench.yaml"
    text = (ROOT / "scenarios" / "astm_f1717.yaml").read_text()
    scenario.write_text(f"{text}solver:\n  linear_solver: {solver}\n")
    line = len(scenario.read_text().splitlines())
    code, out, err = run(capsys, "run", scenario, "--out", tmp_path / "out")
    assert code == 2 and out == "" and not (tmp_path / "out").exists()
    assert err.startswith(f"{scenario}:{line}:18: solver.linear_solver: linear solver {solver!r} is not available here")
    assert "there are: auto, superlu" in err and f"pip install {INSTALLED_AS[solver]}" in err
    assert err.count("pip install") == 1


INSTALLED_AS = {"pardiso": "pypardiso", "cholmod": '"scikit-sparse<0.5"'}


def test_a_solver_whose_library_is_broken_is_told_before_too(capsys, tmp_path, monkeypatch):
    def broken():
        raise OSError("libmkl_rt.so: cannot open shared object file")

    monkeypatch.setattr("spinefix.fem.linsolve._load_mkl", broken)
    monkeypatch.setattr("spinefix.fem.linsolve.available", lambda: ("pardiso", "superlu"))
    arguments = ["run", ROOT / "scenarios" / "astm_f1717.yaml", "--out", tmp_path / "out"]
    code, _, err = run(capsys, *arguments, "--set", "solver.linear_solver=pardiso")
    assert code == 2 and "cannot be loaded: libmkl_rt.so" in err and not (tmp_path / "out").exists()


def test_an_arm_that_cannot_be_built_is_told_with_its_place_and_the_others_are_solved(capsys, tmp_path):
    scenario = ROOT / "scenarios" / "astm_f1717.yaml"
    change = "arms.cocr_5_5.screws.levels=[upper]"
    quiet = ("--set", "outputs.pictures=false", "--set", "outputs.vtu=false")
    code, _, err = run(capsys, "run", scenario, "--out", tmp_path / "out", "--set", change, *quiet)
    place = f"--set {change}: arms.cocr_5_5.screws.levels: a rod needs at least two levels, got upper"
    assert code == 2 and f"failed: cocr_5_5: {place}" in err
    records = json.loads((tmp_path / "out" / "manifest.json").read_text())["arms"]
    assert [name for name, record in records.items() if "error" in record] == ["cocr_5_5"]
    assert "got upper" in (tmp_path / "out" / "report.html").read_text()


def test_what_could_not_be_drawn_is_in_manifest_and_report(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("spinefix.viz.render_figures", lambda folder: ["no driver here: install one"])
    out = tmp_path / "bench"
    scenario = ROOT / "scenarios" / "astm_f1717.yaml"
    code, _, err = run(capsys, "run", scenario, "--out", out, "--set", "outputs.vtu=false")
    assert code == 0 and "warning: no driver here: install one" in err
    manifest = json.loads((out / "manifest.json").read_text())
    assert "no driver here: install one" in manifest["warnings"] and manifest["seconds"]["pictures"] >= 0.0
    assert "no driver here: install one" in (out / "report.html").read_text()


def test_run_of_the_bench_test(capsys, tmp_path):
    """The whole way, on the smallest model there is: solve, tables, report."""
    out = tmp_path / "bench"
    scenario = ROOT / "scenarios" / "astm_f1717.yaml"
    code, text, err = run(capsys, "run", scenario, "--out", out, "--set", "outputs.pictures=false")
    assert code == 0, err
    assert {"comparison.csv", "metrics.csv", "manifest.json", "report.html", "fields"} <= {
        p.name for p in out.iterdir()
    }
    assert "axial stiffness" in text
    seconds = json.loads((out / "manifest.json").read_text())["seconds"]
    assert seconds["report"] > 0.0 and "pictures" not in seconds
    assert seconds["total"] > seconds["report"] + seconds["segment"]
    rows = [line.split(",") for line in (out / "metrics.csv").read_text().splitlines()]
    stiffness = {row[0]: float(row[5]) for row in rows if row[3] == "axial_stiffness"}
    # Rigid blocks give 37.3, 47.8, 55.4, 61.1 and 55.0 N/mm in closed form; polyethylene can only be softer.
    rigid = {"titanium_5_5": 37.3, "titanium_6_0": 47.8, "titanium_6_35": 55.4, "cocr_5_5": 61.1, "steel_5_5": 55.0}
    for arm, bound in rigid.items():
        assert 0.75 * bound < stiffness[arm] < bound, arm
    assert run(capsys, "compare", out)[0] == 0
