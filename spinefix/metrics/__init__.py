"""Turn a solution into answers: each metric is a generator of rows, listed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spinefix.metrics.bench_test import f1717
from spinefix.metrics.canal import canal
from spinefix.metrics.catalogue import PLACES, QUANTITIES
from spinefix.metrics.contact import contact
from spinefix.metrics.context import Context, Row
from spinefix.metrics.load_sharing import load_sharing
from spinefix.metrics.stiffness import axial, rom
from spinefix.metrics.stress import beam_forces, von_mises
from spinefix.metrics.zones import zones

METRICS: tuple[Callable[[Context, str], Iterator[Row]], ...] = (
    rom,
    zones,
    axial,
    von_mises,
    beam_forces,
    load_sharing,
    contact,
    canal,
    f1717,
)
"""All metrics; to add one: a function in a file of this package, a line here, one in `QUANTITIES` for each name."""

__all__ = ["METRICS", "PLACES", "QUANTITIES", "Context", "Row", "evaluate"]


def evaluate(ctx: Context, case: str) -> list[Row]:
    """All metrics of one load case."""
    return [row for metric in METRICS for row in metric(ctx, case)]
