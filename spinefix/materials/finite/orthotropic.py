"""Orthotropic Saint Venant-Kirchhoff: ``S = D : E`` with nine constants in the element's own material axes.

Axes 1 and 2 are given per element, axis 3 completes the right-handed frame. The constants are those of the linear
``orthotropic`` law. Limits in compression as for ``saint_venant_kirchhoff``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials import orthotropic as linear
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.tensors import congruence, determinant, double_dot, green_lagrange, transform

NAME = "orthotropic_saint_venant_kirchhoff"
PARAMETERS = linear.LAW.parameters


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """Elasticity in the material axes (36,) [MPa]."""
    numbers = {p: number(parameters, p, NAME) for p in PARAMETERS}
    D: NDArray[np.float64] = linear.matrix(numbers, np.zeros((0, 2, 3)))[0]
    return 0.5 * (D + D.T).ravel()


@kernel
def update(
    F: Any,
    rows: Any,
    params: Any,
    axes: Any,
    state_old: Any,
    tangent: int,
    out_W: Any,
    out_S: Any,
    out_C: Any,
    out_state: Any,
) -> Any:
    """See `FiniteLaw.update`; params (k, 36): D row by row; axes (n, 2 or more, 3)."""
    E, local, stress = np.empty(6), np.empty(6), np.empty(6)
    R, Rt = np.empty((3, 3)), np.empty((3, 3))
    column, X = np.empty(6), np.empty((6, 6))
    for n in range(F.shape[0]):
        if not determinant(F[n]) > 0.0:
            return 1 + n
        D = params[rows[n]].reshape(6, 6)
        a, b = axes[n, 0], axes[n, 1]
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            R[i, 0], R[i, 1], R[i, 2] = a[i], b[i], a[j] * b[k] - a[k] * b[j]
        for i in range(3):
            for j in range(3):
                Rt[i, j] = R[j, i]
        green_lagrange(F[n], E)
        congruence(Rt, E, local)
        for i in range(6):
            s = 0.0
            for j in range(6):
                s += D[i, j] * (local[j] if j < 3 else 2.0 * local[j])
            stress[i] = s
        out_W[n] = 0.5 * double_dot(stress, local)
        congruence(R, stress, out_S[n])
        if tangent == 1:
            transform(D, R, column, X, out_C[n])
    return 0


LAW = FiniteLaw(2, NAME, PARAMETERS, row, update, axes="frame", formulation="enhanced")
