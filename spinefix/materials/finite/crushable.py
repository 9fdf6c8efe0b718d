"""Crushable, softening bone: finite-strain plasticity with an ellipsoid as yield surface, closed under pressure.

Multiplicative split F = Fe Fp, Hencky elasticity of Fe. With the Kirchhoff stress, its mean p and von Mises
equivalent q, the plastic volume strain e = ln det Fp and the back pressure chi(e), the material yields at
``sqrt(a q^2 + b P^2) + c P = R(kappa)``, ``P = p - chi``. The constants a, b, c follow from three strengths: uniaxial
tension, uniaxial compression, hydrostatic compression (the last must exceed a third of the uniaxial one). The surface
is scaled by the compressive strength, so that kappa is the plastic strain of a bar in compression. Flow is associative.

- ``R = s (r + (1 - r) exp(-kappa / k)) + H kappa``: softening from the strength s to the part r of it with the strain
  scale k, and linear hardening H. k = 0 or r = 1 means none.
- ``chi = -D (<-e> / d)^3``, zero where volume has grown: pores that close carry load again. D is the back pressure at
  the plastic compaction d (logarithmic; near -ln of the solid fraction).

All of it derives from one potential per increment, ``psi(strain - plastic) + int R dkappa - int chi de``, with
``dkappa = -c x / d + sqrt(b / d) sqrt(x^2 / d + y^2 / a)``, ``d = b - c^2``, for plastic increments x of volume and y
of shape: stress and tangent are its derivatives, so energy balances to round-off. psi is
K/2 (ln J_e)^2 + mu dev : dev. W is elastic energy plus plastic work plus energy of compaction. The state is the inverse
plastic right Cauchy-Green tensor (6), kappa and e.

**Softening has no length.** Strain gathers in one layer of elements and the work to break falls with their size: an
answer beyond the peak belongs to the mesh. Choose k by `softening_strain` so that at least the work per area of that
layer stays, state the element size, and repeat on a second mesh. Loads before the peak do not suffer. There is no
stiffness loss by damage and no viscosity.

Strength of vertebral trabecular bone in compression: 37.4 rho^1.39 MPa with the QCT density rho in g/cm^3, beside
E = 2980 rho^1.05 MPa (Kopperdahl DL, Morgan EF, Keaveny TM 2002, J Orthop Res 20:801-805, as coded in Bonelab's Ogo);
the ratio is a yield strain near 0.9 % at rho = 0.15. From memory, to be checked before use: tensile over compressive
strength of trabecular bone near 0.7; hydrostatic strength has hardly been measured.

Sources: quadric yield surfaces of bone, Schwiedrzik JJ, Wolfram U, Zysset PK (2013), Biomech Model Mechanobiol 12 (from
memory); ellipsoid of foams, Deshpande VS, Fleck NA (2000), J Mech Phys Solids 48:1253-1283 (from memory). The return in
principal logarithmic strains as in `plastic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MaterialError
from spinefix.jit import kernel
from spinefix.materials.finite.law import FiniteLaw, Value, lame, number
from spinefix.materials.finite.logarithmic import keep_plastic, log_trial, pull_back

NAME = "crushable"


def softening_strain(work_N_per_mm: float, strength_MPa: float, residual: float, size_mm: float) -> float:
    """Return the strain scale k [1] that spends a given work per area in one layer of elements.

    Crack-band regularisation (Bazant ZP, Oh BH 1983, Mater Struct 16:155-177): softening of a layer of height
    `size_mm` takes ``strength (1 - residual) k size`` per area.

    Raises
    ------
    MaterialError
        A number is not positive, or the residual not below 1.
    """
    if not (min(work_N_per_mm, strength_MPa, size_mm) > 0.0 and 0.0 <= residual < 1.0):
        raise MaterialError(f"{NAME}: work, strength and size must be positive and the residual part below 1")
    return work_N_per_mm / (strength_MPa * (1.0 - residual) * size_mm)


def row(parameters: Mapping[str, Value]) -> NDArray[np.float64]:
    """K, mu [MPa], a, b, c, s [MPa], r, k, H [MPa], D [MPa], d (11,).

    Raises
    ------
    MaterialError
        The strengths span no ellipsoid, or softening is steeper than elasticity.
    """
    lam, mu = lame(parameters, NAME)
    tension, compression, pressure = (
        number(parameters, f"yield_{n}_MPa", NAME, least=0.0) for n in ("tension", "compression", "hydrostatic")
    )
    residual, scale, hardening, densification = (
        number(parameters, n, NAME, least=0.0, strict=False)
        for n in ("residual", "softening_strain", "hardening_MPa", "densification_MPa")
    )
    strain = number(parameters, "densification_strain", NAME, least=0.0)
    if not 3.0 * pressure > compression:
        raise MaterialError(
            f"{NAME}: yield_hydrostatic_MPa must exceed a third of yield_compression_MPa, got {pressure:g} of "
            f"{compression:g}"
        )
    if residual > 1.0:
        raise MaterialError(f"{NAME}: residual must not exceed 1, got {residual:g}")
    E = number(parameters, "E_MPa", NAME)
    if scale == 0.0:
        residual, scale = 1.0, 1.0
    if compression * (1.0 - residual) / scale >= 0.5 * E:
        raise MaterialError(
            f"{NAME}: softening_strain {scale:g} drops the stress faster than the elements can unload; it must exceed "
            f"{2.0 * compression * (1.0 - residual) / E:.3g}"
        )
    mean, skew = 0.5 * (1.0 / tension + 1.0 / compression), 0.5 * (1.0 / tension - 1.0 / compression)
    c = 3.0 * skew
    b = (1.0 / pressure + c) ** 2
    a = mean**2 - b / 9.0
    if not (a > 0.0 and b > c * c):
        raise MaterialError(f"{NAME}: the three strengths span no ellipsoid")
    s = compression
    return np.array(
        [lam + 2.0 / 3.0 * mu, mu, a * s * s, b * s * s, c * s, s, residual, scale, hardening, densification, strain]
    )


@kernel
def _resistance(kappa: float, p: Any) -> Any:
    """Integral of R, R and its slope [MPa] at kappa."""
    s, r, k, H = p[5], p[6], p[7], p[8]
    decay = np.exp(-kappa / k)
    work = s * (r * kappa + (1.0 - r) * k * (1.0 - decay)) + 0.5 * H * kappa * kappa
    return work, s * (r + (1.0 - r) * decay) + H * kappa, H - s * (1.0 - r) * decay / k


@kernel
def _compaction(e: float, p: Any) -> Any:
    """Energy of compaction, back pressure chi and its slope [MPa] at the plastic volume strain e."""
    if e >= 0.0:
        return 0.0, 0.0, 0.0
    D, d = p[9], p[10]
    x = -e / d
    return 0.25 * D * d * x * x * x * x, -D * x * x * x, 3.0 * D / d * x * x


@kernel
def _potential(x: float, y: float, theta: float, shape: float, kappa: float, e: float, p: Any) -> Any:
    """Potential of the increment (x, y) from elastic trial strains theta (volume) and shape (equivalent deviator)."""
    b, c = p[3], p[4]
    d = b - c * c
    step = -c * x / d + np.sqrt(b / d * (x * x / d + y * y / p[2]))
    volume, change = theta - x, shape - y
    elastic = 0.5 * p[0] * volume * volume + 1.5 * p[1] * change * change
    return elastic + _compaction(e + x, p)[0] + _resistance(kappa + step, p)[0]


@kernel
def _return(theta: float, shape: float, kappa: float, e: float, p: Any, out: Any) -> Any:
    """Least potential over plastic increments; out: x, y, step of kappa, stiffness pp, pq, qq of (p, q).

    Newton's method with halved steps from the linear estimate along the normal at the trial stress.
    return  0, or 1 where it does not converge
    """
    K, G, a, b, c = p[0], 3.0 * p[1], p[2], p[3], p[4]
    d = b - c * c
    q, P = G * shape, K * theta - _compaction(e, p)[1]
    _, R, slope = _resistance(kappa, p)
    size = np.sqrt(a * q * q + b * P * P)
    fp, fq = b * P / size + c, a * q / size
    start = (size + c * P - R) / (K * fp * fp + G * fq * fq + max(slope, 0.0))
    x, y = start * fp, start * fq
    least = _potential(x, y, theta, shape, kappa, e, p)
    still = False
    for _ in range(100):
        root = np.sqrt(x * x / d + y * y / a)
        f = np.sqrt(b / d)
        nx, ny = -c / d + f * x / (d * root), f * y / (a * root)
        step = -c * x / d + f * root
        _, R, slope = _resistance(kappa + step, p)
        _, dPhi, ddPhi = _compaction(e + x, p)
        gx = -K * (theta - x) + dPhi + R * nx
        gy = -G * (shape - y) + R * ny
        bend = R * f / (root * root * root * a * d)
        xx = K + ddPhi + slope * nx * nx + bend * y * y
        yy = G + slope * ny * ny + bend * x * x
        xy = slope * nx * ny - bend * x * y
        det = xx * yy - xy * xy
        if not (det > 0.0 and xx > 0.0):
            return 1
        if abs(gx) + abs(gy) <= 1e-13 * (abs(K * theta) + abs(G * shape) + R) or still:
            out[0], out[1], out[2] = x, y, step
            out[3], out[4], out[5] = K - K * yy / det * K, K * xy / det * G, G - G * xx / det * G
            return 0
        dx, dy = -(yy * gx - xy * gy) / det, -(xx * gy - xy * gx) / det
        length = 1.0
        for _ in range(40):
            u, v = x + length * dx, y + length * dy
            if u != 0.0 or v != 0.0:
                value = _potential(u, v, theta, shape, kappa, e, p)
                if value <= least + 1e-13 * abs(least) and v >= 0.0:
                    break
            length *= 0.5
        still = abs(u - x) + abs(v - y) <= 1e-15 * (abs(u) + abs(v))
        x, y, least = u, v, value
    return 1


@kernel
def update(
    F: Any,
    rows: Any,
    params: Any,
    axes: Any,
    state_old: Any,
    tangent: int,
    out_W: Any,
    out_S: Any,
    out_C: Any,
    out_state: Any,
) -> Any:
    """See `FiniteLaw.update`; params as in `row`; state: inverse plastic right Cauchy-Green tensor (6), kappa, e."""
    b, tau, out = np.empty(6), np.empty(6), np.empty(6)
    Fi, work, axis, stiff = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    strain, e, beta = np.empty(3), np.empty(3), np.empty(3)
    c, X = np.empty((6, 6)), np.empty((6, 6))
    for n in range(F.shape[0]):
        old, new, p = state_old[n], out_state[n], params[rows[n]]
        status, theta, norm = log_trial(F[n], old, Fi, b, work, strain, axis, e)
        if status != 0:
            return 1 + n
        K, mu, kappa, volume = p[0], p[1], old[6], old[7]
        shape = np.sqrt(2.0 / 3.0) * norm
        for i in range(8):
            new[i] = old[i]
        q, P = 3.0 * mu * shape, K * theta - _compaction(volume, p)[1]
        out[0], out[1], out[2], out[3], out[4], out[5] = 0.0, 0.0, 0.0, K, 0.0, 3.0 * mu
        if np.sqrt(p[2] * q * q + p[3] * P * P) + p[4] * P > _resistance(kappa, p)[1]:
            if _return(theta, shape, kappa, volume, p, out) != 0:
                return 1 + n
            new[6], new[7] = kappa + out[2], volume + out[0]
            keep = (shape - out[1]) / shape if shape > 0.0 else 1.0
            keep_plastic(keep, (theta - out[0]) / 3.0, e, axis, Fi, beta, b, new)
        x, y = out[0], out[1]
        out_W[n] = (
            _potential(x, y, theta, shape, kappa, volume, p)
            if x != 0.0 or y != 0.0
            else (
                0.5 * K * theta * theta
                + 1.5 * mu * shape * shape
                + _compaction(volume, p)[0]
                + _resistance(kappa, p)[0]
            )
        )
        # p and q depend on theta and shape; principal stresses are p + 2/3 q e_A / shape.
        pp, pq, qq = out[3], out[4], out[5]
        mean = K * (theta - x)
        shear = mu * (shape - y) / shape if shape > 0.0 else qq / 3.0
        cross = 2.0 / 3.0 * pq / shape if shape > 0.0 else 0.0
        rank = (4.0 / 9.0 * qq - 4.0 / 3.0 * shear) / (shape * shape) if shape > 0.0 else 0.0
        for A in range(3):
            beta[A] = mean + 2.0 * shear * e[A]
            for B in range(3):
                stiff[A, B] = (
                    pp - 2.0 / 3.0 * shear + (2.0 * shear if A == B else 0.0)
                    + cross * (e[A] + e[B]) + rank * e[A] * e[B]
                )  # fmt: skip
        pull_back(beta, stiff, shear, strain, axis, Fi, tangent, tau, c, X, out_S[n], out_C[n])
    return 0


LAW = FiniteLaw(
    11,
    NAME,
    (
        "E_MPa",
        "nu",
        "yield_tension_MPa",
        "yield_compression_MPa",
        "yield_hydrostatic_MPa",
        "hardening_MPa",
        "residual",
        "softening_strain",
        "densification_MPa",
        "densification_strain",
    ),
    row,
    update,
    virgin=(1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    optional=(
        ("hardening_MPa", 0.0),
        ("residual", 1.0),
        ("softening_strain", 0.0),
        ("densification_MPa", 0.0),
        ("densification_strain", 1.0),
    ),
    formulation="enhanced",
)
