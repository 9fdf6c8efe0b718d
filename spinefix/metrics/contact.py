"""What interfaces in contact carry and how far they open: prostheses that are not bonded, facet joints."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.mesh.core import F64
from spinefix.metrics.context import Context, Row


def contact(ctx: Context, case: str) -> Iterator[Row]:
    """Force, area, pressure, opening and slip of every interface in contact; none in linear analysis.

    The greatest pressure is the mean over the pressed part of a facet: pressures at points waver where the two meshes
    differ. Opening and slip are the greatest of the points that face the other surface, and nothing where none does.
    Slip counts from rest, along the surface; where friction holds, it is what the two surfaces give.
    """
    for touch in ctx.response.contacts(case):
        force = touch.area * touch.pressure
        area = np.where(touch.pressure > 0.0, touch.area, 0.0)
        pressed = float(area.sum())
        facets = np.bincount(touch.facet, force) / np.maximum(np.bincount(touch.facet, area), 1e-300)
        rows = (
            ("contact_force", float(force.sum()), "N"),
            ("contact_area_share", 100.0 * pressed / float(touch.area.sum()), "%"),
            ("contact_pressure_max", float(facets.max()), "MPa"),
            ("contact_pressure_mean", float(force.sum()) / pressed if pressed else 0.0, "MPa"),
            ("contact_gap_max", max(greatest(touch.gap), 0.0), "mm"),
            ("contact_slip_max", greatest(touch.slip), "mm"),
        )
        for name, value, unit in rows:
            yield Row(case, name, touch.name, value, unit)


def greatest(values: F64) -> float:
    """The greatest of the finite values; not a number if there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if len(finite) else float("nan")
