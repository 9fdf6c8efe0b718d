"""Solid elements: stiffness, strain and internal force of single elements, and the loops over many.

One set of kernels serves all kinds, because shape functions come in as tables. An element has ``m`` nodes and, with
incompatible modes, three more columns whose "nodes" are internal; ``n`` counts both. Local dofs are ordered by
component first, ``i * n + a``, so that inner loops run over contiguous memory.

All three formulations are integrals of products of gradients with an elasticity that is constant but for a scalar
factor per integration point. So the products are integrated first, ``M_jl[a, b] = int s g_a,j g_b,l dv``, and
contracted with the elasticity once, ``K_ik[a, b] = C_ijkl M_jl[a, b]``; that is half the work of B^T D B at each point.

References
----------
Incompatible modes: Taylor RL, Beresford PJ, Wilson EL (1976), A non-conforming element for stress analysis, Int J Numer
Methods Eng 10:1211-1219 (Jacobian of the element centre, so that the patch test holds on any shape).
B-bar: Hughes TJR (1980), Generalization of selective integration procedures to anisotropic and nonlinear media, Int J
Numer Methods Eng 15:1413-1418 (here with the mean dilatation of the element).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinefix.jit import kernel

STANDARD, BBAR, INCOMPATIBLE = 0, 1, 2


@kernel
def _invert(J: Any, out_inv: Any) -> Any:
    """Invert a 3 x 3 matrix; return its determinant."""
    c00 = J[1, 1] * J[2, 2] - J[1, 2] * J[2, 1]
    c10 = J[1, 2] * J[2, 0] - J[1, 0] * J[2, 2]
    c20 = J[1, 0] * J[2, 1] - J[1, 1] * J[2, 0]
    det = J[0, 0] * c00 + J[0, 1] * c10 + J[0, 2] * c20
    r = 1.0 / det
    out_inv[0, 0] = c00 * r
    out_inv[0, 1] = (J[0, 2] * J[2, 1] - J[0, 1] * J[2, 2]) * r
    out_inv[0, 2] = (J[0, 1] * J[1, 2] - J[0, 2] * J[1, 1]) * r
    out_inv[1, 0] = c10 * r
    out_inv[1, 1] = (J[0, 0] * J[2, 2] - J[0, 2] * J[2, 0]) * r
    out_inv[1, 2] = (J[0, 2] * J[1, 0] - J[0, 0] * J[1, 2]) * r
    out_inv[2, 0] = c20 * r
    out_inv[2, 1] = (J[0, 1] * J[2, 0] - J[0, 0] * J[2, 1]) * r
    out_inv[2, 2] = (J[0, 0] * J[1, 1] - J[0, 1] * J[1, 0]) * r
    return det


@kernel
def _jacobian(X: Any, dN: Any, out_J: Any) -> None:
    """J[d, i] = dx_i / dxi_d from nodes X (m, 3) and reference gradients dN (m, 3)."""
    for d in range(3):
        for i in range(3):
            total = 0.0
            for a in range(X.shape[0]):
                total += dN[a, d] * X[a, i]
            out_J[d, i] = total


@kernel
def element_gradients(X: Any, dN: Any, w: Any, dN0: Any, bubble: Any, work: Any, out_g: Any, out_dv: Any) -> Any:
    """Gradients of all columns of one element at its integration points.

    X (m, 3); dN (q, m, 3); w (q,); dN0 (m, 3) reference gradients at the centre; bubble (q, b) derivative of bubble k
    along its own axis, b = 0 or 3; work (2, 3, 3); out_g (q, 3, m + b); out_dv (q,).
    return  0, or 1 where a Jacobian is not positive
    """
    m = X.shape[0]
    J = work[0]
    inv = work[1]
    for q in range(dN.shape[0]):
        _jacobian(X, dN[q], J)
        det = _invert(J, inv)
        if not det > 0.0:
            return 1
        out_dv[q] = det * w[q]
        for i in range(3):
            for a in range(m):
                out_g[q, i, a] = inv[i, 0] * dN[q, a, 0] + inv[i, 1] * dN[q, a, 1] + inv[i, 2] * dN[q, a, 2]
    if bubble.shape[1] > 0:
        _jacobian(X, dN0, J)
        det0 = _invert(J, inv)
        if not det0 > 0.0:
            return 1
        for q in range(dN.shape[0]):
            ratio = det0 * w[q] / out_dv[q]
            for k in range(3):
                for i in range(3):
                    out_g[q, i, m + k] = inv[i, k] * bubble[q, k] * ratio
    return 0


@kernel
def gradient_products(g: Any, dv: Any, scale: Any, out_M: Any) -> None:
    """M[j n + a, l n + b] = sum_q scale dv g_a,j g_b,l from g (q, 3, n) into out_M (3 n, 3 n)."""
    size = out_M.shape[0]
    rows = g.reshape(g.shape[0], size)
    for r in range(size):
        for c in range(size):
            out_M[r, c] = 0.0
    for q in range(rows.shape[0]):
        factor = scale[q] * dv[q]
        row = rows[q]
        for r in range(size):
            f = factor * row[r]
            target = out_M[r]
            for c in range(size):
                target[c] += f * row[c]


@kernel
def contract(C: Any, M: Any, n: int, out_K: Any) -> None:
    """K[i n + a, k n + b] = C_ijkl M[j n + a, l n + b], made symmetric; C (9, 9) with rows 3 i + j, columns 3 k + l."""
    for i in range(3):
        for k in range(i, 3):
            c00, c01, c02 = C[3 * i, 3 * k], C[3 * i, 3 * k + 1], C[3 * i, 3 * k + 2]
            c10, c11, c12 = C[3 * i + 1, 3 * k], C[3 * i + 1, 3 * k + 1], C[3 * i + 1, 3 * k + 2]
            c20, c21, c22 = C[3 * i + 2, 3 * k], C[3 * i + 2, 3 * k + 1], C[3 * i + 2, 3 * k + 2]
            for a in range(n):
                m0, m1, m2 = M[a], M[n + a], M[2 * n + a]
                row = out_K[i * n + a]
                for b in range(n):
                    row[k * n + b] = (
                        (c00 * m0[b] + c01 * m0[n + b] + c02 * m0[2 * n + b])
                        + (c10 * m1[b] + c11 * m1[n + b] + c12 * m1[2 * n + b])
                        + (c20 * m2[b] + c21 * m2[n + b] + c22 * m2[2 * n + b])
                    )
    for r in range(3 * n):
        for c in range(r):
            out_K[r, c] = out_K[c, r]


@kernel
def _mean_gradient(g: Any, dv: Any, out_mean: Any) -> None:
    """Volume average (3, n) of the gradients."""
    volume = 0.0
    out_mean[:] = 0.0
    for q in range(g.shape[0]):
        volume += dv[q]
        for i in range(3):
            for a in range(g.shape[2]):
                out_mean[i, a] += dv[q] * g[q, i, a]
    for i in range(3):
        for a in range(g.shape[2]):
            out_mean[i, a] /= volume


@kernel
def add_mean_dilatation(g: Any, dv: Any, scale: Any, Q: Any, kappa: float, mean: Any, rank: Any, out_K: Any) -> None:
    """Complete the B-bar matrix, out_K = contract(deviatoric part of C) on entry.

    With ``d_ij = C_ijkk``, ``kappa = d_ii``, ``Q = d / 3 - kappa / 9 I``, ``h_a = int s g_a``, ``S = int s`` and the
    mean gradient ``G_a``, the terms that hold the dilatation are ``r G^T + G r^T`` with ``r = Q h + kappa S / 18 G``.
    mean, rank (3, n) are work arrays.
    """
    n = g.shape[2]
    _mean_gradient(g, dv, mean)
    total = 0.0
    for q in range(g.shape[0]):
        total += scale[q] * dv[q]
    for i in range(3):
        for a in range(n):
            rank[i, a] = kappa * total / 18.0 * mean[i, a]
    for q in range(g.shape[0]):
        f = scale[q] * dv[q]
        for i in range(3):
            for j in range(3):
                for a in range(n):
                    rank[i, a] += Q[i, j] * f * g[q, j, a]
    G = mean.reshape(3 * n)
    r = rank.reshape(3 * n)
    for x in range(3 * n):
        for y in range(3 * n):
            out_K[x, y] += r[x] * G[y] + G[x] * r[y]


@kernel
def _cholesky(A: Any) -> Any:
    """Lower Cholesky factor in place; return 1 where A is not positive definite."""
    for j in range(A.shape[0]):
        d = A[j, j]
        for k in range(j):
            d -= A[j, k] * A[j, k]
        if not d > 0.0:
            return 1
        d = np.sqrt(d)
        A[j, j] = d
        for i in range(j + 1, A.shape[0]):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            A[i, j] = s / d
    return 0


@kernel
def condense(K: Any, m: int, inner: Any, cross: Any, out_K: Any) -> Any:
    """Eliminate the internal columns of K (3 n, 3 n) into out_K (3 m, 3 m); inner (9, 9), cross (9, 3 m) are work."""
    n = K.shape[0] // 3
    b = n - m
    for i in range(3):
        for x in range(b):
            row = K[i * n + m + x]
            for k in range(3):
                for y in range(b):
                    inner[i * b + x, k * b + y] = row[k * n + m + y]
                for a in range(m):
                    cross[i * b + x, k * m + a] = row[k * n + a]
    if _cholesky(inner) != 0:
        return 1
    for r in range(3 * b):
        target = cross[r]
        for k in range(r):
            f = inner[r, k]
            other = cross[k]
            for c in range(3 * m):
                target[c] -= f * other[c]
        f = 1.0 / inner[r, r]
        for c in range(3 * m):
            target[c] *= f
    for i in range(3):
        for a in range(m):
            target = out_K[i * m + a]
            row = K[i * n + a]
            for k in range(3):
                for c in range(m):
                    target[k * m + c] = row[k * n + c]
            for r in range(3 * b):
                f = cross[r, i * m + a]
                other = cross[r]
                for c in range(3 * m):
                    target[c] -= f * other[c]
    return 0


@kernel
def assemble_solids(
    points: Any,
    conn: Any,
    C: Any,
    Q: Any,
    kappa: Any,
    d_id: Any,
    scale: Any,
    dN: Any,
    w: Any,
    dN0: Any,
    bubble: Any,
    formulation: int,
    elements: Any,
    first_row: int,
    last_row: int,
    bmap: Any,
    out_data: Any,
) -> Any:
    """Add the stiffness of `elements` to the rows [first_row, last_row) of the block matrix.

    points (n, 3) [mm]; conn (e, m); C (k, 9, 9), Q (k, 3, 3), kappa (k,) [MPa]; d_id (e,); scale (e, q) [1]; tables as
    in `element_gradients`; elements (t,) ids to visit; bmap (e, m, m) block numbers; out_data (nb, 3, 3) [N/mm].
    return  0, or 1 + id of the first element with a Jacobian that is not positive
    """
    m = conn.shape[1]
    n = m + bubble.shape[1]
    X = np.empty((m, 3))
    g = np.empty((dN.shape[0], 3, n))
    dv = np.empty(dN.shape[0])
    work = np.empty((2, 3, 3))
    M = np.empty((3 * n, 3 * n))
    K = np.empty((3 * n, 3 * n))
    condensed = np.empty((3 * m, 3 * m))
    inner = np.empty((9, 9))
    cross = np.empty((9, 3 * m))
    mean = np.empty((3, n))
    rank = np.empty((3, n))
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
        if element_gradients(X, dN, w, dN0, bubble, work, g, dv) != 0:
            return 1 + e
        law = d_id[e]
        gradient_products(g, dv, scale[e], M)
        contract(C[law], M, n, K)
        Ke = K
        if formulation == BBAR:
            add_mean_dilatation(g, dv, scale[e], Q[law], kappa[law], mean, rank, K)
        elif formulation == INCOMPATIBLE:
            if condense(K, m, inner, cross, condensed) != 0:
                return 1 + e
            Ke = condensed
        for a in range(m):
            if conn[e, a] < first_row or conn[e, a] >= last_row:
                continue
            for b in range(m):
                block = out_data[bmap[e, a, b]]
                for i in range(3):
                    for k in range(3):
                        block[i, k] += Ke[i * m + a, k * m + b]
    return 0


@kernel
def _strain(g: Any, u: Any, out_eps: Any) -> None:
    """Voigt strain of the gradients g (3, n) and values u (n, 3), added to out_eps."""
    for a in range(u.shape[0]):
        gx, gy, gz = g[0, a], g[1, a], g[2, a]
        ux, uy, uz = u[a, 0], u[a, 1], u[a, 2]
        out_eps[0] += gx * ux
        out_eps[1] += gy * uy
        out_eps[2] += gz * uz
        out_eps[3] += gy * ux + gx * uy
        out_eps[4] += gz * uy + gy * uz
        out_eps[5] += gz * ux + gx * uz


@kernel
def _stress(D: Any, scale: float, eps: Any, out_sig: Any) -> None:
    for i in range(6):
        s = 0.0
        for j in range(6):
            s += D[i, j] * eps[j]
        out_sig[i] = scale * s


@kernel
def _force(g: Any, sig: Any, dv: float, out_f: Any) -> None:
    """Add dv B^T sig to out_f (n, 3)."""
    for a in range(out_f.shape[0]):
        gx, gy, gz = g[0, a] * dv, g[1, a] * dv, g[2, a] * dv
        out_f[a, 0] += gx * sig[0] + gy * sig[3] + gz * sig[5]
        out_f[a, 1] += gy * sig[1] + gx * sig[3] + gz * sig[4]
        out_f[a, 2] += gz * sig[2] + gy * sig[4] + gx * sig[5]


@kernel
def _internal_modes(g: Any, dv: Any, scale: Any, D: Any, eps: Any, m: int, K: Any, f: Any, sig: Any, out_a: Any) -> Any:
    """Amplitudes (3, 3) of the incompatible modes that balance the strains eps (q, 6); K (9, 9), f (9,) are work."""
    K[:] = 0.0
    out_a[:] = 0.0
    column = np.zeros((3, 3))
    column_eps = np.empty(6)
    row = np.zeros((3, 3))
    for q in range(g.shape[0]):
        modes = g[q, :, m:]
        _stress(D, scale[q], eps[q], sig)
        _force(modes, sig, -dv[q], out_a)
        for c in range(9):
            column[:] = 0.0
            column[c // 3, c % 3] = 1.0
            column_eps[:] = 0.0
            _strain(modes, column, column_eps)
            _stress(D, scale[q], column_eps, sig)
            row[:] = 0.0
            _force(modes, sig, dv[q], row)
            for r in range(9):
                K[r, c] += row[r // 3, r % 3]
    if _cholesky(K) != 0:
        return 1
    for r in range(9):
        s = out_a[r // 3, r % 3]
        for k in range(r):
            s -= K[r, k] * f[k]
        f[r] = s / K[r, r]
    for r in range(8, -1, -1):
        s = f[r]
        for k in range(r + 1, 9):
            s -= K[k, r] * f[k]
        f[r] = s / K[r, r]
        out_a[r // 3, r % 3] = f[r]
    return 0


@kernel
def solid_response(
    points: Any,
    conn: Any,
    D: Any,
    d_id: Any,
    scale: Any,
    dN: Any,
    w: Any,
    dN0: Any,
    bubble: Any,
    formulation: int,
    elements: Any,
    u: Any,
    out_strain: Any,
    out_stress: Any,
    out_volume: Any,
    out_force: Any,
) -> Any:
    """Strain, stress, volume and internal force of `elements` under the displacements u (n, 3).

    D (k, 6, 6) [MPa]; out_strain, out_stress (t, q, 6); out_volume (t, q) [mm^3]; out_force (t, m, 3) [N], all in the
    order of `elements`. Other arguments as in `assemble_solids`.
    return  0, or 1 + id of the first element with a Jacobian that is not positive
    """
    m = conn.shape[1]
    n = m + bubble.shape[1]
    nq = dN.shape[0]
    X = np.empty((m, 3))
    ue = np.empty((m, 3))
    g = np.empty((nq, 3, n))
    work = np.empty((2, 3, 3))
    mean = np.empty((3, n))
    K = np.empty((9, 9))
    f = np.empty(9)
    sig = np.empty(6)
    alpha = np.empty((3, 3))
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
                ue[a, i] = u[conn[e, a], i]
        dv = out_volume[t]
        if element_gradients(X, dN, w, dN0, bubble, work, g, dv) != 0:
            return 1 + e
        eps = out_strain[t]
        eps[:] = 0.0
        for q in range(nq):
            _strain(g[q, :, :m], ue, eps[q])
        if formulation == BBAR:
            _mean_gradient(g, dv, mean)
            dilatation = 0.0
            for a in range(m):
                for i in range(3):
                    dilatation += mean[i, a] * ue[a, i]
            for q in range(nq):
                change = (dilatation - eps[q, 0] - eps[q, 1] - eps[q, 2]) / 3.0
                for i in range(3):
                    eps[q, i] += change
        elif formulation == INCOMPATIBLE:
            if _internal_modes(g, dv, scale[e], D[d_id[e]], eps, m, K, f, sig, alpha) != 0:
                return 1 + e
            for q in range(nq):
                _strain(g[q, :, m:], alpha, eps[q])
        force = out_force[t]
        force[:] = 0.0
        for q in range(nq):
            s = out_stress[t, q]
            _stress(D[d_id[e]], scale[e, q], eps[q], s)
            _force(g[q, :, :m], s, dv[q], force)
            if formulation == BBAR:
                pressure = (s[0] + s[1] + s[2]) / 3.0 * dv[q]
                for a in range(m):
                    for i in range(3):
                        force[a, i] += pressure * (mean[i, a] - g[q, i, a])
    return 0
