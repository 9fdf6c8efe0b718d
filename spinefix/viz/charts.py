"""Charts of a comparison: stiffness ratio, range of motion, load sharing, implant stress (matplotlib, no screen)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinefix.viz.folder import Metric, RunFolder
from spinefix.viz.style import INK, OKABE_ITO, arm_colours, joined, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
LOG_ABOVE = 25.0
"""Stiffness ratio from which bars near one could not be read on a linear axis."""

VISIBLE_SHARE = 0.05
"""Structures below this share of the load [%] in all arms are left out of the chart."""

SHARES: dict[str, str] = {"load_share_moment": "moment", "load_share_force": "force"}
"""Metric name -> what is shared."""

IMPLANT_GROUP = re.compile(r"implant\.[a-z_]+")
"""A kind of implant part as a whole (``implant.screw``), not a single one (``implant.screw.L2.left``)."""

PART_COLOURS: dict[str, str] = {
    "rods": OKABE_ITO[0],
    "screws": OKABE_ITO[5],
    "prosthesis": OKABE_ITO[3],
    "plate": OKABE_ITO[1],
    "body": "#CDBB8F",
    "bone": "#CDBB8F",
    "disc": OKABE_ITO[2],
    "posterior_elements": "#8C7B55",
    "facet_joints": "#56B4E9",
    "ligaments": OKABE_ITO[4],
}


def draw_all(run: RunFolder) -> list[str]:
    """Write every chart for which `run` has data; return warnings."""
    makers: dict[str, Callable[[RunFolder], Figure | None]] = {
        "stiffness_ratio": stiffness_ratio,
        "rom": rom,
        "implant_stress": implant_stress,
        "implant_moment": implant_moment,
        **{
            f"load_sharing_{what}_{level}".rstrip("_"): _sharing_maker(metric, level)
            for metric, what in SHARES.items()
            for level in sharing_levels(run, metric)
        },
    }
    warnings = []
    for name, make in makers.items():
        try:
            figure = make(run)
            if figure is not None:
                run.figure(name).parent.mkdir(parents=True, exist_ok=True)
                figure.savefig(run.figure(name), dpi=DPI)
        except (ValueError, OSError, RuntimeError) as error:
            warnings.append(f"{name}.png: {type(error).__name__}: {error}")
    return warnings


def stiffness_ratio(run: RunFolder) -> Figure | None:
    """Stiffness of each arm as a ratio to the intact spine, per direction, with the mesh error if it is known."""
    values = _table(run, lambda r: r.stiffness_ratio_to_intact)
    if not np.isfinite(values).any():
        return None
    errors = values * 0.01 * _table(run, lambda r: r.mesh_error_pct)
    figure, axes = _canvas(max(6.5, 1.3 + 0.22 * values.size), 4.0)
    _grouped_bars(axes, run, values, errors)
    axes.axhline(1.0, color=INK, linewidth=1.0, linestyle="--", zorder=3)
    axes.set_ylabel("stiffness / stiffness of intact [1]")
    if np.nanmax(values) > LOG_ABOVE:
        _log_axis(axes, values)
        axes.set_ylabel("stiffness / stiffness of intact [1], log scale")
    axes.set_title(_titled("Stiffness relative to the intact spine", bool(np.isfinite(errors).any())), **_TITLE)
    _arm_legend(axes, run)
    return figure


def rom(run: RunFolder) -> Figure | None:
    """Range of motion of each arm per direction, stacked by level where levels are known."""
    if not run.rows:
        return None
    by_level = run.select("rom_level")
    levels = _regions(by_level)
    if not levels:
        figure, axes = _canvas(max(6.5, 1.3 + 0.22 * len(run.rows)), 4.0)
        totals = _table(run, lambda r: r.rom_deg)
        _grouped_bars(axes, run, totals, totals * np.nan)
        axes.set_ylabel("range of motion [°]")
        axes.set_title("Range of motion", **_TITLE)
        _arm_legend(axes, run)
        return figure
    colours = {level: OKABE_ITO[i % len(OKABE_ITO)] for i, level in enumerate(levels)}
    return _stacks(run, by_level, colours, "rotation at the level [°]", "Range of motion by level")


def sharing_levels(run: RunFolder, metric: str) -> list[str]:
    """Diseased levels at which the sharing of a load is known (an empty name if the regions name no level)."""
    return list(dict.fromkeys(m.region.rpartition(".")[0] for m in run.select(metric)))


def sharing(run: RunFolder, metric: str, level: str) -> list[Metric]:
    """Lines of a sharing metric at one level, with the structure (``rods``, ``body``) as their region."""
    found = [(m, *m.region.rpartition(".")[::2]) for m in run.select(metric)]
    return [replace(m, region=part) for m, at, part in found if at == level]


def merged(metrics: Sequence[Metric]) -> dict[str, list[Metric]]:
    """Lines by direction; directions with the same values (mirror images in a linear model) are one entry.

    Returns
    -------
    dict, names of the directions joined -> lines of the first of them
    """
    groups: list[tuple[list[str], dict[tuple[str, str], float]]] = []
    for direction in dict.fromkeys(m.direction for m in metrics):
        values = {(m.arm, m.region): m.value for m in metrics if m.direction == direction}
        size = max((abs(v) for v in values.values()), default=0.0)
        for names, known in groups:
            if known.keys() == values.keys() and all(abs(known[k] - v) <= 1e-3 * size for k, v in values.items()):
                names.append(direction)
                break
        else:
            groups.append(([direction], values))
    return {joined(n): [m for m in metrics if m.direction == n[0]] for n, _ in groups}


def load_sharing(run: RunFolder, metric: str, level: str) -> Figure | None:
    """Parts of the load that each structure carries across the diseased level, stacked, one panel per direction."""
    found = sharing(run, metric, level)
    parts = _regions([m for m in found if abs(m.value) >= VISIBLE_SHARE])
    if not parts:
        return None
    spare = iter([c for c in OKABE_ITO if c not in PART_COLOURS.values()] + ["#BBBBBB"] * len(parts))
    colours = {p: PART_COLOURS.get(p) or next(spare) for p in parts}
    what = SHARES.get(metric, metric)
    where = f" across {level}" if level else ""
    return _stacks(run, found, colours, f"share of the {what} [%]", f"Who carries the {what}{where}")


def implant_stress(run: RunFolder) -> Figure | None:
    """Peak von Mises stress of each implant part: 99th percentile as bars, maximum as a mark."""
    peaks = [m for m in run.select("von_mises_max") if IMPLANT_GROUP.fullmatch(m.region)]
    p99 = [m for m in run.select("von_mises_p99") if IMPLANT_GROUP.fullmatch(m.region)]
    kind = "99th percentile (bars) and maximum (dashes)" if p99 and peaks else "maximum"
    return _part_bars(run, p99 or peaks, peaks if p99 else [], "von Mises [MPa]", f"Stress in the implants, {kind}")


def implant_moment(run: RunFolder) -> Figure | None:
    """Largest bending moment in the screws, rods and plates."""
    return _part_bars(run, largest_by_group(run), [], "moment [N·m]", "Largest bending moment in the implants")


def largest_by_group(run: RunFolder, metric: str = "bending_moment_max") -> list[Metric]:
    """The largest absolute value of a metric over all single implants of a kind, as lines of that kind."""
    largest: dict[tuple[str, str, str], Metric] = {}
    for m in run.select(metric):
        group = IMPLANT_GROUP.match(m.region)
        if group is None:
            continue
        key = (m.arm, m.direction, group.group())
        if key not in largest or abs(m.value) > abs(largest[key].value):
            largest[key] = replace(m, region=group.group(), value=abs(m.value))
    return list(largest.values())


def _part_bars(run: RunFolder, bars: Sequence[Metric], marks: Sequence[Metric], unit: str, title: str) -> Figure | None:
    """One panel per implant part: bars by direction and arm, and marks above them."""
    regions = _regions(bars)
    if not regions:
        return None
    arms = [a for a in run.arms if any(m.arm == a for m in bars)]
    groups = {name: lines[0].direction for name, lines in merged(bars).items()}
    directions, width = list(groups.values()), 0.8 / len(arms)
    figure, panels = _canvas(max(7.0, 1.4 + 0.17 * len(directions) * len(arms)), 0.9 + 1.7 * len(regions), len(regions))
    panels = panels if isinstance(panels, list) else [panels]
    colours = arm_colours(run.arms)
    for axes, region in zip(panels, regions, strict=True):
        for i, arm in enumerate(arms):
            x = np.arange(len(directions)) + (i - 0.5 * (len(arms) - 1)) * width
            axes.bar(x, _lookup(bars, arm, directions, region), width * 0.92, color=colours[arm], label=label(arm))
            top = _lookup(marks, arm, directions, region)
            axes.hlines(top, x - 0.4 * width, x + 0.4 * width, color=INK, linewidth=1.2)
        _dress(axes, list(groups))
        axes.set_xlim(-0.5, len(directions) - 0.5)
        axes.set_ylabel(unit, fontsize=9)
        axes.set_title(label(region.removeprefix("implant.")), fontsize=10, loc="left", color=INK)
    figure.suptitle(title, fontsize=12, color=INK)
    panels[0].legend(fontsize=8, frameon=False, ncols=len(arms), loc="lower right", bbox_to_anchor=(1.0, 1.0))
    return figure


_TITLE: dict[str, Any] = {"fontsize": 12, "color": INK, "loc": "left", "pad": 26}


def _sharing_maker(metric: str, level: str) -> Callable[[RunFolder], Figure | None]:
    return lambda run: load_sharing(run, metric, level)


def _titled(title: str, has_error: bool) -> str:
    return f"{title} (whiskers: estimated mesh error)" if has_error else title


def _canvas(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes[0, 0] if rows * columns == 1 else list(axes.ravel())


def _table(run: RunFolder, value: Callable[[Any], float]) -> NDArray[np.float64]:
    """Value of (arm, direction), NaN where missing or not converged."""
    out = np.full((len(run.arms), len(run.directions)), math.nan)
    for i, arm in enumerate(run.arms):
        for j, direction in enumerate(run.directions):
            row = run.row(arm, direction)
            if row is not None and row.converged:
                out[i, j] = value(row)
    return out


def _grouped_bars(axes: Any, run: RunFolder, values: NDArray[np.float64], errors: NDArray[np.float64]) -> None:
    colours = arm_colours(run.arms)
    width = 0.84 / len(run.arms)
    for i, arm in enumerate(run.arms):
        x = np.arange(len(run.directions)) + (i - 0.5 * (len(run.arms) - 1)) * width
        known = np.isfinite(errors[i]) & (values[i] != 1.0)  # the reference has no error against itself
        axes.bar(x, values[i], width * 0.92, color=colours[arm], label=label(arm), zorder=2)
        if known.any():
            bars = {"fmt": "none", "ecolor": INK, "elinewidth": 1.0, "capsize": 2.0, "zorder": 4}
            axes.errorbar(x[known], values[i][known], yerr=np.abs(errors[i][known]), **bars)
    _dress(axes, [label(d) for d in run.directions])


def _log_axis(axes: Any, values: NDArray[np.float64]) -> None:
    """Logarithmic axis with plain numbers; bars stand on or hang from one, so that their length means a factor."""
    from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

    axes.set_yscale("log")
    for bar in axes.patches:
        low, high = sorted((1.0, bar.get_height() if math.isfinite(bar.get_height()) else 1.0))
        bar.set_y(low)
        bar.set_height(high - low)
    low, high = min(0.8 * float(np.nanmin(values)), 0.8), 1.3 * float(np.nanmax(values))
    axes.set_ylim(low, high)
    ticks = [m * 10.0**k for k in range(-3, 5) for m in (1, 2, 5) if low <= m * 10.0**k <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _stacks(run: RunFolder, metrics: Sequence[Metric], colours: dict[str, str], unit: str, title: str) -> Figure:
    """One panel per direction, one stacked bar per arm; negative parts hang below zero."""
    groups = merged(metrics)
    n = len(groups)
    columns = min(3, n)
    rows = math.ceil(n / columns)
    width = max(3.1 * columns + 0.8, 7.0)
    figure, panels = _canvas(width, 2.6 * rows + 0.9, rows, columns)
    panels = panels if isinstance(panels, list) else [panels]
    for axes, (name, found) in zip(panels, groups.items(), strict=False):
        arms = [a for a in run.arms if any(m.arm == a for m in found)]
        above, below = np.zeros(len(arms)), np.zeros(len(arms))
        for region, colour in colours.items():
            parts = np.array([_value(found, a, found[0].direction, region) for a in arms])
            parts = np.nan_to_num(parts)
            base = np.where(parts >= 0.0, above, below)
            axes.bar(np.arange(len(arms)), parts, 0.72, bottom=base, color=colour, label=label(region), zorder=2)
            above += np.maximum(parts, 0.0)
            below += np.minimum(parts, 0.0)
        span = max(above.max(initial=0.0) - below.min(initial=0.0), 1e-12)
        axes.set_ylim(
            below.min(initial=0.0) - (0.04 * span if below.any() else 0.0), above.max(initial=0.0) + 0.04 * span
        )
        axes.axhline(0.0, color=INK, linewidth=0.8, zorder=3)
        _dress(axes, [label(a) for a in arms], turn=True)
        axes.set_title(name, fontsize=10, color=INK)
    for i in range(0, n, columns):
        panels[i].set_ylabel(unit, fontsize=9)
    for axes in panels[n:]:
        axes.set_visible(False)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(max(int(width / 1.6), 3), len(names)),
        fontsize=8.5,
        frameon=False,
    )
    figure.suptitle(title, fontsize=12, color=INK)
    return figure


def _dress(axes: Any, ticks: Sequence[str], *, turn: bool = False) -> None:
    axes.set_xticks(np.arange(len(ticks)), ticks, fontsize=8.5)
    if turn:
        axes.set_xticks(np.arange(len(ticks)), ticks, fontsize=8.5, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="y", labelsize=8.5)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _arm_legend(axes: Any, run: RunFolder) -> None:
    axes.legend(
        fontsize=8.5, frameon=False, ncols=len(run.arms), loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2
    )


def _regions(metrics: Sequence[Metric]) -> list[str]:
    return list(dict.fromkeys(m.region for m in metrics if math.isfinite(m.value)))


def _value(metrics: Sequence[Metric], arm: str, direction: str, region: str) -> float:
    hits = (m.value for m in metrics if (m.arm, m.direction, m.region) == (arm, direction, region))
    return next(hits, math.nan)


def _lookup(metrics: Sequence[Metric], arm: str, directions: Sequence[str], region: str) -> NDArray[np.float64]:
    return np.array([_value(metrics, arm, d, region) for d in directions])
