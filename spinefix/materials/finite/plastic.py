"""Finite-strain J2 plasticity with isotropic hardening: rods and screws of metal.

Multiplicative split F = Fe Fp, Hencky elasticity of Fe, von Mises yield in Kirchhoff stress, associative flow by the
exponential map, so that the return is radial in principal logarithmic strains. The yield stress is
``yield + hardening p + saturation (1 - exp(-rate p))`` with the equivalent plastic strain p (linear and Voce
hardening). The state is the inverse plastic right Cauchy-Green tensor (6) and p. W is elastic energy plus plastic work
``int sigma_y dp``, whose derivative at fixed old state is the stress.
Source: Simo JC (1992), Comput Methods Appl Mech Eng 99:61-112; de Souza Neto EA, Peric D, Owen DRJ (2008),
Computational methods for plasticity, Wiley, chapters 7 and 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.jit import kernel
from spinefix.materials.finite.law import FiniteLaw, Value, lame, number
from spinefix.materials.finite.logarithmic import keep_plastic, log_trial, pull_back

NAME = "plastic_j2"


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """K, mu, yield, hardening, saturation [MPa], rate (6,)."""
    lam, mu = lame(parameters, NAME)
    yield_stress = number(parameters, "yield_MPa", NAME, least=0.0)
    names = ("hardening_MPa", "saturation_MPa", "saturation_rate")
    return np.array(
        [lam + 2.0 / 3.0 * mu, mu, yield_stress, *(number(parameters, p, NAME, least=0.0, strict=False) for p in names)]
    )


@kernel
def plastic_increment(q: float, p_old: float, p: Any) -> Any:
    """Increment of equivalent plastic strain that brings the trial stress q back to the yield surface, and slope there.

    The residual is convex and falls, so Newton's iteration from zero climbs to the root without overshooting.
    """
    mu, hardening, saturation, rate = p[1], p[3], p[4], p[5]
    step, slope = 0.0, 0.0
    for _ in range(100):
        decay = np.exp(-rate * (p_old + step))
        rest = q - 3.0 * mu * step - (p[2] + hardening * (p_old + step) + saturation * (1.0 - decay))
        slope = hardening + saturation * rate * decay
        if abs(rest) <= 1e-14 * q:
            break
        step += rest / (3.0 * mu + slope)
    return step, slope


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
    """See `FiniteLaw.update`; params as in `row`; state: inverse plastic right Cauchy-Green tensor (6), p."""
    b, tau = np.empty(6), np.empty(6)
    Fi, work, axis, a = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    strain, e, beta = np.empty(3), np.empty(3), np.empty(3)
    c, X = np.empty((6, 6)), np.empty((6, 6))
    for n in range(F.shape[0]):
        old, new, p = state_old[n], out_state[n], params[rows[n]]
        K, mu = p[0], p[1]
        status, trace, norm = log_trial(F[n], old, Fi, b, work, strain, axis, e)
        if status != 0:
            return 1 + n
        q = np.sqrt(6.0) * mu * norm
        p_old = old[6]
        yield_stress = p[2] + p[3] * p_old + p[4] * (1.0 - np.exp(-p[5] * p_old))
        keep, rank = 1.0, 0.0
        for i in range(7):
            new[i] = old[i]
        if q > yield_stress:
            step, slope = plastic_increment(q, p_old, p)
            keep = 1.0 - 3.0 * mu * step / q
            rank = 6.0 * mu * mu * (step / q - 1.0 / (3.0 * mu + slope)) / (norm * norm)
            new[6] = p_old + step
            keep_plastic(keep, trace / 3.0, e, axis, Fi, beta, b, new)
        hardened = new[6]
        W = 0.5 * K * trace * trace + mu * keep * keep * norm * norm + hardened * (p[2] + 0.5 * p[3] * hardened)
        if p[5] > 0.0:
            W += p[4] * (hardened + (np.exp(-p[5] * hardened) - 1.0) / p[5])
        out_W[n] = W
        shear = mu * keep
        for A in range(3):
            beta[A] = K * trace + 2.0 * shear * e[A]
            for B in range(3):
                a[A, B] = K - 2.0 / 3.0 * shear + (2.0 * shear if A == B else 0.0) + rank * e[A] * e[B]
        pull_back(beta, a, shear, strain, axis, Fi, tangent, tau, c, X, out_S[n], out_C[n])
    return 0


LAW = FiniteLaw(
    10,
    NAME,
    ("E_MPa", "nu", "yield_MPa", "hardening_MPa", "saturation_MPa", "saturation_rate"),
    row,
    update,
    virgin=(1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0),
    optional=(("hardening_MPa", 0.0), ("saturation_MPa", 0.0), ("saturation_rate", 0.0)),
    formulation="enhanced",
)
