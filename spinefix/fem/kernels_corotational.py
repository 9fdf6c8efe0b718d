"""Co-rotational solid elements: linear stiffness in a frame that turns with the element. Large rotation, small strain.

The frame R is the rotation in the polar decomposition F = R U of the deformation gradient at the element's centre. With
node positions ``y_a = R^T (x_a - x_c)`` and ``d_a = y_a - (X_a - X_c)`` in that frame (centroids x_c, X_c), the energy
is ``1/2 d^T K d`` with the linear stiffness K of the element at rest, incompatible modes or B-bar included. Force and
tangent are its exact first and second derivatives, so the tangent is symmetric, and rigid motions cost nothing.

A change v (in the frame) turns R by ``omega = Gamma v``, ``Gamma_a = H^-1 [g_a]x``, ``H = tr U I - U``, with the
gradients g_a at the centre. Then ``dd = P v``, ``P = I + Y Gamma``, ``Y_a = [y_a]x``. With ``f = K d``,
``M = sum y_a x f_a`` and ``mu = H^-1 M``, the force in the frame is ``p_a = f_a + g_a x mu`` (that is, P^T f) and its
derivative ``P^T K P + E Gamma - Gamma^T L``, where ``E_a omega = omega x p_a`` and
``L v = sum (dd_a x f_a) - dH mu`` at fixed K.

References
----------
Felippa CA, Haugen B (2005), A unified formulation of small-strain corotational finite elements: I. Theory, Comput
Methods Appl Mech Eng 194:2285-2335 (projector); the derivative of the polar rotation is standard (e.g. Bonet J, Wood
RD 2008, Nonlinear continuum mechanics for finite element analysis, section 4.6).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinefix.fem.kernels_solid import _invert, _jacobian, element_stiffness, stiffness_work
from spinefix.jit import kernel


@kernel
def polar_rotation(F: Any, inv: Any, out_R: Any) -> Any:
    """Rotation of the polar decomposition F = R U; return 1 where det F is not positive. inv (3, 3) is work.

    Newton's iteration R <- (R + R^-T) / 2 (Higham NJ 1986, SIAM J Sci Stat Comput 7:1160-1174).
    """
    for i in range(3):
        for j in range(3):
            out_R[i, j] = F[i, j]
    for _ in range(60):
        if not _invert(out_R, inv) > 0.0:
            return 1
        change = 0.0
        for i in range(3):
            for j in range(3):
                new = 0.5 * (out_R[i, j] + inv[j, i])
                change = max(change, abs(new - out_R[i, j]))
                out_R[i, j] = new
        if change < 1e-15:
            break
    return 0 if np.isfinite(change) else 1


@kernel
def element_frame(
    X: Any, U: Any, dN0: Any, work: Any, out_R: Any, out_stretch: Any, out_g: Any, out_y: Any, out_d: Any
) -> Any:
    """Frame of one element: R and U (3, 3), gradients at the centre g (3, m), y and d (3, m).

    X, U (m, 3) positions at rest and displacements; dN0 (3, m); work (2, 3, 3).
    return  0, or 1 where the element is inside out at its centre
    """
    m = X.shape[0]
    J, inv = work[0], work[1]
    _jacobian(X, dN0, J)
    if not _invert(J, inv) > 0.0:
        return 1
    for i in range(3):
        for a in range(m):
            out_g[i, a] = inv[i, 0] * dN0[0, a] + inv[i, 1] * dN0[1, a] + inv[i, 2] * dN0[2, a]
    F = J
    for i in range(3):
        for j in range(3):
            s = 1.0 if i == j else 0.0
            for a in range(m):
                s += U[a, i] * out_g[j, a]
            F[i, j] = s
    if polar_rotation(F, inv, out_R) != 0:
        return 1
    for i in range(3):
        for j in range(3):
            x = out_R[0, i] * F[0, j] + out_R[1, i] * F[1, j] + out_R[2, i] * F[2, j]
            y = out_R[0, j] * F[0, i] + out_R[1, j] * F[1, i] + out_R[2, j] * F[2, i]
            out_stretch[i, j] = 0.5 * (x + y)
    for i in range(3):
        rest, now = 0.0, 0.0
        for a in range(m):
            rest += X[a, i] / m
            now += U[a, i] / m
        for a in range(m):
            out_d[i, a] = X[a, i] - rest
            out_y[i, a] = out_d[i, a] + (U[a, i] - now)
    for a in range(m):
        x, y, z = out_y[0, a], out_y[1, a], out_y[2, a]
        for i in range(3):
            out_y[i, a] = out_R[0, i] * x + out_R[1, i] * y + out_R[2, i] * z
            out_d[i, a] = out_y[i, a] - out_d[i, a]
    return 0


@kernel
def _cross_rows(v: Any, sign: float, out: Any) -> None:
    """out[i m + a, j] = sign e_ijk v[k, a] for v (3, m): row block a times w is sign w x v_a."""
    m = v.shape[1]
    for a in range(m):
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            out[i * m + a, i] = 0.0
            out[i * m + a, j] = sign * v[k, a]
            out[i * m + a, k] = -sign * v[j, a]


@kernel
def _spin(g: Any, stretch: Any, H: Any, Hi: Any, out_Gamma: Any) -> Any:
    """Gamma (3, 3 m): spin of the frame from nodal changes; H = tr U I - U and its inverse are set."""
    m = g.shape[1]
    trace = stretch[0, 0] + stretch[1, 1] + stretch[2, 2]
    for i in range(3):
        for j in range(3):
            H[i, j] = (trace if i == j else 0.0) - stretch[i, j]
    if not _invert(H, Hi) > 0.0:
        return 1
    for s in range(3):
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            for a in range(m):  # (g x v)_i holds g_j v_k - g_k v_j
                out_Gamma[s, k * m + a] = Hi[s, i] * g[j, a] - Hi[s, j] * g[i, a]
    return 0


@kernel
def frame_force(K: Any, d: Any, y: Any, Gamma: Any, Hi: Any, out_f: Any, out_mu: Any, out_p: Any) -> None:
    """f = K d, mu = H^-1 M and p = P^T f, all in the frame; f, p (3, m)."""
    m = d.shape[1]
    flat, f, p = d.reshape(3 * m), out_f.reshape(3 * m), out_p.reshape(3 * m)
    for x in range(3 * m):
        s = 0.0
        for c in range(3 * m):
            s += K[x, c] * flat[c]
        f[x] = s
    M0, M1, M2 = 0.0, 0.0, 0.0
    for a in range(m):
        M0 += y[1, a] * out_f[2, a] - y[2, a] * out_f[1, a]
        M1 += y[2, a] * out_f[0, a] - y[0, a] * out_f[2, a]
        M2 += y[0, a] * out_f[1, a] - y[1, a] * out_f[0, a]
    for i in range(3):
        out_mu[i] = Hi[i, 0] * M0 + Hi[i, 1] * M1 + Hi[i, 2] * M2
    for x in range(3 * m):
        p[x] = f[x] - (Gamma[0, x] * M0 + Gamma[1, x] * M1 + Gamma[2, x] * M2)


@kernel
def _load_terms(f: Any, y: Any, g: Any, mu: Any, stretch: Any, Gamma: Any, T: Any, Z: Any, out_L: Any) -> None:
    """L (3, 3 m) of the module's head; T (3, 3) and Z (3 m, 3) are work."""
    m = f.shape[1]
    _cross_rows(f, 1.0, Z)  # rows of Z^T v: f_a x v_a ... so that sum v_a x f_a = -Z^T v
    q0 = stretch[0, 0] * mu[0] + stretch[0, 1] * mu[1] + stretch[0, 2] * mu[2]
    q1 = stretch[1, 0] * mu[0] + stretch[1, 1] * mu[1] + stretch[1, 2] * mu[2]
    q2 = stretch[2, 0] * mu[0] + stretch[2, 1] * mu[1] + stretch[2, 2] * mu[2]
    work = 0.0
    for a in range(m):
        work += y[0, a] * f[0, a] + y[1, a] * f[1, a] + y[2, a] * f[2, a]
    for s in range(3):
        for j in range(3):
            x = work if s == j else 0.0
            for a in range(m):
                x -= y[s, a] * f[j, a]
            T[s, j] = x
    T[0, 1] -= q2
    T[0, 2] += q1
    T[1, 0] += q2
    T[1, 2] -= q0
    T[2, 0] -= q1
    T[2, 1] += q0
    for s in range(3):
        for k in range(3):
            for a in range(m):
                c = k * m + a
                x = -Z[c, s] - mu[s] * g[k, a] + T[s, 0] * Gamma[0, c] + T[s, 1] * Gamma[1, c] + T[s, 2] * Gamma[2, c]
                if k == s:
                    x += g[0, a] * mu[0] + g[1, a] * mu[1] + g[2, a] * mu[2]
                out_L[s, c] = x


