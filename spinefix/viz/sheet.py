"""Lay rendered panels out on one sheet: titles, sides, levels, one colour bar, a millimetre bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FormatStrFormatter

from spinefix.viz import scene, style
from spinefix.viz.folder import RunFolder

INCH_PER_PIXEL = 1.0 / 170.0
LEGEND: dict[str, tuple[str, float]] = {
    "bone": (style.BONE, 0.8),
    "test blocks": (style.BONE, 0.8),
    "disc": (style.DISC, 0.6),
    "lesion, weakened": (style.LESION_LYTIC, 0.8),
    "lesion, stiffened": (style.LESION_BLASTIC, 0.8),
    "implants": (style.METAL, 1.0),
}
"""Name -> colour and opacity of its patch."""

MARGIN = {"left": 0.55, "right": 1.25, "top": 0.95, "bottom": 0.75, "gap": 0.28}
"""White space [inch]."""


def draw_case(
    run: RunFolder,
    scales: scene.Scales,
    arm: str,
    direction: str,
    target: Path,
    *,
    surface: scene.Surface = "implants",
    views: Sequence[str] = (),
    height: int = 640,
) -> None:
    """Write a picture of one arm under one load, seen from several sides."""
    grid = scene.read_grid(run, arm, direction)
    usual = ("lateral", "posterior", "oblique") if surface == "implants" else ("lateral", "oblique")  # show the cut
    sights = [scene.VIEWS[v] for v in views or usual]
    row = scene.panels(grid, scales, sights, surface=surface, height=height)
    peak = peak_note(grid, surface)
    title = ", ".join(filter(None, [style.label(arm), style.label(direction), _load(run, direction), peak]))
    sheet = _sheet(
        [row],
        [v.name for v in sights],
        [""] * len(row),
        title,
        scales,
        surface,
        level_marks(run.regions(arm), grid),
        shown_parts(grid, surface, hard_tissue(run.regions(arm))),
    )
    _save(sheet, target)


def draw_comparison(
    run: RunFolder,
    scales: scene.Scales,
    direction: str,
    target: Path,
    *,
    arms: Sequence[str] = (),
    surface: scene.Surface = "implants",
    views: Sequence[str] = (),
    height: int = 480,
) -> None:
    """Write one picture of all arms under one load: the same cameras, deformation factor and colour range."""
    shown = [a for a in (arms or run.arms) if (a, direction) in run.cases()]
    usual = ("lateral", "posterior") if surface == "implants" else ("lateral",)
    sights = [scene.VIEWS[v] for v in views or usual]
    columns: list[list[scene.Panel]] = []
    notes: list[str] = []
    marks: dict[str, scene.F64] = {}
    parts: list[str] = []
    for arm in shown:
        grid = scene.read_grid(run, arm, direction)
        columns.append(scene.panels(grid, scales, sights, surface=surface, height=height))
        notes.append(peak_note(grid, surface))
        marks = {**level_marks(run.regions(arm), grid), **marks}
        parts += [p for p in shown_parts(grid, surface, hard_tissue(run.regions(arm))) if p not in parts]
    if not columns:
        scene.read_grid(run, run.arms[0], direction)  # says which fields there are
    rows = [list(row) for row in zip(*columns, strict=True)]
    title = ", ".join(filter(None, [run.title, style.label(direction), _load(run, direction)]))
    _save(_sheet(rows, [style.label(a) for a in shown], notes, title, scales, surface, marks, parts), target)


def peak_note(grid: Any, surface: scene.Surface) -> str:
    """The largest stress of the coloured parts, because the colour range ends at a percentile."""
    part, von_mises = np.asarray(grid["part"]), np.asarray(grid["von_mises"], float)
    chosen = part >= scene.IMPLANT_SOLID if surface == "implants" else part == scene.BONE
    if not chosen.any():
        return "no implant" if surface == "implants" else ""
    return f"max {_rounded(float(np.nanmax(von_mises[chosen])))} MPa"


def hard_tissue(regions: Mapping[int, str]) -> str:
    """What stands in the place of bone."""
    return "test blocks" if any(name.endswith(".block") for name in regions.values()) else "bone"


def shown_parts(grid: Any, surface: scene.Surface, hard: str = "bone") -> list[str]:
    """What of one case needs a word in the legend: everything that is not coloured by stress."""
    part = np.asarray(grid["part"])
    scale = np.asarray(grid["scale"]) if "scale" in grid.cell_data else np.ones(len(part))
    tissue, implants = part <= scene.DISC, part >= scene.IMPLANT_SOLID
    found = {
        hard: surface == "implants" and (part == scene.BONE).any(),
        "disc": (part == scene.DISC).any(),
        "lesion, weakened": surface == "implants" and (tissue & (scale < scene.LYTIC_BELOW)).any(),
        "lesion, stiffened": surface == "implants" and (tissue & (scale > scene.BLASTIC_ABOVE)).any(),
        "implants": surface == "bone" and implants.any(),
    }
    return [name for name, there in found.items() if there]


def level_marks(regions: Mapping[int, str], grid: Any) -> dict[str, scene.F64]:
    """Middle of each vertebral body [mm], undeformed, by level."""
    if "region_id" not in grid.cell_data:
        return {}
    ids = np.asarray(grid["region_id"])
    centres = np.asarray(grid.cell_centers().points, float)
    levels: dict[str, list[int]] = {}
    for number, name in regions.items():
        level, _, rest = name.partition(".")
        if rest.split(".")[0] == "body":
            levels.setdefault(level, []).append(number)
    found = {level: np.isin(ids, numbers) for level, numbers in levels.items()}
    return {level: centres[mask].mean(axis=0) for level, mask in found.items() if mask.any()}


def _load(run: RunFolder, direction: str) -> str:
    moment = next((r.moment_Nm for r in run.rows if r.direction == direction), None)
    if moment is not None:
        return f"{moment:g} N·m"
    kind = direction.partition("_")[0]
    forces = [load.force_N for load in run.loads if load.kind == kind]
    return f"{forces[0]:g} N" if forces and forces[0] is not None else ""


def _rounded(value: float) -> str:
    return f"{value:.0f}" if value >= 100.0 else f"{value:.3g}"


def _sheet(
    rows: Sequence[Sequence[scene.Panel]],
    titles: Sequence[str],
    notes: Sequence[str],
    title: str,
    scales: scene.Scales,
    surface: scene.Surface,
    marks: Mapping[str, scene.F64],
    parts: Sequence[str],
) -> Figure:
    """Place the panels at their own size, so that one millimetre is as long everywhere."""
    widths = [max(row[i].image.shape[1] for row in rows) * INCH_PER_PIXEL for i in range(len(rows[0]))]
    heights = [max(p.image.shape[0] for p in row) * INCH_PER_PIXEL for row in rows]
    gap = MARGIN["gap"]
    total_w = max(MARGIN["left"] + sum(widths) + gap * (len(widths) - 1) + MARGIN["right"], 6.5)
    big = min(max(total_w / 12.0, 1.0), 1.3)  # wide sheets are shown reduced
    total_h = MARGIN["top"] * big + sum(heights) + gap * (len(heights) - 1) + MARGIN["bottom"]
    figure = Figure(figsize=(total_w, total_h), facecolor=style.PAPER)
    FigureCanvasAgg(figure)
    y = total_h - MARGIN["top"] * big
    for i, row in enumerate(rows):
        y -= heights[i]
        x = MARGIN["left"]
        for j, panel in enumerate(row):
            w, h = (n * INCH_PER_PIXEL for n in panel.image.shape[1::-1])
            left, bottom = x + 0.5 * (widths[j] - w), y + 0.5 * (heights[i] - h)
            axes = figure.add_axes((left / total_w, bottom / total_h, w / total_w, h / total_h))
            _place(axes, panel, marks if j == 0 else {}, big)
            if i == 0:
                middle, top = (x + 0.5 * widths[j]) / total_w, (y + heights[0]) / total_h
                heading: dict[str, Any] = {"ha": "center", "va": "bottom", "color": style.INK}
                figure.text(
                    middle,
                    top + (0.04 + 0.17 * big) / total_h,
                    titles[j],
                    fontsize=10.5 * big,
                    fontweight="bold",
                    **heading,
                )
                figure.text(middle, top + 0.03 / total_h, notes[j], fontsize=8.5 * big, **heading)
            if j == 0 and i == len(rows) - 1:
                _millimetre_bar(axes, panel)
            x += widths[j] + gap
        y -= gap
    figure.text(MARGIN["left"] / total_w, 1.0 - 0.18 / total_h, title, fontsize=13 * big, va="top", color=style.INK)
    _colour_bar(figure, total_w, total_h, scales.limits(surface), surface)
    _legend(figure, total_w, total_h, scales, parts)
    return figure


def _place(axes: Any, panel: scene.Panel, marks: Mapping[str, scene.F64], big: float) -> None:
    axes.imshow(panel.image, interpolation="none")
    axes.set_axis_off()
    left, right = panel.view.sides
    grey = {"fontsize": 8 * big, "color": "#5A6068", "transform": axes.transAxes}
    axes.text(0.0, 0.0, left, ha="left", va="top", **grey)
    axes.text(1.0, 0.0, right, ha="right", va="top", **grey)
    if panel.view.name != "oblique":
        for level, centre in marks.items():
            _, row = panel.pixel(centre)
            axes.text(-4, row, level, ha="right", va="center", fontsize=9 * big, color=style.INK)


def _millimetre_bar(axes: Any, panel: scene.Panel, length_mm: float = 20.0) -> None:
    h, w = panel.image.shape[:2]
    n = length_mm / panel.pixel_mm
    axes.plot([0.5 * (w - n), 0.5 * (w + n)], [h - 2, h - 2], color=style.INK, linewidth=2.0, clip_on=False)
    axes.text(0.5 * w, h + 6, f"{length_mm:g} mm", ha="center", va="top", fontsize=8, color=style.INK)
    axes.set_xlim(-0.5, w - 0.5)
    axes.set_ylim(h - 0.5, -0.5)


def _colour_bar(
    figure: Figure, width: float, height: float, limits: tuple[float, float], surface: scene.Surface
) -> None:
    tall = min(3.2, 0.7 * height)
    axes = figure.add_axes((1.0 - 0.92 / width, 0.5 - 0.5 * tall / height, 0.16 / width, tall / height))
    if surface == "implants":
        colours, extend = ScalarMappable(Normalize(*limits), style.STRESS_MAP), "max"
    else:
        colours, extend = ScalarMappable(LogNorm(*limits), style.BONE_STRESS_MAP), "both"
    bar = figure.colorbar(colours, cax=axes, extend=extend)
    bar.set_label(f"von Mises stress, {'implants' if surface == 'implants' else 'bone'} [MPa]", fontsize=9)
    if surface == "bone":
        bar.ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    bar.ax.tick_params(labelsize=8)


def _legend(figure: Figure, width: float, height: float, scales: scene.Scales, parts: Sequence[str]) -> None:
    patches = [Patch(facecolor=LEGEND[p][0], alpha=LEGEND[p][1], label=p) for p in LEGEND if p in parts]
    legend = figure.legend(
        handles=patches,
        loc="lower left",
        bbox_to_anchor=(MARGIN["left"] / width, 0.06 / height),
        ncols=max(len(patches), 1),
        fontsize=8,
        frameon=False,
        borderpad=0.0,
        handlelength=1.2,
    )
    note = f"deformation × {scales.deformation:g}; colours end at the 99th percentile over all arms and directions"
    text = figure.text(1.0 - 0.2 / width, 0.1 / height, note, fontsize=8, ha="right", va="bottom", color="#5A6068")
    if legend.get_window_extent().x1 > text.get_window_extent().x0:  # a narrow sheet: one above the other
        text.set_y(0.27 / height)


def _save(figure: Figure, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=round(1.0 / INCH_PER_PIXEL))
