"""Every rung of the ladder passes, and a ladder that fails says so."""

import json

import pytest
from click.testing import CliRunner

from spinefix.cli.app import run_command
from spinefix.cli.verify import command
from spinefix.errors import UsageError
from spinefix.verification import Row, Rung, all_rungs, climb, find, ladder


@pytest.mark.parametrize("rung", all_rungs(), ids=lambda rung: rung.name)
def test_rung(rung):
    (outcome,) = climb([rung])
    failed = [f"{r.quantity}: {r.ours:.8g}, reference {r.reference:.8g}" for r in outcome.rows if not r.passed]
    assert outcome.passed, [outcome.failure, *failed]


def test_errors_are_relative_and_nan_never_passes():
    assert Row("a", 2.0, 2.1, 0.06).passed
    assert not Row("a", 2.0, 2.1, 0.04).passed
    assert Row("a", 0.0, 1e-3, 1e-3).error == 1e-3
    assert not Row("a", 1.0, float("nan"), 1.0).passed
    assert Row("a", 1.0, 3.0, 0.1, scale=100.0).error == pytest.approx(0.02)


def test_order_is_bounded_from_below_only():
    assert ladder.convergence("x", 2.0, [1.0, 0.2], 0.1).passed
    assert ladder.convergence("x", 2.0, [1.0, 0.2], 0.1).order == pytest.approx(2.3219, abs=1e-4)
    assert not ladder.convergence("x", 2.0, [1.0, 0.3], 0.1).passed


@pytest.fixture
def bad_rungs(monkeypatch):
    """A ladder of two rungs that fail: by a number, and by an error of the core."""

    def wrong():
        yield Row("tip", 1.0, 1.5, 0.1)

    def broken():
        yield Row("tip", 1.0, 1.0, 0.1)
        raise UsageError("nothing to solve")

    both = (Rung("wrong", "a wrong number", "none", wrong), Rung("broken", "an error", "none", broken))
    monkeypatch.setattr(ladder, "_RUNGS", {r.name: r for r in both})


def test_failures_give_exit_code_4_and_are_written(bad_rungs, tmp_path, capsys):
    assert run_command(["verify", "--json", str(tmp_path / "v.json")]) == 4
    shown = capsys.readouterr()
    assert "FAIL" in shown.out and "nothing to solve" in shown.err
    written = json.loads((tmp_path / "v.json").read_text())
    assert [r["passed"] for r in written] == [False, False]
    assert written[1]["rows"][0]["passed"] and "nothing to solve" in written[1]["failure"]


def test_rungs_are_listed_and_chosen_by_name():
    listed = CliRunner().invoke(command, ["--list"], catch_exceptions=False)
    assert "patch-small" in listed.output
    assert [r.name for r in find(["patch-small"])] == ["patch-small"]
    assert len(find(["patch"])) >= 4
    with pytest.raises(UsageError, match="did you mean patch-small"):
        find(["ptch-small"])
    assert run_command(["verify", "--only", "ptch-small"]) == 2
