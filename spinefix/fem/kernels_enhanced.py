"""Finite-strain hex8 with enhanced deformation gradients: bends freely, keeps its volume, stable in compression.

The gradient of the nodes gains modes with amplitudes alpha that belong to the element alone,
``F = F_u + F_0 E(alpha)``, ``E = j_0 / j (sum_kj alpha_kj xi_k g_k (x) g_j + sum_v alpha_v b_v I)``, where F_0 and
``g_k = grad xi_k`` are taken at the centre, j is the Jacobian determinant and b = (eta zeta, xi zeta, xi eta). The nine
modes in xi_k are Wilson's, **transposed**: F_0 acts on their gradient direction g_k. In the linear limit both sets
span the same strains, those of the linear incompatible element; under compression Wilson's own modes make hourglass
motions unstable, the transposed ones do not (the stress term then weighs what Wilson's leave free). The three modes b_v
relax the volume change that trilinear shape functions cannot avoid. E has no mean over the element, so the patch test
holds; it is free of units and turns with F_0, so the element is objective.

The amplitudes make the energy stationary at given nodal displacements. They are found element by element, so energy,
force and tangent stay functions of the displacements: any solver, line search or restart may use them. With spatial
gradients ``h_a = F^-T (grad N_a + E^T grad_0 N_a)`` and ``g0_a = F_0^-T grad_0 N_a``, mode gradients
``L_m = F_0 E_m F^-1``, Kirchhoff stress tau and the push-forward c of dS/dE:

- ``f_ia = int tau_ij h_ja dV``, ``r_m = int tau : L_m dV = 0``;
- ``K_ia,kb = int h_ja a_ijkl h_lb dV``, ``a_ijkl = c_ijkl + delta_ik tau_jl``;
- ``K_mn = int L_n : (c : L_m + L_m tau) dV``;
- ``K_m,ia = int (c : L_m + L_m tau)_ij h_ja + (L_m tau)_ji g0_ja dV``.

The last step of the amplitudes is taken linearly, ``f - K_um K_mn^-1 r``, which leaves an error of its square.

References
----------
Simo JC, Armero F, Taylor RL (1993), Improved versions of assumed enhanced strain tri-linear elements for 3D finite
deformation problems, Comput Methods Appl Mech Eng 110:359-386. Glaser S, Armero F (1997), On the formulation of
enhanced strain finite elements in finite deformations, Eng Comput 14:759-791 (transposed modes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinefix.fem.kernels_finite import (
    FIRST,
    SECOND,
    VOIGT,
    _moduli,
    _point_rows,
    _products,
    _push,
    _push_tangent,
    _scatter,
)
from spinefix.fem.kernels_solid import _clear, _invert, _jacobian
from spinefix.jit import kernel

N_MODES = 12


def mode_shapes(points: Any) -> Any:
    """Return the shapes (q, 6) of the modes at integration points (q, 3): xi, eta, zeta and their products in pairs."""
    xi, eta, zeta = np.asarray(points, np.float64).T
    return np.ascontiguousarray(np.stack([xi, eta, zeta, eta * zeta, xi * zeta, xi * eta], axis=1))


@kernel
def enhanced_reference(
    points: Any,
    conn: Any,
    dN: Any,
    w: Any,
    dN0: Any,
    shapes: Any,
    elements: Any,
    out_G: Any,
    out_G0: Any,
    out_base: Any,
    out_shape: Any,
    out_dv: Any,
) -> Any:
    """What the modes need of the elements at rest.

    points (n, 3) [mm]; conn (e, 8); dN (q, 3, 8), dN0 (3, 8) reference gradients at the points and at the centre; w
    (q,); shapes (q, 6) from `mode_shapes`; elements (t,) ids; out_G (t, 3 q, 8), out_G0 (t, 3, 8) gradients [1/mm];
    out_base (t, 3, 3) rows g_k [1/mm]; out_shape (t, q, 6) shapes times j_0 / j; out_dv (t, q) [mm^3].
    return  0, or 1 + id of the first element that is inside out at rest
    """
    m, nq = conn.shape[1], w.shape[0]
    X, J, inv = np.empty((m, 3)), np.empty((3, 3)), np.empty((3, 3))
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
        _jacobian(X, dN0, J)
        det0 = _invert(J, inv)
        if not det0 > 0.0:
            return 1 + e
        for i in range(3):
            for k in range(3):
                out_base[t, k, i] = inv[i, k]
            for a in range(m):
                out_G0[t, i, a] = inv[i, 0] * dN0[0, a] + inv[i, 1] * dN0[1, a] + inv[i, 2] * dN0[2, a]
        for q in range(nq):
            _jacobian(X, dN[q], J)
            det = _invert(J, inv)
            if not det > 0.0:
                return 1 + e
            out_dv[t, q] = det * w[q]
            for v in range(6):
                out_shape[t, q, v] = shapes[q, v] * det0 / det
            for i in range(3):
                for a in range(m):
                    out_G[t, 3 * q + i, a] = inv[i, 0] * dN[q, 0, a] + inv[i, 1] * dN[q, 1, a] + inv[i, 2] * dN[q, 2, a]
    return 0


@kernel
def _enhancement(alpha: Any, base: Any, shape: Any, out_E: Any) -> None:
    """E (3, 3) of the module's head at one point."""
    swell = alpha[9] * shape[3] + alpha[10] * shape[4] + alpha[11] * shape[5]
    for i in range(3):
        for j in range(3):
            s = swell if i == j else 0.0
            for k in range(3):
                a_j = alpha[3 * k] * base[0, j] + alpha[3 * k + 1] * base[1, j] + alpha[3 * k + 2] * base[2, j]
                s += shape[k] * base[k, i] * a_j
            out_E[i, j] = s