@kernel
def frame_tangent(K: Any, Gamma: Any, L: Any, y: Any, p: Any, Y: Any, A: Any, B: Any, out_K: Any) -> None:
    """K + A Gamma + Gamma^T A^T + Gamma^T B Gamma + E Gamma - Gamma^T L with A = K Y, B = Y^T A; upper half mirrored.

    Y, A (3 m, 3) and B (3, 3) are work; L is overwritten.
    """
    n = K.shape[0]
    _cross_rows(y, -1.0, Y)
    for x in range(n):
        for j in range(3):
            s = 0.0
            for c in range(n):
                s += K[x, c] * Y[c, j]
            A[x, j] = s
    for i in range(3):
        for j in range(3):
            s = 0.0
            for c in range(n):
                s += Y[c, i] * A[c, j]
            B[i, j] = s
    for s in range(3):
        for c in range(n):
            L[s, c] = A[c, s] + B[s, 0] * Gamma[0, c] + B[s, 1] * Gamma[1, c] + B[s, 2] * Gamma[2, c] - L[s, c]
    _cross_rows(p, 1.0, Y)
    for x in range(n):
        a0, a1, a2 = A[x, 0] + Y[x, 0], A[x, 1] + Y[x, 1], A[x, 2] + Y[x, 2]
        g0, g1, g2 = Gamma[0, x], Gamma[1, x], Gamma[2, x]
        for c in range(n):
            s = a0 * Gamma[0, c] + a1 * Gamma[1, c] + a2 * Gamma[2, c]
            out_K[x, c] = K[x, c] + s + g0 * L[0, c] + g1 * L[1, c] + g2 * L[2, c]


