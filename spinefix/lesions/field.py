"""The stiffness field of all lesions of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError
from spinefix.lesions.ellipsoid import EllipsoidalLesion, LesionReport, ellipsoid_coverage, stiffness_factor
from spinefix.mesh.core import F64

Lesion = EllipsoidalLesion
"""Any lesion; a union discriminated by `shape` once there are more."""

LESIONS: dict[type[Any], Callable[[Segment, Any], tuple[F64, LesionReport]]] = {
    EllipsoidalLesion: ellipsoid_coverage,
}
"""Kind of lesion -> function that returns the diseased fraction (n_cells, 8) and a report."""


@dataclass(frozen=True)
class LesionField:
    """Stiffness scale of a segment with lesions.

    Attributes
    ----------
    scale : (n_cells, 8) float64 [1]
        Stiffness scale at the integration points of hex8; 1 is healthy.
    coverage : (n_cells, 8) float64 [1]
        Diseased fraction of the volume of each integration point, whatever the severity.
    reports : tuple of LesionReport
    """

    scale: F64
    coverage: F64
    reports: tuple[LesionReport, ...]


def lesion_scale(segment: Segment, lesions: Sequence[Lesion], moduli: Mapping[str, float]) -> LesionField:
    """Return the stiffness field of `lesions`.

    An integration point of which only a part is diseased gets the volume average of both stiffnesses (Voigt), so that
    the field varies smoothly with size and place of the lesion. Where lesions overlap, the later one replaces.

    Parameters
    ----------
    segment : Segment
    lesions : sequence of lesion specs
    moduli : mapping of str to float [MPa]
        Healthy Young's modulus by part of a vertebra: ``body.cancellous``, ``endplate``, ``pedicle``, ... A name holds
        for all below it; the longest match wins.

    Raises
    ------
    ScenarioError
        A lesion cannot be placed or filled as asked.
    UsageError
        A diseased part of a vertebra has no modulus.
    """
    shape = (segment.mesh.n_cells, 8)
    scale, total = np.ones(shape), np.zeros(shape)
    reports = []
    for lesion in lesions:
        part, report = LESIONS[type(lesion)](segment, lesion)
        cells = np.flatnonzero(part.any(axis=1))
        E = _cell_moduli(segment, lesion.level, moduli)
        if not np.isfinite(E[cells]).all():
            raise UsageError(f"a diseased part of {lesion.level} has no modulus; given: {', '.join(sorted(moduli))}")
        known = np.flatnonzero(np.isfinite(E))
        factor = np.ones(len(E))
        factor[known] = stiffness_factor(lesion, E[known])
        scale[cells] += part[cells] * (factor[cells, None] - scale[cells])
        total[cells] = 1.0 - (1.0 - total[cells]) * (1.0 - part[cells])
        reports.append(report)
    return LesionField(scale, total, tuple(reports))


def _cell_moduli(segment: Segment, level: str, moduli: Mapping[str, float]) -> F64:
    """Healthy modulus (n_cells,) [MPa] of the elements of one vertebra; NaN elsewhere and where none is given."""
    out = np.full(segment.mesh.n_cells, np.nan)
    for name in sorted(moduli, key=len):
        for region, cells in segment.mesh.cells.items():
            if region == f"{level}.{name}" or region.startswith(f"{level}.{name}."):
                out[cells] = moduli[name]
    return out
