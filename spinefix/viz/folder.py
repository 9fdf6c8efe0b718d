"""Read a run folder: comparison, metrics, manifest and where the fields lie."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spinefix.errors import UsageError
from spinefix.results import table
from spinefix.results.manifest import KindRecord, Manifest, read_manifest


@dataclass(frozen=True, slots=True)
class Row:
    """One arm under one load case: a line of ``comparison.csv``. Missing numbers are NaN.

    `direction` is the name of the load case, e.g. ``flexion`` or ``flexion_follower_400N``.
    """

    arm: str
    direction: str
    moment_Nm: float
    rom_deg: float
    stiffness_Nm_per_deg: float
    stiffness_ratio_to_intact: float
    converged: bool
    mesh_error_pct: float = math.nan
    mesh_error_source: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of ``metrics.csv``."""

    arm: str
    direction: str
    load_factor: float
    metric: str
    region: str
    value: float
    unit: str


@dataclass(frozen=True)
class RunFolder:
    """What a run left behind.

    Parameters
    ----------
    path : Path
    rows : tuple of Row
    metrics : tuple of Metric
        Only the values at the largest load factor reached.
    manifest : Manifest
        ``manifest.json``; empty if absent.
    """

    path: Path
    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...] = ()
    manifest: Manifest = Manifest()

    @property
    def title(self) -> str:
        """Title of the scenario, or its name, or the name of the folder."""
        scenario, manifest = self.manifest.scenario, self.manifest
        return scenario.title or scenario.name or manifest.title or manifest.name or self.path.resolve().name

    @property
    def loads(self) -> tuple[KindRecord, ...]:
        """Load protocols of the scenario as the manifest holds them."""
        return self.manifest.scenario.loads

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms in the order of the comparison."""
        return _ordered([*(r.arm for r in self.rows), *(m.arm for m in self.metrics)])

    @property
    def directions(self) -> tuple[str, ...]:
        """Directions of the comparison, in its order."""
        return _ordered(r.direction for r in self.rows)

    @property
    def drawn_directions(self) -> tuple[str, ...]:
        """Directions and force cases that have fields."""
        return _ordered(d for _, d in self.cases())

    def row(self, arm: str, direction: str) -> Row | None:
        """Return the line of one arm under one load, or None."""
        return next((r for r in self.rows if r.arm == arm and r.direction == direction), None)

    def select(self, metric: str, *, arm: str | None = None, direction: str | None = None) -> list[Metric]:
        """Return the lines of one metric, optionally of one arm or one direction."""
        return [
            m for m in self.metrics if m.metric == metric and arm in (None, m.arm) and direction in (None, m.direction)
        ]

    def field_file(self, arm: str, direction: str) -> Path:
        """Where the field of one arm under one load is, or would be."""
        return self.path / "fields" / f"{arm}_{direction}.vtu"

    def cases(self) -> list[tuple[str, str]]:
        """Arms and directions that have a field file."""
        directions = _ordered([*self.directions, *(m.direction for m in self.metrics)])
        return [(a, d) for d in directions for a in self.arms if self.field_file(a, d).is_file()]

    def regions(self, arm: str) -> dict[int, str]:
        """Names of the numbers in the cell array ``region_id`` of an arm's fields."""
        fields = self.path / "fields"
        return _names(fields / f"regions_{arm}.json") or _names(fields / "regions.json")

    def figure(self, name: str) -> Path:
        """Where the figure `name` is, or would be."""
        return self.path / "figures" / f"{name}.png"


COMPARISON = table.COMPARISON_COLUMNS[:7]
"""Columns that every comparison has; those behind them came later or depend on the analysis."""


def read_run(folder: Path | str) -> RunFolder:
    """Read a run folder.

    Raises
    ------
    UsageError
        `folder` holds no ``comparison.csv``, or a table or the manifest is not what a run writes: says file, line and
        what is expected.
    """
    path = Path(folder)
    comparison = path / "comparison.csv"
    if not comparison.is_file():
        raise UsageError(f"{path}: no comparison.csv here; give the folder that 'spinefix run' wrote")
    manifest = read_manifest(path / "manifest.json")
    lines = table.read(comparison, COMPARISON, key=("arm", "direction", "case"))
    rows = tuple(_row(line) for line in lines)
    path_of_metrics = path / "metrics.csv"
    more = (
        table.read(path_of_metrics, table.METRIC_COLUMNS[:-1], key=(*table.METRIC_COLUMNS[:5], "branch"))
        if path_of_metrics.is_file()
        else []
    )
    metrics = _last([_metric(line) for line in more])
    for line in [*lines, *more]:
        if manifest.arms and line["arm"] not in manifest.arms:
            raise line.error("arm", f"an arm of manifest.json ({', '.join(manifest.arms)})")
    if not rows and not metrics:  # a study of forces alone has metrics, but no stiffness against a moment
        raise UsageError(f"{comparison}: no rows")
    return RunFolder(
        path=path,
        rows=rows,
        metrics=metrics,
        manifest=manifest,
    )


def _row(line: table.Line) -> Row:
    converged = line.flag("converged")
    return Row(
        arm=line.word("arm"),
        direction=line.get("case") or line.word("direction"),
        moment_Nm=line.number("moment_Nm", needed=True),
        rom_deg=line.number("rom_deg", needed=converged),
        stiffness_Nm_per_deg=line.number("stiffness_Nm_per_deg", needed=converged),
        stiffness_ratio_to_intact=line.number("stiffness_ratio_to_intact"),
        converged=converged,
        mesh_error_pct=line.number("mesh_error_pct"),
        mesh_error_source=line.get("mesh_error_source", ""),
    )


def _metric(line: table.Line) -> Metric:
    return Metric(
        arm=line.word("arm"),
        direction=line.word("direction"),
        load_factor=line.number("load_factor", needed=True),
        metric=line.word("metric"),
        region=line.word("region"),
        value=line.number("value"),
        unit=line.word("unit"),
    )


def _last(metrics: list[Metric]) -> tuple[Metric, ...]:
    """Keep, of each metric, the line at the largest load factor."""
    last: dict[tuple[str, str, str, str], Metric] = {}
    for m in metrics:
        key = (m.arm, m.direction, m.metric, m.region)
        if key not in last or not m.load_factor < last[key].load_factor:
            last[key] = m
    return tuple(last.values())


def _names(path: Path) -> dict[int, str]:
    """Names of region numbers from a JSON object; empty without a file."""
    try:
        return {int(k): str(v) for k, v in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{path}: expected a JSON object of region numbers and names ({error})") from None


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