@kernel
def enhanced_kinematics(
    conn: Any,
    u: Any,
    elements: Any,
    active: Any,
    alpha: Any,
    G: Any,
    G0: Any,
    base: Any,
    shape: Any,
    dv: Any,
    out_h: Any,
    out_F0: Any,
    out_F: Any,
    out_dv_now: Any,
) -> None:
    """Gradients h (t, r, 8), F_0 (t, 3, 3), F (t, q, 3, 3) and current volumes (t, q) of the elements[active].

    u (n, 3) [mm]; alpha (t, 12) [1]; G to dv from `enhanced_reference`. An element inside out has a volume that is not
    positive.
    """
    m, nq = conn.shape[1], dv.shape[1]
    U, E, EG, inv = np.empty((m, 3)), np.empty((3, 3)), np.empty((3, m)), np.empty((3, 3))
    for n in range(active.shape[0]):
        t = active[n]
        e = elements[t]
        F0 = out_F0[t]
        for a in range(m):
            for i in range(3):
                U[a, i] = u[conn[e, a], i]
        for i in range(3):
            for j in range(3):
                s = 1.0 if i == j else 0.0
                for a in range(m):
                    s += U[a, i] * G0[t, j, a]
                F0[i, j] = s
        for q in range(nq):
            _enhancement(alpha[t], base[t], shape[t, q], E)
            F = out_F[t, q]
            for i in range(3):
                for j in range(3):
                    s = F0[i, 0] * E[0, j] + F0[i, 1] * E[1, j] + F0[i, 2] * E[2, j] + (1.0 if i == j else 0.0)
                    for a in range(m):
                        s += U[a, i] * G[t, 3 * q + j, a]
                    F[i, j] = s
            out_dv_now[t, q] = _invert(F, inv) * dv[t, q]
            for j in range(3):
                for a in range(m):
                    EG[j, a] = (
                        G[t, 3 * q + j, a] + E[0, j] * G0[t, 0, a] + E[1, j] * G0[t, 1, a] + E[2, j] * G0[t, 2, a]
                    )
            for i in range(3):
                for a in range(m):
                    out_h[t, 3 * q + i, a] = inv[0, i] * EG[0, a] + inv[1, i] * EG[1, a] + inv[2, i] * EG[2, a]


