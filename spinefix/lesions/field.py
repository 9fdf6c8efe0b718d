"""The stiffness field of all lesions of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError, under
from spinefix.lesions.ellipsoid import EllipsoidalLesion, LesionReport, place_ellipsoid, stiffness_factor
from spinefix.lesions.sampling import Diseased
from spinefix.mesh.core import F64

Lesion = EllipsoidalLesion
"""Any lesion; a union discriminated by `shape` once there are more."""

LESIONS: dict[type[Any], Callable[[Segment, Any], tuple[tuple[Diseased, ...], LesionReport]]] = {
    EllipsoidalLesion: place_ellipsoid,
}
"""Kind of lesion -> function that returns what it takes of each part of its vertebra, and a report."""


@dataclass(frozen=True, slots=True)
class UnionReport:
    """What all lesions together take of one part of a vertebra, for the manifest.

    Attributes
    ----------
    part : str
        ``L3.body`` (with its endplates), ``L3.pedicle.left``, ...
    lesions, overlapping : tuple of int
        Positions in the scenario, from 0, of its lesions, and of those that share volume with another.
    volume_fraction : float [1]
        Part of its volume that is diseased.
    overlap_fraction : float [1]
        Part of its volume that two lesions or more share: counted once in `volume_fraction`.
    """

    part: str
    lesions: tuple[int, ...]
    overlapping: tuple[int, ...]
    volume_fraction: float
    overlap_fraction: float

    def warning(self) -> str | None:
        """Return a line that says how lesions overlap; None where they do not."""
        if not self.overlapping:
            return None
        names = " and ".join(f"lesions[{i}]" for i in self.overlapping)
        return (
            f"{names} overlap in {100.0 * self.overlap_fraction:.1f} % of {self.part}; "
            f"together they take {100.0 * self.volume_fraction:.1f} % of it"
        )


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
        Each lesion by itself.
    unions : tuple of UnionReport
        All lesions of each part of a vertebra.
    """

    scale: F64
    coverage: F64
    reports: tuple[LesionReport, ...]
    unions: tuple[UnionReport, ...]


def lesion_scale(segment: Segment, lesions: Sequence[Lesion], moduli: Mapping[str, float]) -> LesionField:
    """Return the stiffness field of `lesions`.

    An integration point of which only a part is diseased gets the volume average of all stiffnesses (Voigt), so that
    the field varies smoothly with size and place of the lesions. Where lesions overlap, see `combined`; their order
    plays no part.

    Parameters
    ----------
    segment : Segment
    lesions : sequence of lesion specs
    moduli : mapping of str to float [MPa]
        Healthy Young's modulus by part of a vertebra: ``body.cancellous``, ``endplate``, ``pedicle``, ... A name holds
        for all below it; the longest match wins.

    Raises
    ------
    UsageError
        A lesion cannot be placed or filled as asked, or a diseased part of a vertebra has no modulus; its key begins
        with the position of the lesion.
    """
    reports = []
    found: dict[str, list[tuple[int, Diseased, F64]]] = {}
    for i, lesion in enumerate(lesions):
        with under(i):
            parts, report = LESIONS[type(lesion)](segment, lesion)
            for diseased in parts:
                factor = _factor(segment, lesion, diseased, moduli)
                found.setdefault(diseased.part, []).append((i, diseased, factor))
        reports.append(report)
    scale, coverage = np.ones((segment.mesh.n_cells, 8)), np.zeros((segment.mesh.n_cells, 8))
    unions = []
    for part, layers in found.items():
        samples = layers[0][1].samples
        count = np.sum([d.inside for _, d, _ in layers], axis=0)
        covered = samples.coverage(count > 0)
        scale[samples.cells] = combined([(d, factor) for _, d, factor in layers])
        coverage[samples.cells] = covered
        shared = samples.covered_volume(samples.coverage(count > 1))
        unions.append(
            UnionReport(
                part=part,
                lesions=tuple(i for i, _, _ in layers),
                overlapping=tuple(i for i, d, _ in layers if (d.inside & (count > 1)).any()),
                volume_fraction=samples.covered_volume(covered) / samples.volume,
                overlap_fraction=shared / samples.volume,
            )
        )
    return LesionField(scale, coverage, tuple(reports), tuple(unions))


def combined(layers: Sequence[tuple[Diseased, F64]]) -> F64:
    """Return the stiffness scale (e, 8) of one part under all its lesions.

    Where lesions overlap, the greatest loss counts: the softest of lytic tissues, and lytic tissue rather than
    blastic, since new bone that is dissolved again carries nothing. Among blastic tissues the stiffest counts.

    Parameters
    ----------
    layers : sequence of (Diseased, (e,) float64 [1])
        Lesions of the same part and their stiffness factors by element.
    """
    shape = layers[0][1].shape[0], *layers[0][0].inside.shape[1:]
    softest, stiffest = np.ones(shape), np.ones(shape)
    for diseased, factor in layers:
        here = np.where(diseased.inside, factor[:, None, None], 1.0)
        np.minimum(softest, here, out=softest)
        np.maximum(stiffest, here, out=stiffest)
    return np.asarray(np.where(softest < 1.0, softest, stiffest).mean(axis=2))


def _factor(segment: Segment, lesion: Lesion, diseased: Diseased, moduli: Mapping[str, float]) -> F64:
    """Stiffness factor (e,) of diseased tissue in the elements of one part; 1 in those that are not touched."""
    cells = diseased.samples.cells
    E = _cell_moduli(segment, lesion.level, moduli)
    touched = diseased.inside.any(axis=(1, 2))
    if not np.isfinite(E[cells[touched]]).all():
        raise UsageError(f"a diseased part of {lesion.level} has no modulus; given: {', '.join(sorted(moduli))}")
    known = np.flatnonzero(np.isfinite(E))
    factor = np.ones(len(E))
    factor[known] = stiffness_factor(lesion, E[known])  # of the whole vertebra, whose stiffest bone is a bound
    return np.where(touched, factor[cells], 1.0)


def _cell_moduli(segment: Segment, level: str, moduli: Mapping[str, float]) -> F64:
    """Healthy modulus (n_cells,) [MPa] of the elements of one vertebra; NaN elsewhere and where none is given."""
    out = np.full(segment.mesh.n_cells, np.nan)
    for name in sorted(moduli, key=len):
        for region, cells in segment.mesh.cells.items():
            if region == f"{level}.{name}" or region.startswith(f"{level}.{name}."):
                out[cells] = moduli[name]
    return out
