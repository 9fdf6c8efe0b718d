"""Orthotropic linear elasticity in the global axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinefix.materials.law import LinearLaw, stiffness_of_compliance

F64 = NDArray[np.float64]


def matrix(parameters: Mapping[str, float], fibres: F64) -> F64:
    """Elasticity (1, 6, 6) [MPa] from nine constants; axes 1, 2, 3 are x, y, z.

    ``nu12`` is the contraction along 2 under tension along 1: ``nu12 / E1 = nu21 / E2``. The shear moduli belong to the
    planes 1-2, 2-3 and 3-1.

    Raises
    ------
    MaterialError
        The constants are not positive definite.
    """
    p = parameters
    E1, E2, E3 = p["E1_MPa"], p["E2_MPa"], p["E3_MPa"]
    S = np.zeros((6, 6))
    with np.errstate(divide="ignore", invalid="ignore"):
        modulus = np.array([E1, E2, E3, p["G12_MPa"], p["G23_MPa"], p["G31_MPa"]])
        S[np.arange(6), np.arange(6)] = 1.0 / modulus
        S[0, 1] = S[1, 0] = -p["nu12"] / E1
        S[1, 2] = S[2, 1] = -p["nu23"] / E2
        S[0, 2] = S[2, 0] = -p["nu31"] / E3
    return stiffness_of_compliance(S[None], "orthotropic")


LAW = LinearLaw(
    "orthotropic",
    ("E1_MPa", "E2_MPa", "E3_MPa", "G12_MPa", "G23_MPa", "G31_MPa", "nu12", "nu23", "nu31"),
    False,
    matrix,
)
