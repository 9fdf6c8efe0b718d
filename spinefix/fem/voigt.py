"""The one Voigt order: xx yy zz xy yz xz, shear strains as engineering strains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

PAIRS: tuple[tuple[int, int], ...] = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))
"""Tensor indices of each Voigt component."""

_I = np.array([p[0] for p in PAIRS])
_J = np.array([p[1] for p in PAIRS])

COMPONENT = np.zeros((3, 3), np.int32)
"""Voigt component of each pair of tensor indices."""
COMPONENT[_I, _J] = COMPONENT[_J, _I] = np.arange(6)


def stress_tensor(s: F64) -> F64:
    """Return the symmetric tensors (..., 3, 3) of Voigt stresses (..., 6)."""
    return np.asarray(s)[..., COMPONENT]


def stress_vector(t: F64) -> F64:
    """Return Voigt stresses (..., 6) of symmetric tensors (..., 3, 3)."""
    return np.asarray(t)[..., _I, _J]


def strain_tensor(e: F64) -> F64:
    """Return the symmetric tensors (..., 3, 3) of Voigt strains (..., 6), halving engineering shears."""
    return stress_tensor(np.asarray(e) * np.where(_I == _J, 1.0, 0.5))


def strain_vector(t: F64) -> F64:
    """Return Voigt strains (..., 6) of symmetric tensors (..., 3, 3), doubling shears."""
    return stress_vector(t) * np.where(_I == _J, 1.0, 2.0)


def elasticity_tensor(D: F64) -> F64:
    """Return the tensors C (..., 3, 3, 3, 3), s_ij = C_ijkl e_kl, of Voigt matrices D (..., 6, 6)."""
    D = np.asarray(D)
    return D[..., COMPONENT[:, :, None, None], COMPONENT[None, None, :, :]]


def elasticity_matrix(C: F64) -> F64:
    """Return the Voigt matrices (..., 6, 6) of tensors C (..., 3, 3, 3, 3) with minor symmetries."""
    return np.asarray(C)[..., _I[:, None], _J[:, None], _I[None, :], _J[None, :]]


def rotate_elasticity(D: F64, R: F64) -> F64:
    """Return D (..., 6, 6) turned by rotations R (..., 3, 3): material axis j becomes direction R[:, j]."""
    C = np.einsum("...ia,...jb,...kc,...ld,...abcd->...ijkl", R, R, R, R, elasticity_tensor(D), optimize=True)
    return elasticity_matrix(C)
