"""Tables of a comparison: plain values that the terminal and the HTML report both show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from spinefix.viz.charts import IMPLANT_GROUP, SHARES, VISIBLE_SHARE, largest_by_group, merged, sharing, sharing_levels
from spinefix.viz.folder import Metric, Row, RunFolder, read_run
from spinefix.viz.style import joined, label

if TYPE_CHECKING:
    import rich.table

T = TypeVar("T")

MISSING = "–"
FAILED = "not converged"

SCALARS: dict[str, str] = {
    "axial_stiffness": "axial stiffness",
    "f1717_closed_form_rigid_blocks": "F1717 in closed form, rigid blocks",
    "f1717_published": "F1717 published (Foltz 2019, 76 mm)",
    "residual_rotation": "rotation left without moment",
    "neutral_zone": "neutral zone",
    "rom_bridged": "motion across the diseased levels",
    "force_stiffness": "stiffness along the force",
    "displacement": "displacement along the force",
    "canal_narrowing": "narrowing of the canal",
    "posterior_wall_displacement": "posterior wall towards the canal",
    "bending_moment_max": "largest bending moment",
    "axial_force_extreme": "largest tension or compression",
}
"""Metrics with one number per region and arm -> how they are called."""


LINEAR_UP_TO_DEG = 30.0
"""Rotation of the whole segment beyond which a small-strain solution is told to mean nothing: a healthy L1-L5
bends by 12 to 20 degrees at 7.5 N m, and a linear rotation by 30 degrees lengthens what it turns by 13 %."""

NEGLIGIBLE = 1e-3
"""Part of the largest value of a metric below which a value is shown as nearly zero."""

NEARLY_ZERO = "≈ 0"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Parameters
    ----------
    title : str
    columns : tuple of str
        The first columns name the row, the others hold values.
    rows : tuple of tuple of str
    note : str
    headers : int
        How many columns name the row.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    headers: int = 1


def comparison_tables(folder: Path | str) -> list[rich.table.Table]:
    """Tables of a run folder for the terminal: stiffness, range of motion, load sharing, stress, other metrics.

    Raises
    ------
    UsageError
        `folder` is not a run folder.
    """
    return [as_rich(t) for t in all_tables(read_run(folder))]


def all_tables(run: RunFolder) -> list[Table]:
    """Every table for which there is data."""
    found = [ratio_table(run), rom_table(run), stiffness_table(run), *sharing_tables(run), stress_table(run)]
    return [t for t in [*found, scalar_table(run)] if t is not None and t.rows and len(t.columns) > t.headers]


def as_rich(table: Table) -> rich.table.Table:
    """The table for a terminal."""
    from rich.table import Table as Rich
    from rich.text import Text

    out = Rich(title=table.title, title_justify="left", caption=table.note or None, caption_justify="left")
    for i, column in enumerate(table.columns):
        out.add_column(Text(column), justify="left" if i < table.headers else "right")
    for row in table.rows:
        out.add_row(*(Text(cell, style="red" if cell == FAILED else "") for cell in row))
    return out


def number(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits, without exponent where people would not expect one."""
    if not math.isfinite(value):
        return MISSING
    if value == 0.0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 6:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - size, 0)}f}"


def ratio_table(run: RunFolder) -> Table | None:
    """Stiffness as a ratio to the intact spine with its mesh error."""
    if not any(math.isfinite(r.stiffness_ratio_to_intact) for r in run.rows):
        return None
    sources = sorted({r.mesh_error_source for r in run.rows if r.mesh_error_source})
    note = f"± mesh error, {'; '.join(sources)}" if sources else ""
    if not any(math.isfinite(r.mesh_error_pct) for r in run.rows):
        note = "the mesh error was not estimated"
    note = "; ".join(filter(None, [note, _too_far(run)]))
    return _by_direction(run, "Stiffness relative to intact [1]", _ratio, note)


def rom_table(run: RunFolder) -> Table:
    """Range of motion of the whole segment."""
    return _by_direction(run, "Range of motion [°]", lambda r: number(r.rom_deg), _too_far(run))


def _too_far(run: RunFolder) -> str:
    """A word on rotations that a linear solution cannot describe."""
    linear = {arm for arm, record in run.manifest.arms.items() if record.solver.analysis == "linear"}
    far = _ordered(r.arm for r in run.rows if r.arm in linear and r.rom_deg > LINEAR_UP_TO_DEG)
    if not far:
        return ""
    names = ", ".join(map(label, far))
    return f"{names}: turned by more than {LINEAR_UP_TO_DEG:g}°, beyond small strain; use analysis.kind: nonlinear"


def stiffness_table(run: RunFolder) -> Table:
    """Secant stiffness."""
    return _by_direction(run, "Secant stiffness [N·m/°]", lambda r: number(r.stiffness_Nm_per_deg))


def sharing_tables(run: RunFolder) -> list[Table]:
    """Load sharing, one table per load kind and diseased level."""
    return [_sharing_table(run, m, level) for m in SHARES for level in sharing_levels(run, m)]


