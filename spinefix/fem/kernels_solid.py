"""Solid elements: stiffness, strain and internal force of single elements, and the loops over many.

One set of kernels serves all kinds, because shape functions come in as tables. Gradients are stored component first,
``g[q, i, a]``, and so are local dofs, ``i * m + a``: inner loops then run over contiguous memory.

All three formulations are integrals of products of gradients with an elasticity that is constant but for a scalar
factor per integration point. So the products are integrated first, ``M_jl[a, b] = int s g_a,j g_b,l dv``, and
contracted with the elasticity once, ``K_ik[a, b] = C_ijkl M_jl[a, b]``; that is half the work of B^T D B at each point,
and a tenth where the material is isotropic.

The number of integration points is padded with zeros to a multiple of four, so that sums over points run in registers.

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
GENERAL, SYMMETRIC = 0, 1


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
def _clear(out: Any) -> None:
    """Fill a matrix with zeros (a slice assignment compiles ten times as long)."""
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[r, c] = 0.0


@kernel
def _jacobian(X: Any, dN: Any, out_J: Any) -> None:
    """J[d, i] = dx_i / dxi_d from nodes X (m, 3) and reference gradients dN (3, m)."""
    for d in range(3):
        x, y, z = 0.0, 0.0, 0.0
        for a in range(X.shape[0]):
            x += dN[d, a] * X[a, 0]
            y += dN[d, a] * X[a, 1]
            z += dN[d, a] * X[a, 2]
        out_J[d, 0], out_J[d, 1], out_J[d, 2] = x, y, z


@kernel
def element_gradients(
    X: Any, dN: Any, w: Any, dN0: Any, bubble: Any, work: Any, out_g: Any, out_modes: Any, out_dv: Any
) -> Any:
    """Gradients of the nodes and of the incompatible modes of one element at its integration points.

    X (m, 3); dN (q, 3, m) reference gradients; w (q,); dN0 (3, m) the same at the centre; bubble (q, b) derivative of
    bubble k along its own axis, b = 0 or 3; work (2, 3, 3); out_g (q, 3, m); out_modes (q, 3, b); out_dv (q,).
    return  0, or 1 where a Jacobian is not positive
    """
    J, inv = work[0], work[1]
    for q in range(w.shape[0]):
        _jacobian(X, dN[q], J)
        det = _invert(J, inv)
        if not det > 0.0:
            return 1
        out_dv[q] = det * w[q]
        for i in range(3):
            f0, f1, f2 = inv[i, 0], inv[i, 1], inv[i, 2]
            for a in range(X.shape[0]):
                out_g[q, i, a] = f0 * dN[q, 0, a] + f1 * dN[q, 1, a] + f2 * dN[q, 2, a]
    if bubble.shape[1] > 0:
        _jacobian(X, dN0, J)
        det0 = _invert(J, inv)
        if not det0 > 0.0:
            return 1
        for q in range(w.shape[0]):
            ratio = det0 * w[q] / out_dv[q]
            for i in range(3):
                for k in range(3):
                    out_modes[q, i, k] = inv[i, k] * bubble[q, k] * ratio
    return 0


@kernel
def _weighted(g: Any, dv: Any, scale: Any, out: Any) -> None:
    """Gradients times stiffness scale times volume, (q, 3, n)."""
    for q in range(dv.shape[0]):
        f = scale[q] * dv[q]
        for i in range(3):
            for a in range(g.shape[2]):
                out[q, i, a] = f * g[q, i, a]


@kernel
def gradient_products(g: Any, h: Any, out_M: Any) -> None:
    """M[r, c] = sum_q g[q, r] h[q, c] for g (q, R), h (q, S), with q a multiple of four."""
    for r in range(g.shape[1]):
        for q in range(0, g.shape[0], 4):
            g0, g1, g2, g3 = g[q, r], g[q + 1, r], g[q + 2, r], g[q + 3, r]
            if q == 0:
                for c in range(h.shape[1]):
                    out_M[r, c] = (g0 * h[0, c] + g1 * h[1, c]) + (g2 * h[2, c] + g3 * h[3, c])
            else:
                for c in range(h.shape[1]):
                    out_M[r, c] += (g0 * h[q, c] + g1 * h[q + 1, c]) + (g2 * h[q + 2, c] + g3 * h[q + 3, c])


@kernel
def contract(C: Any, M: Any, symmetric: int, out_K: Any) -> None:
    """K[i p + a, k n + b] = C_ijkl M[j p + a, l n + b] for M (3 p, 3 n); C (9, 9) with rows 3 i + j, columns 3 k + l.

    Zeros of C are skipped: of 81 numbers an isotropic material has 21. With `symmetric` = 1 the result is made exactly
    symmetric.
    """
    p, n = M.shape[0] // 3, M.shape[1] // 3
    _clear(out_K)
    for i in range(3):
        for k in range(i * symmetric, 3):
            for j in range(3):
                for l in range(3):
                    c = C[3 * i + j, 3 * k + l]
                    if c != 0.0:
                        for a in range(p):
                            for b in range(n):
                                out_K[i * p + a, k * n + b] += c * M[j * p + a, l * n + b]
    if symmetric == SYMMETRIC:
        for r in range(3 * p):
            for c_ in range(r):
                out_K[r, c_] = out_K[c_, r]


@kernel
def _mean_gradient(g: Any, dv: Any, out_mean: Any) -> None:
    """Volume average (3, n) of the gradients."""
    volume = 0.0
    _clear(out_mean)
    for q in range(dv.shape[0]):
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
    mean, rank (3, m) are work arrays.
    """
    m = mean.shape[1]
    _mean_gradient(g, dv, mean)
    total = 0.0
    for q in range(dv.shape[0]):
        total += scale[q] * dv[q]
    for i in range(3):
        for a in range(m):
            rank[i, a] = kappa * total / 18.0 * mean[i, a]
    for q in range(dv.shape[0]):
        f = scale[q] * dv[q]
        for i in range(3):
            for j in range(3):
                c = Q[i, j] * f
                if c != 0.0:
                    for a in range(m):
                        rank[i, a] += c * g[q, j, a]
    G = mean.reshape(3 * m)
    r = rank.reshape(3 * m)
    for x in range(3 * m):
        for y in range(3 * m):
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
def condense(inner: Any, cross: Any, out_K: Any) -> Any:
    """K -= cross^T inner^-1 cross for inner (9, 9), cross (9, s), K (s, s); inner and cross are overwritten.

    return  0, or 1 where inner is not positive definite
    """
    if _cholesky(inner) != 0:
        return 1
    size = cross.shape[1]
    for r in range(9):
        for k in range(r):
            f = inner[r, k]
            for c in range(size):
                cross[r, c] -= f * cross[k, c]
        f = 1.0 / inner[r, r]
        for c in range(size):
            cross[r, c] *= f
    for x in range(size):
        for r in range(0, 9, 3):
            f0, f1, f2 = cross[r, x], cross[r + 1, x], cross[r + 2, x]
            for c in range(size):
                out_K[x, c] -= (f0 * cross[r, c] + f1 * cross[r + 1, c]) + f2 * cross[r + 2, c]
    return 0


