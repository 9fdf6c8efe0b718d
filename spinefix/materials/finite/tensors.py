"""Symmetric tensors as six numbers (xx yy zz xy yz xz) inside kernels; fourth-order tangents as 6 x 6.

Six numbers are tensor components: shears are not doubled. The ``add_*`` functions add to the upper triangle of a
tangent only; `mirror` completes it.
"""

from __future__ import annotations

from typing import Any

from spinefix.jit import kernel

FIRST, SECOND = (0, 1, 2, 0, 1, 0), (0, 1, 2, 1, 2, 2)
"""Tensor indices of each of the six numbers."""


@kernel
def determinant(F: Any) -> Any:
    """Determinant of a 3 x 3 matrix."""
    return (
        F[0, 0] * (F[1, 1] * F[2, 2] - F[1, 2] * F[2, 1])
        - F[0, 1] * (F[1, 0] * F[2, 2] - F[1, 2] * F[2, 0])
        + F[0, 2] * (F[1, 0] * F[2, 1] - F[1, 1] * F[2, 0])
    )


@kernel
def right_cauchy_green(F: Any, out_C: Any) -> None:
    """C = F^T F (6,)."""
    for i in range(3):
        out_C[i] = F[0, i] * F[0, i] + F[1, i] * F[1, i] + F[2, i] * F[2, i]
    out_C[3] = F[0, 0] * F[0, 1] + F[1, 0] * F[1, 1] + F[2, 0] * F[2, 1]
    out_C[4] = F[0, 1] * F[0, 2] + F[1, 1] * F[1, 2] + F[2, 1] * F[2, 2]
    out_C[5] = F[0, 0] * F[0, 2] + F[1, 0] * F[1, 2] + F[2, 0] * F[2, 2]


@kernel
def green_lagrange(F: Any, out_E: Any) -> None:
    """E = (F^T F - I) / 2 (6,), from the displacement gradient so that small strains keep their digits."""
    a, b, c = F[0, 0] - 1.0, F[1, 1] - 1.0, F[2, 2] - 1.0
    out_E[0] = a + 0.5 * (a * a + F[1, 0] * F[1, 0] + F[2, 0] * F[2, 0])
    out_E[1] = b + 0.5 * (F[0, 1] * F[0, 1] + b * b + F[2, 1] * F[2, 1])
    out_E[2] = c + 0.5 * (F[0, 2] * F[0, 2] + F[1, 2] * F[1, 2] + c * c)
    out_E[3] = 0.5 * (F[0, 1] + F[1, 0] + a * F[0, 1] + F[1, 0] * b + F[2, 0] * F[2, 1])
    out_E[4] = 0.5 * (F[1, 2] + F[2, 1] + F[0, 1] * F[0, 2] + b * F[1, 2] + F[2, 1] * c)
    out_E[5] = 0.5 * (F[0, 2] + F[2, 0] + a * F[0, 2] + F[1, 0] * F[1, 2] + F[2, 0] * c)


@kernel
def inverse(A: Any, out: Any) -> None:
    """Inverse (6,) of a symmetric tensor (6,)."""
    c0 = A[1] * A[2] - A[4] * A[4]
    c3 = A[4] * A[5] - A[3] * A[2]
    c5 = A[3] * A[4] - A[1] * A[5]
    r = 1.0 / (A[0] * c0 + A[3] * c3 + A[5] * c5)
    out[0] = c0 * r
    out[1] = (A[0] * A[2] - A[5] * A[5]) * r
    out[2] = (A[0] * A[1] - A[3] * A[3]) * r
    out[3] = c3 * r
    out[4] = (A[3] * A[5] - A[0] * A[4]) * r
    out[5] = c5 * r


@kernel
def double_dot(A: Any, B: Any) -> Any:
    """A : B of symmetric tensors."""
    return A[0] * B[0] + A[1] * B[1] + A[2] * B[2] + 2.0 * (A[3] * B[3] + A[4] * B[4] + A[5] * B[5])


@kernel
def structure(a: Any, out_M: Any) -> None:
    """Structure tensor a (x) a (6,) of a direction (3,)."""
    out_M[0], out_M[1], out_M[2] = a[0] * a[0], a[1] * a[1], a[2] * a[2]
    out_M[3], out_M[4], out_M[5] = a[0] * a[1], a[1] * a[2], a[0] * a[2]


@kernel
def clear(out_C: Any) -> None:
    """Zero a tangent."""
    for i in range(6):
        for j in range(6):
            out_C[i, j] = 0.0


@kernel
def mirror(out_C: Any) -> None:
    """Copy the upper triangle of a tangent to the lower one."""
    for i in range(6):
        for j in range(i):
            out_C[i, j] = out_C[j, i]


@kernel
def add_dyad(A: Any, f: float, out_C: Any) -> None:
    """Add f A (x) A."""
    for i in range(6):
        x = f * A[i]
        for j in range(i, 6):
            out_C[i, j] += x * A[j]