@kernel
def _mode_gradients(F0: Any, F: Any, base: Any, shape: Any, inv: Any, out_L: Any) -> None:
    """L_m (12, 3, 3) of the modes at one point; inv (3, 3) is work."""
    _invert(F, inv)
    for k in range(3):
        for i in range(3):
            p = shape[k] * (F0[i, 0] * base[k, 0] + F0[i, 1] * base[k, 1] + F0[i, 2] * base[k, 2])
            for j in range(3):
                for l in range(3):
                    s = base[j, 0] * inv[0, l] + base[j, 1] * inv[1, l] + base[j, 2] * inv[2, l]
                    out_L[3 * k + j, i, l] = p * s
    for i in range(3):
        for l in range(3):
            s = F0[i, 0] * inv[0, l] + F0[i, 1] * inv[1, l] + F0[i, 2] * inv[2, l]
            for v in range(3):
                out_L[9 + v, i, l] = shape[3 + v] * s


@kernel
def _add_mode_terms(L: Any, tau: Any, c: Any, T: Any, A: Any, out_r: Any, out_K: Any) -> None:
    """Add residual (12,) and the upper half of the stiffness (12, 12) of the modes at one point.

    T, A (12, 3, 3) are set to L_m tau and c : L_m + L_m tau.
    """
    for m in range(N_MODES):
        l, t = L[m], T[m]
        xy, yz, xz = l[0, 1] + l[1, 0], l[1, 2] + l[2, 1], l[0, 2] + l[2, 0]
        for i in range(3):
            t[i, 0] = l[i, 0] * tau[0] + l[i, 1] * tau[3] + l[i, 2] * tau[5]
            t[i, 1] = l[i, 0] * tau[3] + l[i, 1] * tau[1] + l[i, 2] * tau[4]
            t[i, 2] = l[i, 0] * tau[5] + l[i, 1] * tau[4] + l[i, 2] * tau[2]
        out_r[m] += t[0, 0] + t[1, 1] + t[2, 2]
        for v in range(6):
            s = c[v, 0] * l[0, 0] + c[v, 1] * l[1, 1] + c[v, 2] * l[2, 2] + c[v, 3] * xy + c[v, 4] * yz + c[v, 5] * xz
            i, j = FIRST[v], SECOND[v]
            A[m, i, j] = s + t[i, j]
            if v > 2:
                A[m, j, i] = s + t[j, i]
        for n in range(m + 1):
            s = 0.0
            for i in range(3):
                s += A[m, i, 0] * L[n, i, 0] + A[m, i, 1] * L[n, i, 1] + A[m, i, 2] * L[n, i, 2]
            out_K[n, m] += s


@kernel
def _factor(K: Any) -> Any:
    """Factors U^T D U of a symmetric matrix from its upper half, in place: D on the diagonal, U above it.

    return  0, or 1 where a pivot vanishes
    """
    largest = 0.0
    for r in range(K.shape[0]):
        largest = max(largest, abs(K[r, r]))
    for r in range(K.shape[0]):
        pivot = K[r, r]
        if not abs(pivot) > 1e-13 * largest:
            return 1
        for i in range(r + 1, K.shape[0]):
            f = K[r, i] / pivot
            for j in range(i, K.shape[0]):
                K[i, j] -= f * K[r, j]
        for i in range(r + 1, K.shape[0]):
            K[r, i] /= pivot
    return 0


@kernel
def _forward(K: Any, X: Any) -> None:
    """Solve U^T Y = X (12, s) in place."""
    for r in range(X.shape[0]):
        for k in range(r):
            f = K[k, r]
            for c in range(X.shape[1]):
                X[r, c] -= f * X[k, c]


