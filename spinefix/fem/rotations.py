"""Finite rotations: exponential and logarithm of rotation vectors, spins and their tangent operators.

Rotation matrices are updated from the left by spins in fixed axes, ``R <- exp(spin) R``, so that work-conjugate moments
have fixed axes as well. All functions work on stacks (..., 3) and (..., 3, 3).

Sources: Argyris J (1982), An excursion into large rotations, Comput Methods Appl Mech Eng 32:85-155; Crisfield MA
(1997), Non-linear finite element analysis of solids and structures, vol. 2, Wiley, chapter 16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spinefix.fem.kinematics import cross_matrix

F64 = NDArray[np.float64]

_SMALL = 0.3
"""Below this angle [rad] power series replace the closed forms, which cancel there."""

_LOG_SERIES = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000)
"""|B_2n| / (2n)!: (1 - x/2 cot x/2) / x^2 as a power series in x^2."""


def exp(v: F64) -> F64:
    """Return the rotation matrices (..., 3, 3) of rotation vectors (..., 3) [rad] (Rodrigues)."""
    sine, cosine, _ = _coefficients(v)
    A = cross_matrix(v)
    return np.asarray(np.eye(3) + sine * A + cosine * (A @ A))


def log(R: F64) -> F64:
    """Return the rotation vectors (..., 3) [rad] of rotation matrices, angles in [0, pi].

    Goes through unit quaternions, which keeps full accuracy at 0 and at pi. At pi the sign of the axis is arbitrary.
    """
    q = quaternion(R)
    q = np.where(q[..., :1] < 0.0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., :1])
    ratio = np.divide(angle, sine, out=np.full_like(sine, 2.0), where=sine > 0.0)
    return np.asarray(ratio * q[..., 1:])


def quaternion(R: F64) -> F64:
    """Return unit quaternions (..., 4), scalar first.

    Source: Shepperd SW (1978), Quaternion from rotation matrix, J Guid Control 1:223-224: divide by the largest
    component, which is never small.
    """
    R = np.asarray(R, np.float64)
    trace = np.trace(R, axis1=-2, axis2=-1)
    four = np.empty((*R.shape[:-2], 4, 4))  # 4 q q^T
    four[..., 0, 0] = 1.0 + trace
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        four[..., i + 1, i + 1] = 1.0 + 2.0 * R[..., i, i] - trace
        four[..., 0, i + 1] = four[..., i + 1, 0] = R[..., k, j] - R[..., j, k]
        four[..., j + 1, k + 1] = four[..., k + 1, j + 1] = R[..., j, k] + R[..., k, j]
    largest = np.argmax(np.diagonal(four, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(four, largest[..., None, None], axis=-2)[..., 0, :]
    return np.asarray(q / np.linalg.norm(q, axis=-1, keepdims=True))


def log_near(R: F64, near: F64) -> F64:
    """Return the rotation vectors of `R` that lie closest to `near` (..., 3), angles beyond pi included.

    Rotation vectors of one rotation differ by whole turns about their common axis.
    """
    v = log(R)
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    size = np.linalg.norm(near, axis=-1, keepdims=True)
    fallback = np.divide(near, size, out=np.zeros_like(v), where=size > 0.0)
    axis = np.divide(v, angle, out=fallback, where=angle > 1e-12)
    along = np.sum(near * axis, axis=-1, keepdims=True)
    return np.asarray(v + 2.0 * np.pi * np.round((along - angle) / (2.0 * np.pi)) * axis)


def orthonormal(R: F64) -> F64:
    """Return the rotation matrices closest to `R`; removes the round-off of many products."""
    U, _, Vt = np.linalg.svd(R)
    return np.asarray(U @ Vt)


def spin_operator(v: F64) -> F64:
    """Return H (..., 3, 3) with exp(v + dv) = exp(H dv) exp(v) to first order."""
    _, cosine, third = _coefficients(v)
    A = cross_matrix(v)
    return np.asarray(np.eye(3) + cosine * A + third * (A @ A))


def inverse_spin_operator(v: F64) -> F64:
    """Return the inverse of `spin_operator`, valid for angles below 2 pi."""
    eta, _ = _log_coefficients(v)
    A = cross_matrix(v)
    return np.asarray(np.eye(3) - 0.5 * A + eta * (A @ A))


def moment_derivative(v: F64, m: F64) -> F64:
    """Return the derivative of H(v)^-T m with respect to v at constant m, (..., 3, 3).

    H^-T carries the moment that is conjugate to the rotation vector v to the one that is conjugate to spins.
    """
    eta, mu = _log_coefficients(v)
    A = cross_matrix(v)
    double = (A @ (A @ m[..., None]))[..., 0]
    outer = m[..., :, None] * v[..., None, :]
    dot = np.sum(v * m, axis=-1)[..., None, None]
    mixed = -2.0 * outer + np.swapaxes(outer, -1, -2) + dot * np.eye(3)
    return np.asarray(-0.5 * cross_matrix(m) + eta * mixed + mu * double[..., :, None] * v[..., None, :])


def _coefficients(v: F64) -> tuple[F64, F64, F64]:
    """sin x / x, (1 - cos x) / x^2 and (x - sin x) / x^3 for the angles x of `v`, each (..., 1, 1)."""
    x = np.linalg.norm(v, axis=-1)[..., None, None]
    sine = np.sinc(x / np.pi)
    cosine = 0.5 * np.sinc(x / (2.0 * np.pi)) ** 2
    y = x * x
    series = 1 / 6 - y * (1 / 120 - y * (1 / 5040 - y * (1 / 362880 - y / 39916800)))
    third = np.divide(1.0 - sine, y, out=series, where=x > _SMALL)
    return sine, cosine, third


def _log_coefficients(v: F64) -> tuple[F64, F64]:
    """eta = (1 - x/2 cot x/2) / x^2 and eta'(x) / x, each (..., 1, 1)."""
    x = np.linalg.norm(v, axis=-1)[..., None, None]
    y = x * x
    eta = np.polynomial.polynomial.polyval(y, _LOG_SERIES)
    mu = np.polynomial.polynomial.polyval(y, [2 * n * c for n, c in enumerate(_LOG_SERIES)][1:])
    large = x > _SMALL
    half = np.where(large, 0.5 * x, 1.0)
    cot = 1.0 / np.tan(half)
    eta = np.where(large, (1.0 - half * cot) / (4.0 * half * half), eta)
    slope = (0.5 * half / np.sin(half) ** 2 - 0.5 * cot) / (4.0 * half * half) - eta / half
    mu = np.where(large, slope / (2.0 * half), mu)
    return eta, mu