@kernel
def stiffness_work(m: int, nq: int, bubbles: int) -> Any:
    """Work arrays of `element_stiffness` for m nodes, nq points and 0 or 3 bubbles."""
    padded, n = 4 * ((nq + 3) // 4), 3 * m
    return (
        np.zeros((padded, 3, m)),
        np.zeros((padded, 3, m)),
        np.zeros((padded, 3, bubbles)),
        np.zeros((padded, 3, bubbles)),
        np.empty(nq),
        np.empty((2, 3, 3)),
        np.empty((n, n)),
        np.empty((9, n)),
        np.empty((9, n)),
        np.empty((9, 9)),
        np.empty((9, 9)),
        np.empty((2, 3, m)),
    )


@kernel
def element_stiffness(
    X: Any,
    C: Any,
    Q: Any,
    kappa: float,
    scale: Any,
    dN: Any,
    w: Any,
    dN0: Any,
    bubble: Any,
    formulation: int,
    work: Any,
    out_K: Any,
) -> Any:
    """Stiffness out_K (3 m, 3 m) of one element with nodes X (m, 3), dofs component first, i m + a.

    C (9, 9), Q (3, 3), kappa of its law; scale (q,); tables as in `element_gradients`; work from `stiffness_work`.
    return  0, or 1 where a Jacobian is not positive or the modes have no stiffness
    """
    g, weighted, modes, weighted_modes, dv, jacobians, M, M_cross, cross, M_inner, inner, mean = work
    padded, n = g.shape[0], 3 * X.shape[0]
    if element_gradients(X, dN, w, dN0, bubble, jacobians, g, modes, dv) != 0:
        return 1
    _weighted(g, dv, scale, weighted)
    flat = weighted.reshape(padded, n)
    gradient_products(g.reshape(padded, n), flat, M)
    contract(C, M, SYMMETRIC, out_K)
    if formulation == BBAR:
        add_mean_dilatation(g, dv, scale, Q, kappa, mean[0], mean[1], out_K)
    elif formulation == INCOMPATIBLE:
        _weighted(modes, dv, scale, weighted_modes)
        flat_modes = modes.reshape(padded, 9)
        gradient_products(flat_modes, flat, M_cross)
        gradient_products(flat_modes, weighted_modes.reshape(padded, 9), M_inner)
        contract(C, M_cross, GENERAL, cross)
        contract(C, M_inner, SYMMETRIC, inner)
        return condense(inner, cross, out_K)
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
    X, K = np.empty((m, 3)), np.empty((3 * m, 3 * m))
    work = stiffness_work(m, w.shape[0], bubble.shape[1])
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
        law = d_id[e]
        status = element_stiffness(
            X, C[law], Q[law], kappa[law], scale[e], dN, w, dN0, bubble, formulation, work, K
        )  # fmt: skip
        if status != 0:
            return 1 + e
        for a in range(m):
            if conn[e, a] < first_row or conn[e, a] >= last_row:
                continue
            for b in range(m):
                block = out_data[bmap[e, a, b]]
                for i in range(3):
                    for k in range(3):
                        block[i, k] += K[i * m + a, k * m + b]
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
def _mode_amplitudes(
    modes: Any, weighted: Any, dv: Any, scale: Any, C: Any, D: Any, eps: Any, M: Any, K: Any, sig: Any, out_a: Any
) -> Any:
    """Amplitudes (3, 3) of the incompatible modes that balance the strains eps (q, 6), as out_a[k, i].

    modes, weighted (padded q, 3, 3); M, K (9, 9) and sig (6,) are work arrays.
    return  0, or 1 where the modes have no stiffness
    """
    _clear(out_a)
    for q in range(dv.shape[0]):
        _stress(D, scale[q], eps[q], sig)
        _force(modes[q], sig, -dv[q], out_a)
    _weighted(modes, dv, scale, weighted)
    padded = modes.shape[0]
    gradient_products(modes.reshape(padded, 9), weighted.reshape(padded, 9), M)
    contract(C, M, SYMMETRIC, K)
    if _cholesky(K) != 0:
        return 1
    for r in range(9):  # K numbers its rows component first, i * 3 + k
        s = out_a[r % 3, r // 3]
        for k in range(r):
            s -= K[r, k] * out_a[k % 3, k // 3]
        out_a[r % 3, r // 3] = s / K[r, r]
    for r in range(8, -1, -1):
        s = out_a[r % 3, r // 3]
        for k in range(r + 1, 9):
            s -= K[k, r] * out_a[k % 3, k // 3]
        out_a[r % 3, r // 3] = s / K[r, r]
    return 0


@kernel
def solid_response(
    points: Any,
    conn: Any,
    C: Any,
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

    C (k, 9, 9) and D (k, 6, 6) the same elasticity [MPa]; out_strain, out_stress (t, q, 6); out_volume (t, q) [mm^3];
    out_force (t, m, 3) [N], all in the order of `elements`. Other arguments as in `assemble_solids`.
    return  0, or 1 + id of the first element with a Jacobian that is not positive
    """
    m = conn.shape[1]
    nq = w.shape[0]
    padded = 4 * ((nq + 3) // 4)
    X = np.empty((m, 3))
    ue = np.empty((m, 3))
    g = np.empty((nq, 3, m))
    modes = np.zeros((padded, 3, bubble.shape[1]))
    weighted = np.zeros((padded, 3, bubble.shape[1]))
    work = np.empty((2, 3, 3))
    mean = np.empty((3, m))
    K = np.empty((9, 9))
    M = np.empty((9, 9))
    sig = np.empty(6)
    alpha = np.empty((3, 3))
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
                ue[a, i] = u[conn[e, a], i]
        dv = out_volume[t]
        if element_gradients(X, dN, w, dN0, bubble, work, g, modes, dv) != 0:
            return 1 + e
        eps = out_strain[t]
        _clear(eps)
        for q in range(nq):
            _strain(g[q], ue, eps[q])
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
            law = d_id[e]
            if _mode_amplitudes(modes, weighted, dv, scale[e], C[law], D[law], eps, M, K, sig, alpha) != 0:
                return 1 + e
            for q in range(nq):
                _strain(modes[q], alpha, eps[q])
        force = out_force[t]
        _clear(force)
        for q in range(nq):
            s = out_stress[t, q]
            _stress(D[d_id[e]], scale[e, q], eps[q], s)
            _force(g[q], s, dv[q], force)
            if formulation == BBAR:
                pressure = (s[0] + s[1] + s[2]) / 3.0 * dv[q]
                for a in range(m):
                    for i in range(3):
                        force[a, i] += pressure * (mean[i, a] - g[q, i, a])
    return 0
