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
from spinefix.materials.finite.logarithmic import log_trial, pull_back

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
    b, tau, virgin = np.empty(6), np.empty(6), np.zeros(6)
    virgin[:3] = 1.0
    Fi, work, axis, a = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    strain, e, beta = np.empty(3), np.empty(3), np.empty(3)
    c, X = np.empty((6, 6)), np.empty((6, 6))
    for n in range(F.shape[0]):
        K, mu = params[rows[n], 0], params[rows[n], 1]
        status, trace, norm = log_trial(F[n], virgin, Fi, b, work, strain, axis, e)
        if status != 0:
            return 1 + n
        out_W[n] = 0.5 * K * trace * trace + mu * norm * norm
        for A in range(3):
            beta[A] = K * trace + 2.0 * mu * e[A]
            for B in range(3):
                a[A, B] = K - 2.0 / 3.0 * mu + (2.0 * mu if A == B else 0.0)
        pull_back(beta, a, mu, strain, axis, Fi, tangent, tau, c, X, out_S[n], out_C[n])
    return 0


LAW = FiniteLaw(9, NAME, ("E_MPa", "nu"), row, update, formulation="enhanced")
