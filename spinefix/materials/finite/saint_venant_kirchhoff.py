"""Saint Venant-Kirchhoff: Hooke's law between S and E. For small strains at large rotations.

``W = lambda / 2 tr^2 E + mu E : E``, ``S = lambda tr E I + 2 mu E``. It softens under strong compression (a bar loses
stiffness at a stretch of 0.58 and collapses); use the co-rotational element or ``hencky`` there.
Source: Holzapfel GA (2000), Nonlinear solid mechanics, Wiley, section 6.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials.finite.law import FiniteLaw, Value, lame
from spinefix.materials.finite.tensors import determinant, double_dot, green_lagrange

NAME = "saint_venant_kirchhoff"


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """Lame's constants (2,) [MPa]."""
    return np.array(lame(parameters, NAME))


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
    """See `FiniteLaw.update`; params (k, 2): lambda, mu."""
    E = np.empty(6)
    for n in range(F.shape[0]):
        if not determinant(F[n]) > 0.0:
            return 1 + n
        lam, mu = params[rows[n], 0], params[rows[n], 1]
        green_lagrange(F[n], E)
        trace = E[0] + E[1] + E[2]
        out_W[n] = 0.5 * lam * trace * trace + mu * double_dot(E, E)
        for i in range(6):
            out_S[n, i] = (lam * trace if i < 3 else 0.0) + 2.0 * mu * E[i]
        if tangent == 1:
            for i in range(6):
                for j in range(6):
                    c = lam if i < 3 and j < 3 else 0.0
                    if i == j:
                        c += 2.0 * mu if i < 3 else mu
                    out_C[n, i, j] = c
    return 0


LAW = FiniteLaw(1, NAME, ("E_MPa", "nu"), row, update, formulation="enhanced")
