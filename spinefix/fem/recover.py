"""Stress and what follows from it, at integration points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinefix.fem.assembly import SolidGroup, solid_response
from spinefix.fem.beams import beam_end_forces, beam_stress
from spinefix.fem.voigt import stress_tensor
from spinefix.mesh.elements import ELEMENTS

__all__ = [
    "beam_end_forces",
    "beam_stress",
    "principal",
    "strain",
    "strain_energy",
    "stress",
    "volumes",
    "von_mises",
    "weighted_percentile",
]

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


def stress(points: F64, group: SolidGroup, u: F64, subset: I32 | None = None) -> F64:
    """Return the Cauchy stress (e, q, 6) [MPa] at the integration points, order xx yy zz xy yz xz.

    Incompatible modes and the mean dilatation of B-bar are included, so these stresses balance the nodal forces.
    """
    return solid_response(points, group, u, subset)[1]


def strain(points: F64, group: SolidGroup, u: F64, subset: I32 | None = None) -> F64:
    """Return the small strain (e, q, 6) at the integration points, engineering shears."""
    return solid_response(points, group, u, subset)[0]


def strain_energy(points: F64, group: SolidGroup, u: F64) -> F64:
    """Return the strain energy (e,) [N mm] of each element."""
    eps, sig, dv, _ = solid_response(points, group, u)
    return np.asarray(0.5 * np.einsum("eqi,eqi,eq->e", eps, sig, dv))


def volumes(points: F64, group: SolidGroup) -> F64:
    """Return the volume (e, q) [mm^3] of each integration point; negative where an element is inside out."""
    element = ELEMENTS[group.kind]
    J = np.einsum("qmd,emi->eqdi", element.dN, points[group.conn], optimize=True)
    return np.asarray(np.linalg.det(J) * element.weights)


def von_mises(s: F64) -> F64:
    """Return the von Mises stress (...) of Voigt stresses (..., 6)."""
    s = np.asarray(s)
    xx, yy, zz = s[..., 0], s[..., 1], s[..., 2]
    shear = (s[..., 3:] ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) + 3.0 * shear))


def principal(s: F64) -> F64:
    """Return the principal stresses (..., 3), greatest first, of Voigt stresses (..., 6)."""
    return np.asarray(np.linalg.eigvalsh(stress_tensor(s))[..., ::-1], np.float64)


def weighted_percentile(values: F64, weights: F64, percent: float) -> float:
    """Return the value below which `percent` of the total weight lies.

    The smallest value whose share of the weight, counted up to and with it, reaches the percentage. A volume-weighted
    high percentile depends far less on one distorted element or one singular corner than the maximum does.

    Raises
    ------
    ValueError
        No values, or no positive weight.
    """
    values, weights = np.ravel(values), np.ravel(weights)
    if not values.size or not weights.sum() > 0.0:
        raise ValueError("weighted percentile of nothing")
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    i = int(np.searchsorted(share, percent / 100.0 * share[-1] * (1.0 - 1e-12)))
    return float(values[order[min(i, len(order) - 1)]])
