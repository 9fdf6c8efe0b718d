"""CSV tables with fixed columns and round-trip numbers."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def text(value: object) -> str:
    """A cell: empty for None and NaN, nine significant digits for floats, ``true``/``false`` for bool."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.9g}"
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


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a table as text."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
