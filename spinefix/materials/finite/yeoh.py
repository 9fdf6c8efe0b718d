"""Yeoh: ``W = sum_i Ci0 (I1 - 3)^i + U(J)``, i = 1 to 3, with the isochoric invariant I1.

The small-strain shear modulus is 2 C10.
Source: Yeoh OH (1993), Some forms of the strain energy function for rubber, Rubber Chem Technol 66:754-771.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials.finite.invariants import add_linear_curvature, linear_invariant
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.tensors import add_dyad, clear, determinant, inverse, mirror, right_cauchy_green
from spinefix.materials.finite.volumetric import add_volumetric, volumetric_code

NAME = "yeoh"


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """C10, C20, C30, K [MPa] and the code of U (5,)."""
    C10, K = (number(parameters, p, NAME, least=0.0) for p in ("C10_MPa", "K_MPa"))
    C20, C30 = (number(parameters, p, NAME) for p in ("C20_MPa", "C30_MPa"))
    return np.array([C10, C20, C30, K, volumetric_code(parameters, NAME)])


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
    """See `FiniteLaw.update`; params (k, 5): C10, C20, C30, K [MPa], code of U."""
    C, Ci, A, unit = np.empty(6), np.empty(6), np.empty(6), np.zeros(6)
    unit[:3] = 1.0
    for n in range(F.shape[0]):
        J = determinant(F[n])
        if not J > 0.0:
            return 1 + n
        p = params[rows[n]]
        right_cauchy_green(F[n], C)
        inverse(C, Ci)
        J23 = J ** (-2.0 / 3.0)
        I1 = linear_invariant(unit, C, Ci, J23, A)
        x = I1 - 3.0
        dW = p[0] + x * (2.0 * p[1] + 3.0 * x * p[2])
        ddW = 2.0 * p[1] + 6.0 * x * p[2]
        S, D = out_S[n], out_C[n]
        for i in range(6):
            S[i] = 2.0 * dW * A[i]
        if tangent == 1:
            clear(D)
            add_dyad(A, 4.0 * ddW, D)
            add_linear_curvature(unit, Ci, J23, I1, 4.0 * dW, D)
        W = x * (p[0] + x * (p[1] + x * p[2]))
        out_W[n] = W + add_volumetric(int(p[4]), p[3], J, Ci, tangent, S, D)
        if tangent == 1:
            mirror(D)
        if not np.isfinite(out_W[n]):
            return 1 + n
    return 0


LAW = FiniteLaw(5, NAME, ("C10_MPa", "C20_MPa", "C30_MPa", "K_MPa"), row, update, optional=(("volumetric", "mixed"),))
