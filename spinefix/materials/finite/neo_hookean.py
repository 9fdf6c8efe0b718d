"""Nearly incompressible neo-Hooke: ``W = mu / 2 (I1 - 3) + U(J)`` with the isochoric invariant I1.

U(J) is any of `volumetric`; at small strain mu is the shear modulus and K the bulk modulus.
Source: Holzapfel GA (2000), Nonlinear solid mechanics, Wiley, sections 6.4 to 6.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials.finite.invariants import ground_response
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.tensors import mirror
from spinefix.materials.finite.volumetric import volumetric, volumetric_code

NAME = "neo_hookean"


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """C10, C01 = 0, K [MPa] and the code of U, as for Mooney-Rivlin."""
    mu, K = (number(parameters, p, NAME, least=0.0) for p in ("mu_MPa", "K_MPa"))
    return np.array([mu / 2.0, 0.0, K, volumetric_code(parameters, NAME)])


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
    """See `FiniteLaw.update`; params (k, 4): C10, C01, K [MPa], code of U. Serves Mooney-Rivlin too."""
    C, Ci, A, B, unit = np.empty(6), np.empty(6), np.empty(6), np.empty(6), np.zeros(6)
    unit[:3] = 1.0
    for n in range(F.shape[0]):
        J, out_W[n] = ground_response(F[n], params[rows[n]], unit, C, Ci, A, B, tangent, out_S[n], out_C[n])
        if not (J > 0.0 and np.isfinite(out_W[n])):
            return 1 + n
        if tangent == 1:
            mirror(out_C[n])
    return 0


@kernel
def update_spatial(
    F: Any,
    rows: Any,
    params: Any,
    axes: Any,
    state_old: Any,
    tangent: int,
    out_W: Any,
    out_tau: Any,
    out_c: Any,
    out_state: Any,
) -> Any:
    """See `FiniteLaw.spatial`; params as in `update`, without C01.

    With ``s = mu J^(-2/3) b``: ``tau = dev s + J U' I`` and ``c = 2/3 (tr s (I4 - I (x) I / 3) - dev s (x) I -
    I (x) dev s) + J (U' + J U'') I (x) I - 2 J U' I4`` (Holzapfel 2000, sections 6.6 and 6.7).
    """
    for n in range(F.shape[0]):
        p, f = params[rows[n]], F[n]
        J = (
            f[0, 0] * (f[1, 1] * f[2, 2] - f[1, 2] * f[2, 1])
            - f[0, 1] * (f[1, 0] * f[2, 2] - f[1, 2] * f[2, 0])
            + f[0, 2] * (f[1, 0] * f[2, 1] - f[1, 1] * f[2, 0])
        )
        if not J > 0.0:
            return 1 + n
        mu = 2.0 * p[0]
        s = mu * J ** (-2.0 / 3.0)
        s0 = s * (f[0, 0] * f[0, 0] + f[0, 1] * f[0, 1] + f[0, 2] * f[0, 2])
        s1 = s * (f[1, 0] * f[1, 0] + f[1, 1] * f[1, 1] + f[1, 2] * f[1, 2])
        s2 = s * (f[2, 0] * f[2, 0] + f[2, 1] * f[2, 1] + f[2, 2] * f[2, 2])
        s3 = s * (f[0, 0] * f[1, 0] + f[0, 1] * f[1, 1] + f[0, 2] * f[1, 2])
        s4 = s * (f[1, 0] * f[2, 0] + f[1, 1] * f[2, 1] + f[1, 2] * f[2, 2])
        s5 = s * (f[0, 0] * f[2, 0] + f[0, 1] * f[2, 1] + f[0, 2] * f[2, 2])
        third = (s0 + s1 + s2) / 3.0
        U, dU, ddU = volumetric(int(p[3]), p[2], J)
        pressure = J * dU
        out_W[n] = 1.5 * (third - mu) + U
        if not np.isfinite(out_W[n]):
            return 1 + n
        s0, s1, s2 = s0 - third, s1 - third, s2 - third
        tau = out_tau[n]
        tau[0], tau[1], tau[2], tau[3], tau[4], tau[5] = s0 + pressure, s1 + pressure, s2 + pressure, s3, s4, s5
        if tangent == 1:
            shear = third - pressure
            k = pressure + J * J * ddU - 2.0 / 3.0 * third
            d0, d1, d2 = 2.0 / 3.0 * s0, 2.0 / 3.0 * s1, 2.0 / 3.0 * s2
            d3, d4, d5 = -2.0 / 3.0 * s3, -2.0 / 3.0 * s4, -2.0 / 3.0 * s5
            c = out_c[n]
            c[0, 0], c[0, 1], c[0, 2] = k - 2.0 * d0 + 2.0 * shear, k - d0 - d1, k - d0 - d2
            c[1, 0], c[1, 1], c[1, 2] = k - d0 - d1, k - 2.0 * d1 + 2.0 * shear, k - d1 - d2
            c[2, 0], c[2, 1], c[2, 2] = k - d0 - d2, k - d1 - d2, k - 2.0 * d2 + 2.0 * shear
            for i in range(3):
                c[i, 3], c[i, 4], c[i, 5] = d3, d4, d5
                c[3, i], c[4, i], c[5, i] = d3, d4, d5
                for j in range(3):
                    c[3 + i, 3 + j] = shear if i == j else 0.0
    return 0


LAW = FiniteLaw(3, NAME, ("mu_MPa", "K_MPa"), row, update, optional=(("volumetric", "mixed"),), spatial=update_spatial)