@kernel
def _scatter_turned(
    K: Any, R: Any, nodes: Any, bmap: Any, first_row: int, last_row: int, block: Any, work: Any, out_data: Any
) -> None:
    """Add R K_ab R^T to the blocks (a, b) of one element; exactly symmetric."""
    m = nodes.shape[0]
    for a in range(m):
        for b in range(a, m):
            own_a = nodes[a] >= first_row and nodes[a] < last_row
            own_b = nodes[b] >= first_row and nodes[b] < last_row
            if not (own_a or own_b):
                continue
            for i in range(3):
                for k in range(3):
                    s = 0.0
                    for j in range(3):
                        s += R[i, j] * K[j * m + a, k * m + b]
                    work[i, k] = s
            for i in range(3):
                for k in range(3):
                    block[i, k] = work[i, 0] * R[k, 0] + work[i, 1] * R[k, 1] + work[i, 2] * R[k, 2]
            if own_a:
                target = out_data[bmap[a, b]]
                for i in range(3):
                    for k in range(3):
                        target[i, k] += block[i, k] if a != b or i <= k else block[k, i]
            if own_b and a != b:
                target = out_data[bmap[b, a]]
                for i in range(3):
                    for k in range(3):
                        target[i, k] += block[k, i]


@kernel
def corotational_frames(points: Any, conn: Any, u: Any, dN0: Any, elements: Any, out_R: Any, out_d: Any) -> Any:
    """Rotation R (t, 3, 3) and nodal displacements d in the frame (t, m, 3) [mm] of `elements`.

    return  0, or 1 + id of the first element inside out at its centre
    """
    m = conn.shape[1]
    X, U = np.empty((m, 3)), np.empty((m, 3))
    work, stretch = np.empty((2, 3, 3)), np.empty((3, 3))
    g, y, d = np.empty((3, m)), np.empty((3, m)), np.empty((3, m))
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
                U[a, i] = u[conn[e, a], i]
        if element_frame(X, U, dN0, work, out_R[t], stretch, g, y, d) != 0:
            return 1 + e
        for a in range(m):
            for i in range(3):
                out_d[t, a, i] = d[i, a]
    return 0


