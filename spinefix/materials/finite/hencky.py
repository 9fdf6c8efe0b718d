"""Hencky: linear elasticity between Kirchhoff stress and logarithmic strain, stable in strong compression.

``W = K / 2 (ln J)^2 + mu dev(ln U) : dev(ln U)``, ``tau = K ln J I + 2 mu dev(ln V)``.
Source: Hencky H (1928), Z Tech Phys 9:215-220; Simo JC (1992), Comput Methods Appl Mech Eng 99:61-112.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials.finite.law import FiniteLaw, Value, lame
from spinefix.materials.finite.logarithmic import invert, principal_log, pull_back
from spinefix.materials.finite.tensors import left_cauchy_green

NAME = "hencky"


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """Bulk and shear modulus (2,) [MPa]."""
    lam, mu = lame(parameters, NAME)
    return np.array([lam + 2.0 / 3.0 * mu, mu])


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
    """See `FiniteLaw.update`; params (k, 2): K, mu."""
    b, tau = np.empty(6), np.empty(6)
    Fi, work, axis, a = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    strain, beta = np.empty(3), np.empty(3)
    c, X = np.empty((6, 6)), np.empty((6, 6))
    for n in range(F.shape[0]):
        if not invert(F[n], Fi) > 0.0:
            return 1 + n
        K, mu = params[rows[n], 0], params[rows[n], 1]
        left_cauchy_green(F[n], b)
        if principal_log(b, work, strain, axis) != 0:
            return 1 + n
        trace = strain[0] + strain[1] + strain[2]
        W = 0.5 * K * trace * trace
        for A in range(3):
            e = strain[A] - trace / 3.0
            W += mu * e * e
            beta[A] = K * trace + 2.0 * mu * e
            for B in range(3):
                a[A, B] = K - 2.0 / 3.0 * mu + (2.0 * mu if A == B else 0.0)
        out_W[n] = W
        pull_back(beta, a, mu, strain, axis, Fi, tangent, tau, c, X, out_S[n], out_C[n])
    return 0


LAW = FiniteLaw(9, NAME, ("E_MPa", "nu"), row, update, formulation="enhanced")