def stress_table(run: RunFolder) -> Table:
    """Peak von Mises stress of implant parts and bone: 99th percentile by volume, maximum in brackets."""
    keep = [m for m in run.metrics if IMPLANT_GROUP.fullmatch(m.region) or m.region in ("bone", "endplates")]
    p99, peak = (_index(m for m in keep if m.metric == f"von_mises_{k}") for k in ("p99", "max"))
    directions = _ordered(m.direction for m in keep if m.metric.startswith("von_mises"))
    regions = _ordered(m.region for m in keep if m.metric.startswith("von_mises"))
    names = {"bone": "test blocks"} if any(m.region.endswith(".block") for m in run.metrics) else {}
    rows = []
    for region in regions:
        for arm in run.arms:
            cells = [_peak(p99.get((arm, d, region)), peak.get((arm, d, region))) for d in directions]
            if any(c != MISSING for c in cells):
                rows.append((names.get(region) or label(region.removeprefix("implant.")), label(arm), *cells))
    table = Table(
        "Von Mises stress [MPa]",
        ("part", "arm", *map(label, directions)),
        tuple(rows),
        "99th percentile by volume (maximum in brackets: at sharp corners it grows with mesh refinement)",
        2,
    )
    return _merge_columns(table)


def scalar_table(run: RunFolder) -> Table:
    """The other metrics, one row per metric, region and direction, one column per arm."""
    rows = []
    for metric, name in SCALARS.items():
        found = largest_by_group(run, metric) or run.select(metric)
        small = NEGLIGIBLE * max((abs(m.value) for m in found), default=0.0)
        for region in _ordered(m.region for m in found):
            lines = [m for m in found if m.region == region]
            place = "" if region == "whole" else f", {label(region.removeprefix('implant.'))}"
            for directions, group in merged(lines).items():
                values = {m.arm: m.value for m in group}
                cells = [_unless_small(values.get(arm, math.nan), small) for arm in run.arms]
                if set(cells) - {"0", NEARLY_ZERO, MISSING}:
                    rows.append((f"{name}{place} [{lines[0].unit}]", directions, *cells))
    return Table("Other metrics", ("metric", "direction", *map(label, run.arms)), tuple(rows), headers=2)


def _unless_small(value: float, small: float) -> str:
    return NEARLY_ZERO if 0.0 < abs(value) < small else number(value)


def _ratio(row: Row) -> str:
    text = number(row.stiffness_ratio_to_intact)
    exact = row.arm == "intact" or not math.isfinite(row.mesh_error_pct)
    error = f"±{row.mesh_error_pct:.1f}" if row.mesh_error_pct >= 0.05 else "<0.1"
    return text if exact or text == MISSING else f"{text} ({error} %)"


def _by_direction(run: RunFolder, title: str, cell: Callable[[Row], str], note: str = "") -> Table:
    rows = []
    for arm in run.arms:
        lines = [run.row(arm, d) for d in run.directions]
        cells = [MISSING if r is None else cell(r) if r.converged else FAILED for r in lines]
        rows.append((label(arm), *cells))
    moments = {r.moment_Nm for r in run.rows if math.isfinite(r.moment_Nm)}
    load = f" at {moments.pop():g} N·m" if len(moments) == 1 else ""
    return Table(title + load, ("arm", *map(label, run.directions)), tuple(rows), note)


def _sharing_table(run: RunFolder, metric: str, level: str) -> Table:
    found = sharing(run, metric, level)
    parts = _ordered(m.region for m in found if abs(m.value) >= VISIBLE_SHARE)
    rows = []
    for name, lines in merged(found).items():
        values = {(m.arm, m.region): m.value for m in lines}
        for arm in run.arms:
            cells = [_share(values[arm, p]) if (arm, p) in values else MISSING for p in parts]
            if any(c != MISSING for c in cells):
                rows.append((name, label(arm), *cells))
    where = f" across {level}" if level else ""
    title = f"Share of the {SHARES[metric]}{where} [%]"
    note = "a negative share works against the load"
    return Table(title, ("direction", "arm", *map(label, parts)), tuple(rows), note, 2)


def _share(percent: float) -> str:
    return f"{round(percent, 1) + 0.0:.1f}"  # + 0.0: no minus before a zero


def _merge_columns(table: Table) -> Table:
    """Join neighbouring value columns that hold the same text (mirror images in a linear model)."""
    names, keep = [[c] for c in table.columns[: table.headers]], list(range(table.headers))
    for i in range(table.headers, len(table.columns)):
        if i > table.headers and all(row[i] == row[keep[-1]] for row in table.rows):
            names[-1].append(table.columns[i])
        else:
            names.append([table.columns[i]])
            keep.append(i)
    return replace(
        table, columns=tuple(map(joined, names)), rows=tuple(tuple(row[i] for i in keep) for row in table.rows)
    )


def _index(metrics: Iterable[Metric]) -> dict[tuple[str, str, str], float]:
    return {(m.arm, m.direction, m.region): m.value for m in metrics}


def _peak(p99: float | None, peak: float | None) -> str:
    if p99 is None and peak is None:
        return MISSING
    if p99 is None or peak is None:
        return number(p99 if p99 is not None else peak or 0.0)
    return f"{number(p99)} ({number(peak)})"


def _ordered(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