@kernel
def _point_terms(
    F0: Any, F: Any, S: Any, C: Any, factor: float, base: Any, shape: Any, inv: Any, X: Any, tau: Any, c: Any,
    L: Any, T: Any, A: Any, out_r: Any, out_K: Any,
) -> None:  # fmt: skip
    """Set tau and c of one point, both holding its volume and scale `factor`, and add the terms of the modes."""
    f = factor
    tau[0], tau[1], tau[2], tau[3], tau[4], tau[5] = _push(
        F, f * S[0], f * S[1], f * S[2], f * S[3], f * S[4], f * S[5]
    )
    _push_tangent(F, C, f, X, c)
    _mode_gradients(F0, F, base, shape, inv, L)
    _add_mode_terms(L, tau, c, T, A, out_r, out_K)


@kernel
def mode_steps(
    elements: Any,
    active: Any,
    F0: Any,
    F: Any,
    S: Any,
    C: Any,
    dv: Any,
    scale: Any,
    base: Any,
    shape: Any,
    downhill: int,
    out_step: Any,
) -> Any:
    """Newton's steps (t, 12) of the amplitudes of elements[active].

    S (t, q, 6), C (t, q, 6, 6) [MPa] from the law; scale (e, q) [1]; with downhill = 1 the step leads downhill also
    where the energy is not convex; other arguments from the functions above.
    return  0, or 1 + id of the first element whose modes have no stiffness
    """
    nq = dv.shape[1]
    L, T, A = np.empty((N_MODES, 3, 3)), np.empty((N_MODES, 3, 3)), np.empty((N_MODES, 3, 3))
    K, r = np.empty((N_MODES, N_MODES)), np.empty((N_MODES, 1))
    inv, X, tau, c = np.empty((3, 3)), np.empty((6, 6)), np.empty(6), np.empty((6, 6))
    for n in range(active.shape[0]):
        t = active[n]
        e = elements[t]
        _clear(K)
        _clear(r)
        for q in range(nq):
            _point_terms(
                F0[t], F[t, q], S[t, q], C[t, q], scale[e, q] * dv[t, q], base[t], shape[t, q], inv, X, tau, c,
                L, T, A, r[:, 0], K,
            )  # fmt: skip
        if _factor(K) != 0:
            return 1 + e
        _forward(K, r)
        step = out_step[t]
        for i in range(N_MODES - 1, -1, -1):
            s = -r[i, 0] / (abs(K[i, i]) if downhill == 1 else K[i, i])
            for k in range(i + 1, N_MODES):
                s -= K[i, k] * step[k]
            step[i] = s
    return 0


@kernel
def _add_cross(A: Any, h: Any, row: int, out_X: Any) -> None:
    """Add (c : L_m + L_m tau)_ij h_ja of one point to out_X[m, i n + a]."""
    n = h.shape[1]
    for m in range(N_MODES):
        for i in range(3):
            x, y, z = A[m, i, 0], A[m, i, 1], A[m, i, 2]
            for a in range(n):
                out_X[m, i * n + a] += x * h[row, a] + y * h[row + 1, a] + z * h[row + 2, a]


@kernel
def _add_centre(total: Any, F0: Any, G0: Any, inv: Any, g0: Any, out_X: Any) -> None:
    """Add (sum over points of L_m tau)_ji g0_ja to out_X[m, i n + a]; inv (3, 3) and g0 (3, n) are work."""
    n = G0.shape[1]
    _invert(F0, inv)
    for i in range(3):
        for a in range(n):
            g0[i, a] = inv[0, i] * G0[0, a] + inv[1, i] * G0[1, a] + inv[2, i] * G0[2, a]
    for m in range(N_MODES):
        for i in range(3):
            x, y, z = total[m, 0, i], total[m, 1, i], total[m, 2, i]
            for a in range(n):
                out_X[m, i * n + a] += x * g0[0, a] + y * g0[1, a] + z * g0[2, a]


