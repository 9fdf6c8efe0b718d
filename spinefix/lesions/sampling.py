"""Volume samples inside hexahedra, and the part of each integration point's share that a shape covers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from spinefix.mesh.core import F64, I32, Bool, Mesh
from spinefix.mesh.elements import ELEMENTS, shape

ROUND_OFF = 1e-9
"""Part of the range of distances below which two samples count as equally far."""


@dataclass(frozen=True)
class Samples:
    """Points spread evenly in the octants that belong to the 2 x 2 x 2 integration points of hexahedra.

    Parameters
    ----------
    cells : (e,) int32
        Element ids.
    points : (e, 8, s, 3) float64 [mm]
        Sample points of each integration point, global.
    weights : (e, 8) float64 [mm^3]
        Volume of each integration point, shared equally by its samples.
    """

    cells: I32
    points: F64
    weights: F64

    @property
    def volume(self) -> float:
        """Volume of all elements [mm^3]."""
        return float(self.weights.sum())

    def coverage(self, inside: Bool) -> F64:
        """Return the covered fraction (e, 8) of each integration point for flags `inside` (e, 8, s)."""
        return np.asarray(inside.mean(axis=2))

    def covered_volume(self, coverage: F64) -> float:
        """Return the volume [mm^3] of a `coverage` (e, 8)."""
        return float((coverage * self.weights).sum())

    def quantile(self, distance: F64, volume: float) -> float:
        """Return the threshold up to which samples of `distance` (e, 8, s) hold `volume` [mm^3].

        Samples that are equally far but for round-off, as those left and right of the midplane, are taken or left
        together: a lesion in the middle of a symmetric body is symmetric.
        """
        flat = distance.ravel()
        order = np.argsort(flat, kind="stable")
        ordered = flat[order]
        share = np.broadcast_to(self.weights[..., None] / distance.shape[2], distance.shape).ravel()[order]
        held = np.cumsum(share)
        reachable = ordered[np.isfinite(ordered)]
        k = min(int(np.searchsorted(held, volume)), len(reachable) - 1)
        same = ROUND_OFF * float(np.ptp(reachable))
        first = int(np.searchsorted(ordered, ordered[k] - same))
        last = int(np.searchsorted(ordered, ordered[k] + same, side="right"))
        # The samples that cross the volume are taken or left, whichever is closer.
        if first > 0 and volume - held[first - 1] < held[last - 1] - volume:
            last = first
        beyond = ordered[last] if last < len(ordered) else np.inf
        return float(ordered[last - 1] + min(same, 0.5 * (beyond - ordered[last - 1])))


@dataclass(frozen=True)
class Diseased:
    """What a lesion takes of one part of a vertebra.

    Lesions of the same part have the same samples, so that the union of several is known sample by sample.

    Parameters
    ----------
    part : str
        Name of the part, e.g. ``L3.body`` (with its endplates) or ``L3.pedicle.left``.
    samples : Samples
        Of all elements of the part.
    inside : (e, 8, s) bool
        Samples that are diseased.
    """

    part: str
    samples: Samples
    inside: Bool

    @property
    def fraction(self) -> float:
        """Diseased part of the volume [1]."""
        return self.samples.covered_volume(self.samples.coverage(self.inside)) / self.samples.volume


def sample(mesh: Mesh, cells: I32, per_edge: int = 4) -> Samples:
    """Sample hexahedra of `mesh` at `per_edge`^3 points in each octant.

    Parameters
    ----------
    mesh : Mesh
        One hex8 block.
    cells : (e,) int32
        Element ids.
    per_edge : int
        Samples along each edge of an octant.
    """
    hexahedra = mesh.points[mesh.blocks[0].conn[cells]]
    element = ELEMENTS["hex8"]
    jacobian = np.einsum("eni,qnj->eqij", hexahedra, element.dN)
    weights = np.linalg.det(jacobian) * element.weights
    N = _octant_shape(per_edge)
    points = np.einsum("qsn,eni->eqsi", N, hexahedra, optimize=True)
    return Samples(np.asarray(cells, np.int32), points, weights)


@cache
def _octant_shape(per_edge: int) -> F64:
    """Shape functions (8, per_edge^3, 8) at points spread evenly over the octant of each integration point."""
    steps = (np.arange(per_edge) + 0.5) / per_edge
    offsets = np.array(list(product(steps, repeat=3)))
    corners = np.sign(ELEMENTS["hex8"].points)
    xi = (corners[:, None, :] * offsets[None]).reshape(-1, 3)
    return shape("hex8", xi).reshape(8, len(offsets), 8)
