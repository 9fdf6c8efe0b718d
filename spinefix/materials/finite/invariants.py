"""Isochoric invariants, their first derivatives with respect to C and their curvatures.

An energy W(I) of an invariant I contributes S = 2 W' A and dS/dE = 4 W'' A (x) A + 4 W' dA/dC, with A = dI/dC.
Source: Holzapfel GA (2000), Nonlinear solid mechanics, Wiley, sections 6.4 to 6.8.
"""

from __future__ import annotations

from typing import Any

from spinefix.jit import kernel
from spinefix.materials.finite.tensors import (
    add_dyad,
    add_dyads,
    add_identity,
    add_square,
    clear,
    determinant,
    double_dot,
    inverse,
    right_cauchy_green,
)
from spinefix.materials.finite.volumetric import add_volumetric


@kernel
def linear_invariant(M: Any, C: Any, Ci: Any, J23: float, out_A: Any) -> Any:
    """I = J^(-2/3) M : C with A = J^(-2/3) (M - M : C / 3 C^-1); M = identity gives I1, a (x) a gives I4.

    J23 is J^(-2/3).
    """
    value = J23 * double_dot(M, C)
    for i in range(6):
        out_A[i] = J23 * M[i] - value / 3.0 * Ci[i]
    return value


@kernel
def add_linear_curvature(M: Any, Ci: Any, J23: float, value: float, f: float, out_C: Any) -> None:
    """Add f dA/dC of `linear_invariant`, whose value is I."""
    add_dyads(M, Ci, -f * J23 / 3.0, out_C)
    add_dyad(Ci, f * value / 9.0, out_C)
    add_square(Ci, f * value / 3.0, out_C)


@kernel
def second_invariant(C: Any, Ci: Any, J23: float, out_B: Any, out_A: Any) -> Any:
    """I2 = J^(-4/3) (tr^2 C - C : C) / 2 with A = J^(-4/3) B - 2/3 I2 C^-1 and out_B = tr C identity - C."""
    trace = C[0] + C[1] + C[2]
    value = 0.5 * J23 * J23 * (trace * trace - double_dot(C, C))
    for i in range(6):
        out_B[i] = (trace if i < 3 else 0.0) - C[i]
        out_A[i] = J23 * J23 * out_B[i] - 2.0 / 3.0 * value * Ci[i]
    return value


@kernel
def add_second_curvature(B: Any, Ci: Any, unit: Any, J23: float, value: float, f: float, out_C: Any) -> None:
    """Add f dA/dC of `second_invariant`; unit is the identity (6,)."""
    J43 = J23 * J23
    add_dyad(unit, f * J43, out_C)
    add_identity(-f * J43, out_C)
    add_dyads(B, Ci, -2.0 / 3.0 * f * J43, out_C)
    add_dyad(Ci, 4.0 / 9.0 * f * value, out_C)
    add_square(Ci, 2.0 / 3.0 * f * value, out_C)


@kernel
def ground_response(
    F: Any, p: Any, unit: Any, C: Any, Ci: Any, A: Any, B: Any, tangent: int, out_S: Any, out_C: Any
) -> Any:
    """Mooney-Rivlin ground C10 (I1 - 3) + C01 (I2 - 3) + U(J): set stress and upper triangle of the tangent.

    p: C10, C01, K [MPa], code of U; unit the identity (6,); C, Ci (6,) are set to C and its inverse; A, B (6,) work.
    return  J and W; J <= 0 leaves the rest undone
    """
    J = determinant(F)
    if not J > 0.0:
        return J, 0.0
    right_cauchy_green(F, C)
    inverse(C, Ci)
    J23 = J ** (-2.0 / 3.0)
    C10, C01 = p[0], p[1]
    I1 = linear_invariant(unit, C, Ci, J23, A)
    for i in range(6):
        out_S[i] = 2.0 * C10 * A[i]
    if tangent == 1:
        clear(out_C)
        add_linear_curvature(unit, Ci, J23, I1, 4.0 * C10, out_C)
    W = C10 * (I1 - 3.0)
    if C01 != 0.0:
        I2 = second_invariant(C, Ci, J23, B, A)
        for i in range(6):
            out_S[i] += 2.0 * C01 * A[i]
        if tangent == 1:
            add_second_curvature(B, Ci, unit, J23, I2, 4.0 * C01, out_C)
        W += C01 * (I2 - 3.0)
    return J, W + add_volumetric(int(p[3]), p[2], J, Ci, tangent, out_S, out_C)