@kernel
def add_dyads(A: Any, B: Any, f: float, out_C: Any) -> None:
    """Add f (A (x) B + B (x) A)."""
    for i in range(6):
        x, y = f * A[i], f * B[i]
        for j in range(i, 6):
            out_C[i, j] += x * B[j] + y * A[j]


@kernel
def add_identity(f: float, out_C: Any) -> None:
    """Add f times the identity of symmetric tensors."""
    for i in range(3):
        out_C[i, i] += f
        out_C[3 + i, 3 + i] += 0.5 * f


@kernel
def add_square(A: Any, f: float, out_C: Any) -> None:
    """Add f A (.) A, with components f (A_ik A_jl + A_il A_jk) / 2; d(A^-1)/dA = -A^-1 (.) A^-1."""
    xx, yy, zz, xy, yz, xz = A[0], A[1], A[2], A[3], A[4], A[5]
    h = 0.5 * f
    out_C[0, 0] += f * xx * xx
    out_C[0, 1] += f * xy * xy
    out_C[0, 2] += f * xz * xz
    out_C[0, 3] += f * xx * xy
    out_C[0, 4] += f * xy * xz
    out_C[0, 5] += f * xx * xz
    out_C[1, 1] += f * yy * yy
    out_C[1, 2] += f * yz * yz
    out_C[1, 3] += f * xy * yy
    out_C[1, 4] += f * yy * yz
    out_C[1, 5] += f * xy * yz
    out_C[2, 2] += f * zz * zz
    out_C[2, 3] += f * xz * yz
    out_C[2, 4] += f * yz * zz
    out_C[2, 5] += f * xz * zz
    out_C[3, 3] += h * (xx * yy + xy * xy)
    out_C[3, 4] += h * (xy * yz + xz * yy)
    out_C[3, 5] += h * (xx * yz + xz * xy)
    out_C[4, 4] += h * (yy * zz + yz * yz)
    out_C[4, 5] += h * (xy * zz + yz * xz)
    out_C[5, 5] += h * (xx * zz + xz * xz)


@kernel
def congruence(R: Any, A: Any, out: Any) -> None:
    """R A R^T (6,) of a symmetric tensor A (6,) and any R (3, 3)."""
    for n in range(6):
        i, j = FIRST[n], SECOND[n]
        x = A[0] * R[j, 0] + A[3] * R[j, 1] + A[5] * R[j, 2]
        y = A[3] * R[j, 0] + A[1] * R[j, 1] + A[4] * R[j, 2]
        z = A[5] * R[j, 0] + A[4] * R[j, 1] + A[2] * R[j, 2]
        out[n] = R[i, 0] * x + R[i, 1] * y + R[i, 2] * z


@kernel
def transform(D: Any, R: Any, column: Any, X: Any, out_C: Any) -> None:
    """out_ijkl = R_ia R_jb R_kc R_ld D_abcd of a symmetric tangent D (6, 6), by rows and then by columns.

    R (3, 3) is any matrix; column (6,) and X (6, 6) are work.
    """
    for i in range(6):
        congruence(R, D[i], X[i])
    for i in range(6):
        for k in range(6):
            column[k] = X[k, i]
        congruence(R, column, out_C[i])
    mirror(out_C)


@kernel
def eigen(A: Any, B: Any, out_values: Any, out_vectors: Any) -> None:
    """Eigenvalues (3,) and orthonormal eigenvectors (columns) of a symmetric tensor A (6,); B (3, 3) is work.

    Cyclic Jacobi rotations: accurate to round-off also where eigenvalues coincide.
    """
    B[0, 0], B[1, 1], B[2, 2] = A[0], A[1], A[2]
    B[0, 1] = B[1, 0] = A[3]
    B[1, 2] = B[2, 1] = A[4]
    B[0, 2] = B[2, 0] = A[5]
    for i in range(3):
        for j in range(3):
            out_vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(30):
        off = B[0, 1] * B[0, 1] + B[1, 2] * B[1, 2] + B[0, 2] * B[0, 2]
        if off <= 1e-34 * (B[0, 0] * B[0, 0] + B[1, 1] * B[1, 1] + B[2, 2] * B[2, 2]):
            break
        for p in range(2):
            for q in range(p + 1, 3):
                if B[p, q] == 0.0:
                    continue
                theta = (B[q, q] - B[p, p]) / (2.0 * B[p, q])
                t = 1.0 / (abs(theta) + (theta * theta + 1.0) ** 0.5)
                if theta < 0.0:
                    t = -t
                c = 1.0 / (t * t + 1.0) ** 0.5
                s = t * c
                for k in range(3):
                    x, y = B[k, p], B[k, q]
                    B[k, p], B[k, q] = c * x - s * y, s * x + c * y
                for k in range(3):
                    x, y = B[p, k], B[q, k]
                    B[p, k], B[q, k] = c * x - s * y, s * x + c * y
                for k in range(3):
                    x, y = out_vectors[k, p], out_vectors[k, q]
                    out_vectors[k, p], out_vectors[k, q] = c * x - s * y, s * x + c * y
    for i in range(3):
        out_values[i] = B[i, i]