@kernel
def linear_stiffness(
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
    out_K: Any,
) -> Any:
    """Stiffness out_K (t, 3 m, 3 m) [N/mm] of the linear `elements`, dofs component first, i m + a.

    Arguments as in `kernels_solid.assemble_solids`.
    return  0, or 1 + id of the first element with a Jacobian that is not positive
    """
    m = conn.shape[1]
    X = np.empty((m, 3))
    work = stiffness_work(m, w.shape[0], bubble.shape[1])
    for t in range(elements.shape[0]):
        e, law = elements[t], d_id[elements[t]]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
        status = element_stiffness(
            X, C[law], Q[law], kappa[law], scale[e], dN, w, dN0, bubble, formulation, work, out_K[t]
        )  # fmt: skip
        if status != 0:
            return 1 + e
    return 0


@kernel
def assemble_corotational(
    points: Any,
    conn: Any,
    u: Any,
    dN0: Any,
    K: Any,
    tangent: int,
    elements: Any,
    first_row: int,
    last_row: int,
    bmap: Any,
    out_data: Any,
    out_force: Any,
) -> Any:
    """Add internal forces and, with tangent = 1, tangents of `elements` to the rows [first_row, last_row).

    points, u (n, 3) [mm]; conn (e, m); dN0 (3, m) reference gradients at the centre; K (t, 3 m, 3 m) [N/mm] from
    `linear_stiffness`; elements (t,) ids; bmap (e, m, m) block numbers; out_data (nb, 3, 3) [N/mm]; out_force
    (blocks, 3) [N].
    return  0, or 1 + id of the first element that is inside out at its centre
    """
    m = conn.shape[1]
    n = 3 * m
    X, U, work, Kt = np.empty((m, 3)), np.empty((m, 3)), np.empty((2, 3, 3)), np.empty((n, n))
    R, stretch, H, Hi = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    g, y, d, f, p = np.empty((3, m)), np.empty((3, m)), np.empty((3, m)), np.empty((3, m)), np.empty((3, m))
    Gamma, L, Y, A, mu = np.empty((3, n)), np.empty((3, n)), np.empty((n, 3)), np.empty((n, 3)), np.empty(3)
    for t in range(elements.shape[0]):
        e = elements[t]
        for a in range(m):
            for i in range(3):
                X[a, i] = points[conn[e, a], i]
                U[a, i] = u[conn[e, a], i]
        if element_frame(X, U, dN0, work, R, stretch, g, y, d) != 0 or _spin(g, stretch, H, Hi, Gamma) != 0:
            return 1 + e
        frame_force(K[t], d, y, Gamma, Hi, f, mu, p)
        for a in range(m):
            node = conn[e, a]
            if node >= first_row and node < last_row:
                for i in range(3):
                    out_force[node, i] += R[i, 0] * p[0, a] + R[i, 1] * p[1, a] + R[i, 2] * p[2, a]
        if tangent == 1:
            _load_terms(f, y, g, mu, stretch, Gamma, H, Y, L)
            frame_tangent(K[t], Gamma, L, y, p, Y, A, H, Kt)
            _scatter_turned(Kt, R, conn[e], bmap[e], first_row, last_row, stretch, work[0], out_data)
    return 0
