"""Run folder in, figures out; nothing that a renderer does may stop a run."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from spinefix.errors import UsageError
from spinefix.viz import charts, comparison_figure, draw, figures, render_figures, worker
from spinefix.viz import probe as rendering
from spinefix.viz.folder import read_run
from spinefix.viz.probe import HOW_TO_INSTALL, Probe, probe


@pytest.fixture
def own_folder(run_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_folder, tmp_path / "run"))


@pytest.fixture
def crashing_python(tmp_path: Path) -> str:
    """An interpreter that ends like VTK without a driver does."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_only_the_full_load_is_kept(run_folder):
    run = read_run(run_folder)
    values = [m.value for m in run.select("rom_level", arm="intact", direction="flexion")]
    assert values == pytest.approx([np.degrees(0.10)])
    assert run.title == "Two blocks with a lesion"
    assert run.arms == ("intact", "posterior", "anterior")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="comparison.csv"):
        read_run(tmp_path)


def test_importing_viz_loads_no_graphics():
    code = "import sys, spinefix.viz, spinefix.report; print({'pyvista', 'matplotlib'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_stiffness_bars_are_the_numbers_of_the_table(run_folder):
    run = read_run(run_folder)
    axes = charts.stiffness_ratio(run).axes[0]
    bars = {c.get_label(): [p.get_height() for p in c.patches] for c in axes.containers if c.get_label()[0] != "_"}
    assert bars == {"intact": [1.0, 1.0], "posterior": [5.0, 5.0], "anterior": [3.3333, 3.3333]}


def test_shares_against_the_load_hang_below_zero(run_folder):
    figure = charts.load_sharing(read_run(run_folder), "load_share_moment", "L3")
    patches = [p for p in figure.axes[0].patches if p.get_height()]
    spans = [(min(p.get_y(), p.get_y() + p.get_height()), max(p.get_y(), p.get_y() + p.get_height())) for p in patches]
    assert min(low for low, _ in spans) == pytest.approx(-5.0)
    assert max(high for _, high in spans) == pytest.approx(105.0)


def test_a_crash_of_the_renderer_costs_a_warning(own_folder, crashing_python, monkeypatch):
    monkeypatch.setattr(worker, "probe", lambda: Probe(True, "any", {}, ""))
    monkeypatch.setattr(worker.sys, "executable", crashing_python)
    warnings = render_figures(own_folder)
    assert len(warnings) == 1 and "scene_flexion.png" in warnings[0] and "signal 11" in warnings[0]
    assert (own_folder / "figures" / "stiffness_ratio.png").stat().st_size > 5000


def test_the_probe_survives_a_crash_and_says_what_to_install(crashing_python, monkeypatch):
    monkeypatch.setattr(rendering.sys, "executable", crashing_python)
    monkeypatch.setattr(rendering.sys, "platform", "linux")
    answer = rendering._search()
    assert not answer.ok and "signal 11" in answer.message and HOW_TO_INSTALL in answer.message


def test_unknown_names_are_refused_before_anything_is_drawn(run_folder, monkeypatch):
    monkeypatch.setattr(figures.worker, "draw_jobs", lambda *_: pytest.fail("drawn"))
    for call in (
        lambda: draw(run_folder, "postrior", "flexion"),
        lambda: draw(run_folder, "posterior", "extension"),
        lambda: draw(run_folder, "posterior", "flexion", "stress"),
        lambda: draw(run_folder, "posterior", "flexion", views=["above"]),
        lambda: comparison_figure(run_folder, "extension"),
    ):
        with pytest.raises(UsageError):
            call()


def test_unknown_names_get_a_suggestion(run_folder):
    with pytest.raises(UsageError, match="did you mean 'posterior'"):
        draw(run_folder, "posteror", "flexion")
    with pytest.raises(UsageError, match="did you mean 'axial_left'"):
        comparison_figure(run_folder, "axial")
    with pytest.raises(UsageError, match="did you mean 'von_mises'"):
        draw(run_folder, "posterior", "flexion", "mises")


