"""Rigid motion of vertebrae, range of motion, secant stiffness."""

from __future__ import annotations

import numpy as np

from spinefix.mesh.core import F64


def best_fit_rotation(points: F64, displacement: F64, weights: F64) -> tuple[F64, F64]:
    """Least-squares small rigid motion of a cloud of points.

    Minimizes sum w |u - t - theta x (x - c)|^2 about the weighted centroid c, the linear form of the fit of Söderkvist
    and Wedin (J Biomech 1993;26:1473), which a follow-up with finite rotations replaces by their SVD.

    Parameters
    ----------
    points, displacement : (n, 3) float64 [mm]
    weights : (n,) float64
        Positive, e.g. lumped volumes.

    Returns
    -------
    translation : (3,) float64 [mm]
        Of the weighted centroid.
    rotation : (3,) float64 [rad]
    """
    w = weights / weights.sum()
    r = points - w @ points
    t = w @ displacement
    v = displacement - t
    inertia = np.einsum("n,nk,nk->", w, r, r) * np.eye(3) - np.einsum("n,ni,nj->ij", w, r, r)
    return t, np.linalg.solve(inertia, np.einsum("n,ni->i", w, np.cross(r, v)))


def relative_rotation(upper: F64, lower: F64, lower_axes: F64) -> F64:
    """Rotation (3,) [rad] of the upper vertebra relative to the lower, in the anatomical axes of the lower one.

    Parameters
    ----------
    upper, lower : (3,) float64 [rad]
        Rotation vectors in global axes.
    lower_axes : (3, 3) float64
        Columns are the lower vertebra's axes x anterior, y left, z up.
    """
    return lower_axes.T @ (upper - lower)
