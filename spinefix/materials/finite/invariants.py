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
from spinefix.materials.finite.volumetric import volumetric


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
    """Add f dA/dC of `linear_invariant`, whose value is I.

    dA/dC = -J^(-2/3) / 3 (M (x) C^-1 + C^-1 (x) M) + I / 9 C^-1 (x) C^-1 + I / 3 C^-1 (.) C^-1
    """
    add_dyads(M, Ci, -f * J23 / 3.0, out_C)
    add_dyad(Ci, f * value / 9.0, out_C)
    add_square(Ci, f * value / 3.0, out_C)


@kernel
def second_invariant(C: Any, Ci: Any, J23: float, out_B: Any, out_A: Any) -> Any:
    """I2 = J^(-4/3) (tr^2 C - C : C) / 2 with A = J^(-4/3) B - 2/3 I2 C^-1 and out_B = tr C identity - C.

    dA/dC = J^(-4/3) (1 (x) 1 - identity - 2/3 (B (x) C^-1 + C^-1 (x) B)) + 4/9 I2 C^-1 (x) C^-1 + 2/3 I2 C^-1 (.) C^-1
    """
    trace = C[0] + C[1] + C[2]
    value = 0.5 * J23 * J23 * (trace * trace - double_dot(C, C))
    for i in range(6):
        out_B[i] = (trace if i < 3 else 0.0) - C[i]
        out_A[i] = J23 * J23 * out_B[i] - 2.0 / 3.0 * value * Ci[i]
    return value


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
    U, dU, ddU = volumetric(int(p[3]), p[2], J)
    pressure = J * dU
    I1 = linear_invariant(unit, C, Ci, J23, A)
    for i in range(6):
        out_S[i] = 2.0 * C10 * A[i] + pressure * Ci[i]
    W = C10 * (I1 - 3.0) + U
    # Terms in C^-1 (x) C^-1 and C^-1 (.) C^-1 are gathered, which halves the work.
    dyad, square = pressure + J * J * ddU + 4.0 / 9.0 * C10 * I1, 4.0 / 3.0 * C10 * I1 - 2.0 * pressure
    if tangent == 1:
        clear(out_C)
        add_dyads(unit, Ci, -4.0 / 3.0 * C10 * J23, out_C)
    if C01 != 0.0:
        I2 = second_invariant(C, Ci, J23, B, A)
        for i in range(6):
            out_S[i] += 2.0 * C01 * A[i]
        W += C01 * (I2 - 3.0)
        dyad += 16.0 / 9.0 * C01 * I2
        square += 8.0 / 3.0 * C01 * I2
        if tangent == 1:
            add_dyad(unit, 4.0 * C01 * J23 * J23, out_C)
            add_identity(-4.0 * C01 * J23 * J23, out_C)
            add_dyads(B, Ci, -8.0 / 3.0 * C01 * J23 * J23, out_C)
    if tangent == 1:
        add_dyad(Ci, dyad, out_C)
        add_square(Ci, square, out_C)
    return J, W
