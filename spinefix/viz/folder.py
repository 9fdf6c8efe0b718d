"""Read a run folder: comparison, metrics, manifest and where the fields lie."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinefix.errors import UsageError
from spinefix.results import table


@dataclass(frozen=True, slots=True)
class Row:
    """One arm under one load: a line of ``comparison.csv``. Missing numbers are NaN."""

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
    manifest : mapping
        ``manifest.json`` as it is; empty if absent.
    """

    path: Path
    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Title of the scenario, or its name, or the name of the folder."""
        scenario = self.manifest.get("scenario")
        nested = scenario if isinstance(scenario, Mapping) else {}
        for source in (nested, self.manifest):
            for key in ("title", "name", "scenario_title", "scenario_name"):
                if isinstance(source.get(key), str) and source[key]:
                    return str(source[key])
        return scenario if isinstance(scenario, str) and scenario else self.path.resolve().name

    @property
    def loads(self) -> list[Mapping[str, Any]]:
        """Load protocols of the scenario as the manifest holds them."""
        scenario = self.manifest.get("scenario")
        loads = scenario.get("loads") if isinstance(scenario, Mapping) else None
        return [load for load in loads or [] if isinstance(load, Mapping)]

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
        names = _json(fields / f"regions_{arm}.json") or _json(fields / "regions.json")
        return {int(k): str(v) for k, v in names.items()}

    def figure(self, name: str) -> Path:
        """Where the figure `name` is, or would be."""
        return self.path / "figures" / f"{name}.png"


def read_run(folder: Path | str) -> RunFolder:
    """Read a run folder.

    Raises
    ------
    UsageError
        `folder` holds no readable ``comparison.csv``.
    """
    path = Path(folder)
    comparison = path / "comparison.csv"
    if not comparison.is_file():
        raise UsageError(f"{path}: no comparison.csv here; give the folder that 'spinefix run' wrote")
    rows = tuple(_row(line, comparison) for line in table.read(comparison))
    path_of_metrics = path / "metrics.csv"
    metrics = _last([_metric(line) for line in table.read(path_of_metrics)]) if path_of_metrics.is_file() else ()
    if not rows and not metrics:  # a study of forces alone has metrics, but no stiffness against a moment
        raise UsageError(f"{comparison}: no rows")
    return RunFolder(
        path=path,
        rows=rows,
        metrics=metrics,
        manifest=_json(path / "manifest.json"),
    )


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def _row(line: Mapping[str, str], path: Path) -> Row:
    try:
        return Row(
            arm=line["arm"],
            direction=line["direction"],
            moment_Nm=_number(line["moment_Nm"]),
            rom_deg=_number(line["rom_deg"]),
            stiffness_Nm_per_deg=_number(line["stiffness_Nm_per_deg"]),
            stiffness_ratio_to_intact=_number(line["stiffness_ratio_to_intact"]),
            converged=line["converged"].strip().lower() in ("true", "1", "yes"),
            mesh_error_pct=_number(line.get("mesh_error_pct")),
            mesh_error_source=line.get("mesh_error_source") or "",
        )
    except KeyError as error:
        raise UsageError(f"{path}: column {error.args[0]!r} is missing") from None


def _metric(line: Mapping[str, str]) -> Metric:
    return Metric(
        arm=line.get("arm", ""),
        direction=line.get("direction", ""),
        load_factor=_number(line.get("load_factor")),
        metric=line.get("metric", ""),
        region=line.get("region", ""),
        value=_number(line.get("value")),
        unit=line.get("unit", ""),
    )


def _last(metrics: list[Metric]) -> tuple[Metric, ...]:
    """Keep, of each metric, the line at the largest load factor."""
    last: dict[tuple[str, str, str, str], Metric] = {}
    for m in metrics:
        key = (m.arm, m.direction, m.metric, m.region)
        if key not in last or not m.load_factor < last[key].load_factor:
            last[key] = m
    return tuple(last.values())


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