@kernel
def _condense(K: Any, X: Any, n: int, out_M: Any) -> None:
    """Take X^T D^-1 X from the blocks out_M[a, p n + b] of the pairs p = (i, k); X[m, i n + a] after `_forward`."""
    for m in range(N_MODES):
        d = 1.0 / K[m, m]
        for p in range(6):
            i, k = FIRST[p], SECOND[p]
            for a in range(n):
                f = d * X[m, i * n + a]
                for b in range(n):
                    out_M[a, p * n + b] -= f * X[m, k * n + b]


@kernel
def assemble_enhanced(
    conn: Any,
    h: Any,
    F0: Any,
    F: Any,
    S: Any,
    C: Any,
    dv: Any,
    scale: Any,
    G0: Any,
    base: Any,
    shape: Any,
    tangent: int,
    elements: Any,
    first_row: int,
    last_row: int,
    bmap: Any,
    out_data: Any,
    out_force: Any,
) -> Any:
    """Add internal forces and, with tangent = 1, tangents of `elements` to the rows [first_row, last_row).

    h to G0 from the functions above; S (t, q, 6), C (t, q, 6, 6) [MPa] from the law; scale (e, q) [1]; bmap (e, 8, 8)
    block numbers; out_data (nb, 3, 3) [N/mm]; out_force (blocks, 3) [N].
    return  0, or 1 + id of the first element whose modes have no stiffness
    """
    m, nq = conn.shape[1], dv.shape[1]
    L, T, A = np.empty((N_MODES, 3, 3)), np.empty((N_MODES, 3, 3)), np.empty((N_MODES, 3, 3))
    total, cross = np.empty((N_MODES, 9)), np.empty((N_MODES, 3 * m + 1))
    K = np.empty((N_MODES, N_MODES))
    inv, X, tau, c, a = np.empty((3, 3)), np.empty((6, 6)), np.empty(6), np.empty((6, 6)), np.empty((3, 6, 3))
    rows = np.zeros((h.shape[1], 6 * m))
    M, g0, force = np.empty((m, 6 * m)), np.empty((3, m)), np.empty((3, m))
    for t in range(elements.shape[0]):
        e = elements[t]
        _clear(K)
        _clear(cross)
        _clear(total)
        _clear(force)
        for q in range(nq):
            # The residual of the modes travels as one more column of the cross terms.
            _point_terms(
                F0[t], F[t, q], S[t, q], C[t, q], scale[e, q] * dv[t, q], base[t], shape[t, q], inv, X, tau, c,
                L, T, A, cross[:, 3 * m], K,
            )  # fmt: skip
            _add_cross(A, h[t], 3 * q, cross)
            for n in range(N_MODES):
                for i in range(3):
                    for j in range(3):
                        total[n, 3 * i + j] += T[n, i, j]
            for i in range(3):
                x, y, z = tau[VOIGT[i, 0]], tau[VOIGT[i, 1]], tau[VOIGT[i, 2]]
                for b in range(m):
                    force[i, b] += x * h[t, 3 * q, b] + y * h[t, 3 * q + 1, b] + z * h[t, 3 * q + 2, b]
            if tangent == 1:
                _moduli(c, tau, a)
                _point_rows(h[t], 3 * q, a, rows)
        _add_centre(total.reshape(N_MODES, 3, 3), F0[t], G0[t], inv, g0, cross)
        if _factor(K) != 0:
            return 1 + e
        _forward(K, cross)
        for n in range(N_MODES):
            f = cross[n, 3 * m] / K[n, n]
            for i in range(3):
                for b in range(m):
                    force[i, b] -= f * cross[n, i * m + b]
        for b in range(m):
            node = conn[e, b]
            if node >= first_row and node < last_row:
                for i in range(3):
                    out_force[node, i] += force[i, b]
        if tangent == 1:
            _products(h[t], rows, M)
            _condense(K, cross, m, M)
            _scatter(M, conn[e], bmap[e], first_row, last_row, out_data)
    return 0
