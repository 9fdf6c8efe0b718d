"""Finite-strain solid elements: kinematics, internal force and consistent tangent of many elements.

An assembly runs in three steps over a chunk of elements: kinematics here, the constitutive law (its own kernel, over
all integration points), and forces and tangents here again. Shape functions come in as tables, so one kernel serves
all kinds.

With spatial gradients g_a, Kirchhoff stress ``tau = F S F^T`` and the push-forward c of dS/dE, force and tangent are
``f_ia = int tau_ij g_ja dV`` and ``K_ia,kb = int g_ja a_ijkl g_lb dV``, ``a_ijkl = c_ijkl + delta_ik tau_jl``, all over
the volume at rest. The sum over points and j is one product of small matrices per element.

Mean dilatation (Q1/P0 for hex8) evaluates the law at ``Fbar = (theta / J)^(1/3) F`` with theta the ratio of current to
reference volume of the element. Forces and tangent are the first and second derivative of the energy
``int W(Fbar) dV``; hence the tangent is symmetric. With ``t = tr tau / 3``, its sum ``m = int t dV`` over the element,
the mean gradient ``G_a`` over the current volume v and
``z_ij = (c_ijmm + 2 tau_ij) / 3 - (c_mmnn + 6 t) / 9 delta_ij``:

- ``f_ia = int (tau_ij - t delta_ij) g_ja dV + m G_ia``;
- a_ijkl gains ``t delta_jk delta_il + m J / v (delta_ij delta_kl - delta_jk delta_il) - delta_ij z_kl - z_ij delta_kl -
  (c_mmnn + 6 t) / 9 delta_ij delta_kl``;
- K gains ``r G^T + G r^T`` with ``r_ia = int z_ij g_ja dV + (int (c_mmnn + 6 t) / 9 dV - m) / 2 G_ia``.

References
----------
Simo JC, Taylor RL, Pister KS (1985), Variational and projection methods for the volume constraint in finite
deformation elasto-plasticity, Comput Methods Appl Mech Eng 51:177-208. Bonet J, Wood RD (2008), Nonlinear continuum
mechanics for finite element analysis, 2nd ed., Cambridge, chapters 7 to 9.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinefix.fem.kernels_solid import _clear, _invert, _jacobian
from spinefix.jit import kernel

STANDARD, MEAN_DILATATION = 0, 1

FIRST, SECOND = (0, 1, 2, 0, 1, 0), (0, 1, 2, 1, 2, 2)
"""Tensor indices of each Voigt component; also the pairs (i, k), i <= k, of the blocks of a tangent."""

VOIGT = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2]])
"""Voigt component of each pair of tensor indices."""


@kernel
def finite_kinematics(
    points: Any,
    conn: Any,
    u: Any,
    dN: Any,
    w: Any,
    formulation: int,
    elements: Any,
    out_g: Any,
    out_F: Any,
    out_dv: Any,
    out_dv_now: Any,
) -> Any:
    """Spatial gradients and deformation gradients of `elements` at their integration points.

    points, u (n, 3) [mm]; conn (e, m); dN (q, 3, m) reference gradients; w (q,); elements (t,) ids; out_g (t, r, m)
    with row 3 q + i, r at least 3 q; out_F (t, q, 3, 3), that of the law (Fbar for mean dilatation); out_dv, out_dv_now
    (t, q) volumes at rest and now [mm^3].
    return  0, or 1 + id of the first element that is inside out at rest or now
    """
    m, nq = conn.shape[1], w.shape[0]
    X, U = np.empty((m, 3)), np.empty((m, 3))
    J, dU, inv, inv_now = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
                U[a, i] = u[conn[e, a], i]
        volume, volume_now = 0.0, 0.0
        for q in range(nq):
            _jacobian(X, dN[q], J)
            _jacobian(U, dN[q], dU)
            det = _invert(J, inv)
            for d in range(3):
                for i in range(3):
                    J[d, i] += dU[d, i]
            det_now = _invert(J, inv_now)
            if not (det > 0.0 and det_now > 0.0):
                return 1 + e
            for i in range(3):
                for j in range(3):
                    h = dU[0, i] * inv[j, 0] + dU[1, i] * inv[j, 1] + dU[2, i] * inv[j, 2]
                    out_F[t, q, i, j] = h + (1.0 if i == j else 0.0)
                f0, f1, f2 = inv_now[i, 0], inv_now[i, 1], inv_now[i, 2]
                for a in range(m):
                    out_g[t, 3 * q + i, a] = f0 * dN[q, 0, a] + f1 * dN[q, 1, a] + f2 * dN[q, 2, a]
            out_dv[t, q] = det * w[q]
            out_dv_now[t, q] = det_now * w[q]
            volume += out_dv[t, q]
            volume_now += out_dv_now[t, q]
        if formulation == MEAN_DILATATION:
            for q in range(nq):
                f = (volume_now / volume * out_dv[t, q] / out_dv_now[t, q]) ** (1.0 / 3.0)
                for i in range(3):
                    for j in range(3):
                        out_F[t, q, i, j] *= f
    return 0


@kernel
def _push(F: Any, xx: float, yy: float, zz: float, xy: float, yz: float, xz: float) -> Any:
    """F A F^T of a symmetric tensor, as six numbers."""
    f00, f01, f02 = F[0, 0], F[0, 1], F[0, 2]
    f10, f11, f12 = F[1, 0], F[1, 1], F[1, 2]
    f20, f21, f22 = F[2, 0], F[2, 1], F[2, 2]
    x0, y0, z0 = xx * f00 + xy * f01 + xz * f02, xy * f00 + yy * f01 + yz * f02, xz * f00 + yz * f01 + zz * f02
    x1, y1, z1 = xx * f10 + xy * f11 + xz * f12, xy * f10 + yy * f11 + yz * f12, xz * f10 + yz * f11 + zz * f12
    x2, y2, z2 = xx * f20 + xy * f21 + xz * f22, xy * f20 + yy * f21 + yz * f22, xz * f20 + yz * f21 + zz * f22
    return (
        f00 * x0 + f01 * y0 + f02 * z0,
        f10 * x1 + f11 * y1 + f12 * z1,
        f20 * x2 + f21 * y2 + f22 * z2,
        f00 * x1 + f01 * y1 + f02 * z1,
        f10 * x2 + f11 * y2 + f12 * z2,
        f00 * x2 + f01 * y2 + f02 * z2,
    )


@kernel
def _push_tangent(F: Any, C: Any, f: float, X: Any, out_c: Any) -> None:
    """f times the push-forward (6, 6) of a material tangent, by rows and then by columns; X (6, 6) is work."""
    for i in range(6):
        X[i, 0], X[i, 1], X[i, 2], X[i, 3], X[i, 4], X[i, 5] = _push(
            F, f * C[i, 0], f * C[i, 1], f * C[i, 2], f * C[i, 3], f * C[i, 4], f * C[i, 5]
        )
    for i in range(6):
        out_c[i, 0], out_c[i, 1], out_c[i, 2], out_c[i, 3], out_c[i, 4], out_c[i, 5] = _push(
            F, X[0, i], X[1, i], X[2, i], X[3, i], X[4, i], X[5, i]
        )


@kernel
def _mean(g: Any, dv: Any, out_G: Any) -> Any:
    """Mean gradient (3, m) of gradients g (3 q, m) with weights dv; return their sum."""
    volume = 0.0
    _clear(out_G)
    for q in range(dv.shape[0]):
        volume += dv[q]
        for i in range(3):
            for a in range(g.shape[1]):
                out_G[i, a] += dv[q] * g[3 * q + i, a]
    for i in range(3):
        for a in range(g.shape[1]):
            out_G[i, a] /= volume
    return volume


@kernel
def _element_force(g: Any, tau: Any, dv_now: Any, formulation: int, G: Any, out_f: Any) -> Any:
    """Nodal forces (3, m) of Kirchhoff stresses tau (q, 6), which hold the volume at rest.

    For mean dilatation G (3, m) is set to the mean gradient.
    return  sum of mean stresses m of mean dilatation and current volume; zeros otherwise
    """
    _clear(out_f)
    m, volume = 0.0, 0.0
    if formulation == MEAN_DILATATION:
        volume = _mean(g, dv_now, G)
    for q in range(tau.shape[0]):
        t = 0.0
        if formulation == MEAN_DILATATION:
            t = (tau[q, 0] + tau[q, 1] + tau[q, 2]) / 3.0
            m += t
        for i in range(3):
            x, y, z = tau[q, VOIGT[i, 0]], tau[q, VOIGT[i, 1]], tau[q, VOIGT[i, 2]]
            if i == 0:
                x -= t
            elif i == 1:
                y -= t
            else:
                z -= t
            for a in range(g.shape[1]):
                out_f[i, a] += x * g[3 * q, a] + y * g[3 * q + 1, a] + z * g[3 * q + 2, a]
    if formulation == MEAN_DILATATION:
        for i in range(3):
            for a in range(g.shape[1]):
                out_f[i, a] += m * G[i, a]
    return m, volume


@kernel
def _moduli(c: Any, tau: Any, out_a: Any) -> None:
    """out_a[j, p, l] = a_ijkl for the pairs p = (i, k) = xx yy zz xy yz xz."""
    for j in range(3):
        x, y, z = VOIGT[0, j], VOIGT[1, j], VOIGT[2, j]
        tx, ty, tz = tau[x], tau[y], tau[z]
        a = out_a[j]
        a[0, 0], a[0, 1], a[0, 2] = c[x, 0] + tx, c[x, 3] + ty, c[x, 5] + tz
        a[1, 0], a[1, 1], a[1, 2] = c[y, 3] + tx, c[y, 1] + ty, c[y, 4] + tz
        a[2, 0], a[2, 1], a[2, 2] = c[z, 5] + tx, c[z, 4] + ty, c[z, 2] + tz
        a[3, 0], a[3, 1], a[3, 2] = c[x, 3], c[x, 1], c[x, 4]
        a[4, 0], a[4, 1], a[4, 2] = c[y, 5], c[y, 4], c[y, 2]
        a[5, 0], a[5, 1], a[5, 2] = c[x, 5], c[x, 4], c[x, 2]


@kernel
def _add_dilatation_moduli(c: Any, tau: Any, swell: float, out_z: Any, out_a: Any) -> Any:
    """Add the mean-dilatation terms of a_ijkl at one point, swell = m J dV / v; set z (6,).

    return  (c_mmnn + 6 t) / 9
    """
    t = (tau[0] + tau[1] + tau[2]) / 3.0
    for i in range(6):
        out_z[i] = (c[0, i] + c[1, i] + c[2, i] + 2.0 * tau[i]) / 3.0
    total = (out_z[0] + out_z[1] + out_z[2]) / 3.0
    for i in range(3):
        out_z[i] -= total
    for p in range(6):
        i, k = FIRST[p], SECOND[p]
        for l in range(3):
            out_a[i, p, l] -= out_z[VOIGT[k, l]]
        for j in range(3):
            out_a[j, p, k] -= out_z[VOIGT[i, j]]
        out_a[i, p, k] += swell - total
        out_a[k, p, i] += t - swell
    return total


@kernel
def _point_rows(g: Any, row: int, a: Any, out_h: Any) -> None:
    """out_h[row + j, p n + b] = sum_l a[j, p, l] g[row + l, b].

    The six pairs are written out: one long loop instead of six short ones.
    """
    n = g.shape[1]
    for j in range(3):
        x0, x1, x2 = a[j, 0, 0], a[j, 0, 1], a[j, 0, 2]
        y0, y1, y2 = a[j, 1, 0], a[j, 1, 1], a[j, 1, 2]
        z0, z1, z2 = a[j, 2, 0], a[j, 2, 1], a[j, 2, 2]
        p0, p1, p2 = a[j, 3, 0], a[j, 3, 1], a[j, 3, 2]
        q0, q1, q2 = a[j, 4, 0], a[j, 4, 1], a[j, 4, 2]
        r0, r1, r2 = a[j, 5, 0], a[j, 5, 1], a[j, 5, 2]
        for b in range(n):
            gx, gy, gz = g[row, b], g[row + 1, b], g[row + 2, b]
            out_h[row + j, b] = x0 * gx + x1 * gy + x2 * gz
            out_h[row + j, n + b] = y0 * gx + y1 * gy + y2 * gz
            out_h[row + j, 2 * n + b] = z0 * gx + z1 * gy + z2 * gz
            out_h[row + j, 3 * n + b] = p0 * gx + p1 * gy + p2 * gz
            out_h[row + j, 4 * n + b] = q0 * gx + q1 * gy + q2 * gz
            out_h[row + j, 5 * n + b] = r0 * gx + r1 * gy + r2 * gz


@kernel
def _add_rank_row(g: Any, row: int, z: Any, out_rank: Any) -> None:
    """Add z_ij g_ja of one point to out_rank (3, m)."""
    n = g.shape[1]
    xx, yy, zz, xy, yz, xz = z[0], z[1], z[2], z[3], z[4], z[5]
    for a in range(n):
        gx, gy, gz = g[row, a], g[row + 1, a], g[row + 2, a]
        out_rank[0, a] += xx * gx + xy * gy + xz * gz
        out_rank[1, a] += xy * gx + yy * gy + yz * gz
        out_rank[2, a] += xz * gx + yz * gy + zz * gz


@kernel
def _products(g: Any, h: Any, out_M: Any) -> None:
    """M[a, c] = sum_r g[r, a] h[r, c] for g (R, m), h (R, s), R a multiple of four, m even.

    Two rows of M at a time: each number of h that is loaded is used twice.
    """
    _clear(out_M)
    for a in range(0, g.shape[1], 2):
        for r in range(0, g.shape[0], 4):
            x0, x1, x2, x3 = g[r, a], g[r + 1, a], g[r + 2, a], g[r + 3, a]
            y0, y1, y2, y3 = g[r, a + 1], g[r + 1, a + 1], g[r + 2, a + 1], g[r + 3, a + 1]
            for c in range(h.shape[1]):
                h0, h1, h2, h3 = h[r, c], h[r + 1, c], h[r + 2, c], h[r + 3, c]
                out_M[a, c] += (x0 * h0 + x1 * h1) + (x2 * h2 + x3 * h3)
                out_M[a + 1, c] += (y0 * h0 + y1 * h1) + (y2 * h2 + y3 * h3)


@kernel
def _add_rank(rank: Any, G: Any, out_M: Any) -> None:
    """Add rank_ia G_kb + G_ia rank_kb to the blocks out_M[a, p n + b] of the pairs p = (i, k)."""
    n = G.shape[1]
    for p in range(6):
        i, k = FIRST[p], SECOND[p]
        for a in range(n):
            x, y = rank[i, a], G[i, a]
            for b in range(n):
                out_M[a, p * n + b] += x * G[k, b] + y * rank[k, b]


@kernel
def _scatter(M: Any, nodes: Any, bmap: Any, first_row: int, last_row: int, out_data: Any) -> None:
    """Add the blocks M[a, p n + b] of one element to the rows [first_row, last_row); exactly symmetric."""
    n = nodes.shape[0]
    for a in range(n):
        if nodes[a] < first_row or nodes[a] >= last_row:
            continue
        for b in range(n):
            block = out_data[bmap[a, b]]
            low, high = (a, b) if a <= b else (b, a)
            block[0, 0] += M[low, high]
            block[1, 1] += M[low, n + high]
            block[2, 2] += M[low, 2 * n + high]
            block[0, 1] += M[a, 3 * n + b]
            block[1, 2] += M[a, 4 * n + b]
            block[0, 2] += M[a, 5 * n + b]
            block[1, 0] += M[b, 3 * n + a]
            block[2, 1] += M[b, 4 * n + a]
            block[2, 0] += M[b, 5 * n + a]


@kernel
def assemble_finite(
    conn: Any,
    g: Any,
    F: Any,
    S: Any,
    C: Any,
    dv: Any,
    dv_now: Any,
    scale: Any,
    formulation: int,
    spatial: bool,
    tangent: int,
    elements: Any,
    first_row: int,
    last_row: int,
    bmap: Any,
    out_data: Any,
    out_force: Any,
) -> None:
    """Add internal forces and, with tangent = 1, tangents of `elements` to the rows [first_row, last_row).

    g (t, r, m), F (t, q, 3, 3), dv, dv_now (t, q) from `finite_kinematics`; S (t, q, 6), C (t, q, 6, 6) [MPa] from the
    law, Kirchhoff stress and spatial tangent if `spatial`; scale (e, q) [1]; elements (t,) ids; bmap (e, m, m) block
    numbers; out_data (nb, 3, 3) [N/mm]; out_force (blocks, 3) [N].
    """
    m, nq = conn.shape[1], dv.shape[1]
    rows = g.shape[1]
    tau = np.empty((nq, 6))
    c, X = np.empty((6, 6)), np.empty((6, 6))
    h = np.zeros((rows, 6 * m))
    M = np.empty((m, 6 * m))
    G, rank, force = np.empty((3, m)), np.empty((3, m)), np.empty((3, m))
    z, a = np.empty(6), np.empty((3, 6, 3))
    for t in range(elements.shape[0]):
        e = elements[t]
        for q in range(nq):
            f, s = scale[e, q] * dv[t, q], S[t, q]
            if spatial:
                for p in range(6):
                    tau[q, p] = f * s[p]
                continue
            tau[q, 0], tau[q, 1], tau[q, 2], tau[q, 3], tau[q, 4], tau[q, 5] = _push(
                F[t, q], f * s[0], f * s[1], f * s[2], f * s[3], f * s[4], f * s[5]
            )
        pressure, volume = _element_force(g[t], tau, dv_now[t], formulation, G, force)
        for b in range(m):
            node = conn[e, b]
            if node >= first_row and node < last_row:
                for i in range(3):
                    out_force[node, i] += force[i, b]
        if tangent == 0:
            continue
        _clear(rank)
        total = 0.0
        for q in range(nq):
            f = scale[e, q] * dv[t, q]
            if spatial:
                for p in range(6):
                    for r in range(6):
                        c[p, r] = f * C[t, q, p, r]
            else:
                _push_tangent(F[t, q], C[t, q], f, X, c)
            _moduli(c, tau[q], a)
            if formulation == MEAN_DILATATION:
                total += _add_dilatation_moduli(c, tau[q], pressure * dv_now[t, q] / volume, z, a)
                _add_rank_row(g[t], 3 * q, z, rank)
            _point_rows(g[t], 3 * q, a, h)
        _products(g[t], h, M)
        if formulation == MEAN_DILATATION:
            for i in range(3):
                for b in range(m):
                    rank[i, b] += 0.5 * (total - pressure) * G[i, b]
            _add_rank(rank, G, M)
        _scatter(M, conn[e], bmap[e], first_row, last_row, out_data)
