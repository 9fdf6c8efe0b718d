"""Left and right of the midsagittal plane y = 0."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from spinefix.mesh.core import F64, I32, Bool

FLIP = np.array([1.0, -1.0, 1.0])
"""Of positions and forces; rotations and moments take the opposite signs."""


def images(points: F64, marked: Bool | None = None) -> tuple[F64, I32]:
    """Find for each point the one nearest to its mirror image.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    marked : (n,) bool, optional
        Marked points are images of marked ones, others of others (a beam node may lie on a node of the bone).

    Returns
    -------
    gap : (n,) float64 [mm]
        Distance from the image; at least the extent of the points where no point of its kind is nearer.
    partner : (n,) int32
    """
    size = float(np.ptp(points, axis=0).max(initial=0.0))
    kind = np.zeros(len(points)) if marked is None else np.where(marked, size, 0.0)
    gap, partner = cKDTree(np.column_stack([points, kind])).query(np.column_stack([points * FLIP, kind]))
    return np.asarray(gap), np.asarray(partner, np.int32)
