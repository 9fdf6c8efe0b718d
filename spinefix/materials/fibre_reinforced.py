"""An isotropic ground substance with two families of linear fibres (annulus fibrosus, small strain).

Each family adds the energy ``fibre_MPa / 2 (a . eps a)^2`` per volume: a stiffness along the unit direction ``a`` that
acts alike in tension and compression. A linear law cannot tell them apart; that is its limit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.materials import isotropic
from spinefix.materials.law import LinearLaw

F64 = NDArray[np.float64]


def matrix(parameters: Mapping[str, float], fibres: F64) -> F64:
    """Elasticity (e, 6, 6) [MPa], one per element.

    Parameters
    ----------
    parameters : mapping
        ``E_MPa``, ``nu`` of the ground substance; ``fibre_MPa``, modulus of each family per volume of tissue (fibre
        modulus times its volume fraction).
    fibres : (e, 2, 3) float64
        Unit directions; a family of zeros is absent.

    Raises
    ------
    MaterialError
        The ground substance is unusable, the fibre modulus negative, or a direction neither of unit length nor zero.
    """
    ground = isotropic.matrix(parameters, fibres)
    modulus = parameters["fibre_MPa"]
    if not (np.isfinite(modulus) and modulus >= 0.0):
        raise MaterialError(f"fibre_reinforced: fibre_MPa must not be negative, got {modulus:g}")
    length = np.linalg.norm(fibres, axis=2)
    if not np.all((np.abs(length - 1.0) < 1e-6) | (length == 0.0)):
        raise MaterialError("fibre_reinforced: fibre directions must have unit length, or be zero where absent")
    x, y, z = np.moveaxis(fibres, 2, 0)
    m = np.stack([x * x, y * y, z * z, x * y, y * z, x * z], axis=2)
    return np.asarray(ground + modulus * np.einsum("efi,efj->eij", m, m))


LAW = LinearLaw("fibre_reinforced", ("E_MPa", "nu", "fibre_MPa"), True, matrix)
