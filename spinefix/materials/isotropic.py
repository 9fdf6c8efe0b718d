"""Isotropic linear elasticity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.materials.law import LinearLaw

F64 = NDArray[np.float64]


def matrix(parameters: Mapping[str, float], fibres: F64) -> F64:
    """Elasticity (1, 6, 6) [MPa] from Young's modulus ``E_MPa`` and Poisson's ratio ``nu``.

    Raises
    ------
    MaterialError
        E is not positive, or nu outside the open interval (-1, 0.5).
    """
    E, nu = parameters["E_MPa"], parameters["nu"]
    if not (np.isfinite(E) and E > 0.0):
        raise MaterialError(f"isotropic: E_MPa must be positive, got {E:g}")
    if not -1.0 < nu < 0.5:
        raise MaterialError(f"isotropic: nu must lie between -1 and 0.5, both excluded, got {nu:g}")
    lame = E * nu / ((1.0 + nu) * (1.0 - 2.0 * nu))
    shear = E / (2.0 * (1.0 + nu))
    D = np.diag([2.0 * shear] * 3 + [shear] * 3)
    D[:3, :3] += lame
    return D[None]


LAW = LinearLaw("isotropic", ("E_MPa", "nu"), False, matrix)
