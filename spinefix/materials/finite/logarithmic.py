"""Stress and tangent of laws that are linear in the logarithmic elastic strain (Hencky), by principal axes.

The Kirchhoff stress is coaxial with b: ``tau = sum_A beta_A n_A (x) n_A``, and ``dbeta_A = a_AB d eps_B`` with
``eps_A = ln lambda_A``. Its spatial tangent is
``c = sum_AB (a_AB - 2 beta_A delta_AB) m_A (x) m_B + sum_(A<B) theta_AB w_AB (x) w_AB`` with ``m_A = n_A (x) n_A``,
``w_AB = n_A (x) n_B + n_B (x) n_A`` and
``theta_AB = (beta_A lambda_B^2 - beta_B lambda_A^2) / (lambda_A^2 - lambda_B^2)``. Since here
``beta_A - beta_B = 2 G (eps_A - eps_B)``, that is ``-(beta_A + beta_B) / 2 + G x coth x`` with ``x = eps_A - eps_B``,
which needs no case for equal stretches.
Source: Simo JC (1992), Comput Methods Appl Mech Eng 99:61-112; Holzapfel GA (2000), Nonlinear solid mechanics, Wiley,
section 6.6.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinefix.jit import kernel
from spinefix.materials.finite.tensors import (
    FIRST,
    SECOND,
    add_dyad,
    clear,
    congruence,
    determinant,
    eigen,
    mirror,
    transform,
)


@kernel
def invert(F: Any, out: Any) -> Any:
    """Inverse of a 3 x 3 matrix; return its determinant."""
    det = determinant(F)
    for i in range(3):
        a, b = (i + 1) % 3, (i + 2) % 3
        for j in range(3):
            c, d = (j + 1) % 3, (j + 2) % 3
            out[j, i] = (F[a, c] * F[b, d] - F[a, d] * F[b, c]) / det
    return det


@kernel
def principal_log(b: Any, work: Any, out_strain: Any, out_n: Any) -> Any:
    """Principal logarithmic strains (3,) and axes (columns) of b (6,); return 1 where b is not positive definite."""
    eigen(b, work, out_strain, out_n)
    for a in range(3):
        if not (out_strain[a] > 0.0 and np.isfinite(out_strain[a])):
            return 1
        out_strain[a] = 0.5 * np.log(out_strain[a])
    return 0


@kernel
def from_principal(values: Any, n: Any, out: Any) -> None:
    """Tensor (6,) with principal values (3,) and axes (columns)."""
    out[0] = out[1] = out[2] = out[3] = out[4] = out[5] = 0.0
    for a in range(3):
        x, y, z = n[0, a], n[1, a], n[2, a]
        v = values[a]
        out[0] += v * x * x
        out[1] += v * y * y
        out[2] += v * z * z
        out[3] += v * x * y
        out[4] += v * y * z
        out[5] += v * x * z


@kernel
def log_trial(F: Any, plastic: Any, Fi: Any, b: Any, work: Any, out_strain: Any, out_n: Any, out_e: Any) -> Any:
    """Elastic trial strains at F for an inverse plastic right Cauchy-Green tensor `plastic` (6,).

    Fi (3, 3) is set to the inverse of F, b (6,) to F plastic F^T; out_strain (3,) principal logarithmic strains, out_n
    their axes (columns), out_e (3,) their deviators; work (3, 3).
    return  0 (1 where det F is not positive), trace and norm of the deviator
    """
    if not invert(F, Fi) > 0.0:
        return 1, 0.0, 0.0
    congruence(F, plastic, b)
    if principal_log(b, work, out_strain, out_n) != 0:
        return 1, 0.0, 0.0
    trace = out_strain[0] + out_strain[1] + out_strain[2]
    norm = 0.0
    for a in range(3):
        out_e[a] = out_strain[a] - trace / 3.0
        norm += out_e[a] * out_e[a]
    return 0, trace, np.sqrt(norm)


@kernel
def keep_plastic(keep: float, mean: float, e: Any, n: Any, Fi: Any, beta: Any, b: Any, out: Any) -> None:
    """Set the inverse plastic tensor out[:6] whose elastic strains are keep e + mean; beta (3,) and b (6,) are work."""
    for a in range(3):
        beta[a] = np.exp(2.0 * (keep * e[a] + mean))
    from_principal(beta, n, b)
    congruence(Fi, b, out)


@kernel
def pull_back(
    beta: Any,
    a: Any,
    shear: float,
    strain: Any,
    n: Any,
    Fi: Any,
    tangent: int,
    tau: Any,
    c: Any,
    X: Any,
    out_S: Any,
    out_C: Any,
) -> None:
    """Second Piola-Kirchhoff stress and material tangent from principal Kirchhoff stresses beta (3,).

    a (3, 3) = d beta / d strain; shear = G in beta_A - beta_B = 2 G (strain_A - strain_B); n axes (columns); Fi the
    inverse of F; tau (6,) and c, X (6, 6) are work arrays.
    """
    from_principal(beta, n, tau)
    congruence(Fi, tau, out_S)
    if tangent != 1:
        return
    clear(c)
    for A in range(3):
        for B in range(3):
            f = a[A, B] - (2.0 * beta[A] if A == B else 0.0)
            for i in range(6):
                m_A = n[FIRST[i], A] * n[SECOND[i], A]
                for j in range(i, 6):
                    c[i, j] += f * m_A * n[FIRST[j], B] * n[SECOND[j], B]
    for A in range(2):
        for B in range(A + 1, 3):
            x = strain[A] - strain[B]
            x_coth = 1.0 + x * x / 3.0 if abs(x) < 1e-4 else x / np.tanh(x)
            for i in range(6):
                tau[i] = n[FIRST[i], A] * n[SECOND[i], B] + n[FIRST[i], B] * n[SECOND[i], A]
            add_dyad(tau, shear * x_coth - 0.5 * (beta[A] + beta[B]), c)
    mirror(c)
    transform(c, Fi, tau, X, out_C)
