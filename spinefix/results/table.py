"""CSV tables of a run, with fixed columns and round-trip numbers."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from spinefix.errors import UsageError

COMPARISON_COLUMNS = (
    "arm",
    "direction",
    "moment_Nm",
    "rom_deg",
    "stiffness_Nm_per_deg",
    "stiffness_ratio_to_intact",
    "converged",
    "follower_load_N",
    "case",
    "mesh_error_pct",
    "mesh_error_source",
)
METRIC_COLUMNS = ("arm", "direction", "load_factor", "metric", "region", "value", "unit", "branch")
BEAM_COLUMNS = ("arm", "direction", "region", "s_mm", "axial_N", "shear_N", "torque_Nm", "bending_Nm")
"""Columns of the tables of a run."""


def text(value: object) -> str:
    """A cell: empty for None and NaN, nine significant digits for floats, never -0, ``true``/``false`` for bool."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value + 0.0:.9g}"
    return str(value)


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows to `path` in one step, so that a reader never sees half a table."""
    part = path.with_suffix(path.suffix + ".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([text(row.get(c)) for c in columns])
    os.replace(part, path)


class Line(dict[str, str]):
    """A row of a table as text, by column; it knows where it stands, so that a wrong cell can be told."""

    def __init__(self, cells: Mapping[str, str], place: str) -> None:
        super().__init__(cells)
        self.place = place

    def error(self, column: str, expected: str) -> UsageError:
        """Return the error of a cell that is not what was expected."""
        return UsageError(f"{self.place}: column {column!r}: expected {expected}, got {self.get(column, '')!r}")

    def word(self, column: str) -> str:
        """Return a cell that must not be empty."""
        if not self.get(column):
            raise self.error(column, "a name")
        return self[column]

    def number(self, column: str, *, needed: bool = False) -> float:
        """Return a finite number; NaN for an empty cell unless it is `needed`."""
        cell = self.get(column, "")
        try:
            value = float(cell) if cell or needed else math.nan
        except ValueError:
            raise self.error(column, "a number") from None
        if cell and not math.isfinite(value):
            raise self.error(column, "a finite number")
        return value

    def flag(self, column: str) -> bool:
        """Return true or false."""
        word = self.get(column, "").lower()
        if word not in ("true", "false"):
            raise self.error(column, "true or false")
        return word == "true"


def read(path: Path, columns: Sequence[str] = (), key: Sequence[str] = ()) -> list[Line]:
    """Rows of a table.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Columns that must be there.
    key : sequence of str
        Columns that together name a row: no two rows may have the same.

    Raises
    ------
    UsageError
        The file cannot be read as such a table: says file, line and what is expected.
    """
    lines: list[Line] = []
    seen: dict[tuple[str, ...], int] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, [])
            _check_header(path, header, columns)
            for cells in filter(None, reader):
                line = Line(dict(zip(header, cells, strict=False)), f"{path}:{reader.line_num}")
                if len(cells) != len(header):
                    raise UsageError(f"{line.place}: expected {len(header)} cells, as in line 1, got {len(cells)}")
                name = tuple(line.get(column, "") for column in key)
                if key and seen.setdefault(name, reader.line_num) != reader.line_num:
                    raise UsageError(
                        f"{line.place}: {', '.join(filter(None, name))} stands in line {seen[name]} already"
                    )
                lines.append(line)
        except UnicodeDecodeError:
            raise UsageError(f"{path}:{reader.line_num + 1}: expected text in UTF-8") from None
        except csv.Error as error:
            raise UsageError(f"{path}:{max(reader.line_num, 1)}: not a CSV table: {error}") from None
    return lines


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a first line without the needed columns, or with one twice."""
    for column in columns:
        if column not in header:
            raise UsageError(f"{path}:1: column {column!r} is missing; expected: {', '.join(columns)}")
    twice = [column for column in header if header.count(column) > 1]
    if twice:
        raise UsageError(f"{path}:1: column {twice[0]!r} stands there twice")