def test_all_pictures_of_a_run(own_folder):
    if not probe().ok:
        pytest.skip(probe().message)
    assert render_figures(own_folder) == []
    names = {p.stem for p in (own_folder / "figures").iterdir()}
    assert {
        "stiffness_ratio",
        "rom",
        "implant_stress",
        "load_sharing_moment_L3",
        "scene_flexion",
        "bone_flexion",
    } <= names
    one = draw(own_folder, "posterior", "flexion", screenshot=own_folder / "one.png", views=["oblique"])
    assert one.stat().st_size > 10_000


def test_the_factor_on_displacements_is_round_and_never_shrinks():
    scene = pytest.importorskip("spinefix.viz.scene")
    assert [scene.nice_factor(x) for x in (0.3, 1.0, 1.99, 2.0, 7.0, 10.0, 49.9, float("inf"))] == [
        1,
        1,
        1,
        2,
        5,
        10,
        20,
        1,
    ]


def test_sides_of_the_views():
    scene = pytest.importorskip("spinefix.viz.scene")
    sides = {name: view.sides for name, view in scene.VIEWS.items()}
    assert sides["lateral"] == ("anterior", "posterior")
    assert sides["posterior"] == ("left", "right")
    assert sides["anterior"] == ("right", "left")
    assert sides["oblique"] == ("", "")


def test_plates_are_flat_and_rods_are_round():
    """A plate of 20 x 4 mm along z, its width along x, bent out by a displacement, and a rod of 6 mm."""
    scene = pytest.importorskip("spinefix.viz.scene")
    points = np.array([[0, 0, 0], [0, 0, 30], [50, 0, 0], [50, 0, 30]], float)
    grid = scene.pv.UnstructuredGrid(np.array([2, 0, 1, 2, 2, 3]), np.array([3, 3]), points)
    grid.cell_data["radius"] = np.array([2.0, 3.0])
    grid.cell_data["half_width"] = np.array([[10.0, 0, 0], [0, 0, 0]])
    grid.cell_data["von_mises"] = np.array([80.0, 40.0])
    grid.point_data["displacement"] = np.zeros((4, 3))
    drawn = scene.bars(grid, 1.0)
    plate = drawn.extract_cells(np.asarray(drawn["von_mises"]) == 80.0)
    rod = drawn.extract_cells(np.asarray(drawn["von_mises"]) == 40.0)
    assert plate.bounds == pytest.approx((-10, 10, -2, 2, 0, 30))
    assert rod.bounds == pytest.approx((47, 53, -3, 3, 0, 30), abs=0.05)
    grid.point_data["displacement"] = np.array([[0, 0, 0], [0, 30.0, 0], [0, 0, 0], [0, 0, 0]])
    drawn = scene.bars(grid, 1.0)
    plate = drawn.extract_cells(np.asarray(drawn["von_mises"]) == 80.0)
    assert plate.bounds[2:] == pytest.approx((-(2.0**0.5), 30 + 2.0**0.5, -(2.0**0.5), 30 + 2.0**0.5))


def test_words_of_a_narrow_sheet_do_not_overlap():
    """The legend and the note on the deformation stand beside each other only where there is room."""
    scene = pytest.importorskip("spinefix.viz.scene")
    from matplotlib.figure import Figure

    from spinefix.viz import sheet

    scales = scene.Scales(1.0, 100.0, 10.0, np.zeros((2, 3)))
    for width in (6.5, 14.0):
        figure = Figure(figsize=(width, 5.0))
        FigureCanvasAgg(figure)
        sheet._legend(figure, width, 5.0, scales, ["bone", "disc", "lesion, weakened", "lesion, stiffened"])
        legend, note = figure.legends[0].get_window_extent(), figure.texts[0].get_window_extent()
        assert not legend.overlaps(note), width
