"""Holzapfel-Gasser-Ogden with dispersed fibre families that carry tension only.

``W = C10 (I1 - 3) + k1 / (2 k2) sum_f (exp(k2 <E_f>^2) - 1) + U(J)`` with
``E_f = kappa (I1 - 3) + (1 - 3 kappa) (I4_f - 1)``, isochoric invariants I1 and I4, and <x> = x where positive, else 0.
kappa = 0 means aligned fibres, 1/3 none at all; a family switches off where E_f is negative. At E_f = 0, hence at rest,
its tangent counts: of the two one-sided ones this is the one that warns a solver of what a step would meet.
With U ``mixed`` and K = 2 / D this is the law as finite-element codes have it. The split is meant for nearly
incompressible tissue: at low K fibres would rather swell than stretch (Nolan DR et al. 2014, J Mech Behav Biomed Mater
39:48-60).
Source: Gasser TC, Ogden RW, Holzapfel GA (2006), J R Soc Interface 3:15-35.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.jit import kernel
from spinefix.materials.finite.invariants import add_linear_curvature, ground_response, linear_invariant
from spinefix.materials.finite.law import FiniteLaw, Value, number
from spinefix.materials.finite.tensors import add_dyad, mirror, structure
from spinefix.materials.finite.volumetric import volumetric_code

NAME = "holzapfel_gasser_ogden"
ROUND_OFF = 1e-12
"""Fibre strains this close to zero are zero."""


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """C10, C01 = 0, K [MPa], code of U, k1 [MPa], k2, kappa (7,).

    Raises
    ------
    MaterialError
        A constant is out of range.
    """
    C10, K, k2 = (number(parameters, p, NAME, least=0.0) for p in ("C10_MPa", "K_MPa", "k2"))
    k1 = number(parameters, "k1_MPa", NAME, least=0.0, strict=False)
    kappa = number(parameters, "kappa", NAME, least=0.0, strict=False)
    if kappa > 1.0 / 3.0:
        raise MaterialError(f"{NAME}: kappa must not exceed 1/3, got {kappa:g}")
    return np.array([C10, 0.0, K, volumetric_code(parameters, NAME), k1, k2, kappa])


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
    """See `FiniteLaw.update`; params as in `row`; axes (n, families, 3)."""
    C, Ci, A, B, M = np.empty(6), np.empty(6), np.empty(6), np.empty(6), np.empty(6)
    unit = np.zeros(6)
    unit[:3] = 1.0
    for n in range(F.shape[0]):
        p, S, D = params[rows[n]], out_S[n], out_C[n]
        J, W = ground_response(F[n], p, unit, C, Ci, A, B, tangent, S, D)
        if not J > 0.0:
            return 1 + n
        k1, k2, kappa = p[4], p[5], p[6]
        J23 = J ** (-2.0 / 3.0)
        for f in range(axes.shape[1]):
            a = axes[n, f]
            if a[0] == 0.0 and a[1] == 0.0 and a[2] == 0.0:
                continue
            # E_f is linear in C but for J^(-2/3): one structure tensor serves both invariants.
            structure(a, M)
            for i in range(6):
                M[i] = (1.0 - 3.0 * kappa) * M[i] + kappa * unit[i]
            value = linear_invariant(M, C, Ci, J23, A)
            E = value - 1.0
            if E < -ROUND_OFF:
                continue
            E = max(E, 0.0)
            growth = np.exp(k2 * E * E)
            W += 0.5 * k1 / k2 * (growth - 1.0)
            dW = k1 * E * growth
            for i in range(6):
                S[i] += 2.0 * dW * A[i]
            if tangent == 1:
                add_dyad(A, 4.0 * k1 * growth * (1.0 + 2.0 * k2 * E * E), D)
                add_linear_curvature(M, Ci, J23, value, 4.0 * dW, D)
        out_W[n] = W
        if tangent == 1:
            mirror(D)
        if not np.isfinite(W):
            return 1 + n
    return 0


LAW = FiniteLaw(
    6,
    NAME,
    ("C10_MPa", "K_MPa", "k1_MPa", "k2", "kappa"),
    row,
    update,
    axes="fibres",
    optional=(("volumetric", "mixed"),),
)
