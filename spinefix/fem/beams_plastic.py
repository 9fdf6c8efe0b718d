"""Yield of round bars: fibre sections of a Timoshenko beam in its co-rotated frame.

Each section is made of fibres that carry axial stress sigma and torsional shear tau and yield by von Mises,
``sqrt(sigma^2 + 3 tau^2) = yield + hardening p``, with associative flow and isotropic hardening. So axial force, both
bending moments and torque share one strength: a section of perfect plasticity carries ``d^3 / 6`` times the yield
stress in bending (1.70 times the moment of first yield) and ``pi d^3 / 12`` times yield over sqrt 3 in torsion.
Transverse shear stays elastic.

Along the element the curvature is linear, as in the elastic beam, and three amplitudes belong to the element alone: two
transverse shears, which make the elastic limit the exact Timoshenko beam, and a linear part of the axial strain, which
lets the neutral axis move where one end yields. They minimise the potential of the increment,
``int W dV + shear``, whose derivatives are force and tangent. Curvature gathers where a bar yields: give a bar that
shall form a hinge several elements.

Fibres sit at Gauss points of the squared radius and at even angles, which is exact for the elastic section; sections at
three Lobatto points, the ends among them, where bars yield first.

Source: the layout is that of displacement-based fibre elements, e.g. Spacone E, Filippou FC, Taucer FF (1996),
Earthquake Eng Struct Dyn 25:711-725 (from memory); the return of two stress components follows from the definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import ConvergenceError, MaterialError
from spinefix.fem.beams import BeamGroup

F64 = NDArray[np.float64]

N_RINGS, N_ANGLES = 8, 24
"""Fibres of a section: its moment is within 0.4 % of that of the circle at any curvature."""

SECTIONS, SECTION_WEIGHTS = np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 1.0]) / 6.0


@dataclass(frozen=True)
class Yielding:
    """Plasticity of all beams of a group.

    Parameters
    ----------
    yield_MPa : (b,) float64
        Yield stress; infinite where a bar stays elastic.
    hardening_MPa : (b,) float64
        Slope of the yield stress over the equivalent plastic strain.
    """

    yield_MPa: F64
    hardening_MPa: F64

    def __post_init__(self) -> None:
        ok = (self.yield_MPa > 0.0) & (self.hardening_MPa >= 0.0) & np.isfinite(self.hardening_MPa)
        if not ok.all():
            raise MaterialError(f"beam {int(np.argmin(ok))}: yield_MPa must be positive and hardening_MPa not negative")


@dataclass(frozen=True)
class Response:
    """What beams answer to their local deformations.

    Attributes
    ----------
    force : (b, 7) float64 [N, N mm]
        Conjugate to elongation and end rotations.
    stiffness : (b, 7, 7) float64
    state : (b, sections, fibres, 3) float64
        Plastic axial and shear strain, equivalent plastic strain.
    energy : (b,) float64 [N mm]
        Elastic energy plus plastic work.
    """

    force: F64
    stiffness: F64
    state: F64
    energy: F64


@dataclass(frozen=True)
class FibreBeams:
    """Round bars of fibres.

    Parameters
    ----------
    group : BeamGroup
        Solid round bars: Iy = Iz = J / 2 = A^2 / (4 pi).
    lengths : (b,) float64 [mm]
    yielding : Yielding

    Raises
    ------
    MaterialError
        A section is not a solid circle.
    """

    group: BeamGroup
    lengths: F64
    yielding: Yielding

    def __post_init__(self) -> None:
        g = self.group
        I = g.A**2 / (4.0 * np.pi)
        for value in (g.Iy, g.Iz, 0.5 * g.J):
            odd = np.abs(value - I) > 1e-6 * I
            if odd.any():
                raise MaterialError(f"beam element {int(g.cells[np.argmax(odd)])} yields but is no solid round bar")

    @cached_property
    def fibres(self) -> tuple[F64, F64, F64]:
        """Places y, z (b, f) [mm] and areas (b, f) [mm^2]."""
        point, weight = np.polynomial.legendre.leggauss(N_RINGS)
        r = np.sqrt(0.5 * (1.0 + point))
        angle = 2.0 * np.pi * (np.arange(N_ANGLES) + 0.5) / N_ANGLES
        radius = np.sqrt(self.group.A / np.pi)[:, None]
        y, z = ((r[:, None] * f(angle)).ravel() * radius for f in (np.cos, np.sin))
        return y, z, self.group.A[:, None] * np.repeat(0.5 * weight / N_ANGLES, N_ANGLES)

    def virgin(self) -> F64:
        """Return the state of unloaded bars."""
        return np.zeros((len(self.group), len(SECTIONS), N_RINGS * N_ANGLES, 3))

    @cached_property
    def _operator(self) -> F64:
        """Axial and shear strain of each fibre (b, sections, f, 2, 10) by the local deformation (7) and amplitudes (3).

        Amplitudes: shear along y, along z [rad], linear part of the axial strain at the ends [1].
        """
        y, z, _ = self.fibres
        L = self.lengths[:, None]
        out = np.zeros((len(L), len(SECTIONS), y.shape[1], 2, 10))
        for i, s in enumerate(SECTIONS):
            first, last = (6.0 * s - 4.0) / L, (6.0 * s - 2.0) / L
            axial = out[:, i, :, 0]
            axial[..., 0], axial[..., 9] = 1.0 / L, 1.0 - 2.0 * s
            # A turn about z moves fibres at positive y backwards, one about y those at positive z forwards.
            axial[..., 3], axial[..., 6], axial[..., 7] = -y * first, -y * last, -y * (first + last)
            axial[..., 2], axial[..., 5], axial[..., 8] = z * first, z * last, z * (first + last)
            shear = out[:, i, :, 1]
            shear[..., 1], shear[..., 4] = -np.hypot(y, z) / L, np.hypot(y, z) / L
        return out

    @cached_property
    def _elastic(self) -> F64:
        """Stiffness of the amplitudes by transverse shear, diagonal (b, 3)."""
        g = self.group
        shear = np.stack([g.ky, g.kz], axis=1) * (g.G * g.A * self.lengths)[:, None]
        return np.concatenate([shear, np.zeros((len(g), 1))], axis=1)

    def respond(self, deformation: F64, state: F64) -> Response:
        """Return forces, tangents and new state at local deformations (b, 7) after the state at the last increment.

        Raises
        ------
        ConvergenceError
            The amplitudes of a bar do not settle.
        """
        b = len(deformation)
        B, areas = self._operator, self.fibres[2]
        volume = self.lengths[:, None, None] * SECTION_WEIGHTS[None, :, None] * areas[:, None, :]
        d = np.concatenate([deformation, np.zeros((b, 3))], axis=1)
        shear = self._elastic
        scale = (self.group.E * self.group.A * self.lengths)[:, None]
        before = d.copy()
        least, step = np.full(b, np.inf), np.zeros((b, 3))
        for _ in range(60):
            energy, stress, tangent, new = self._fibres(np.einsum("bsfij,bj->bsfi", B, d), state)
            total = np.einsum("bsf,bsf->b", volume, energy) + 0.5 * np.einsum("bi,bi->b", shear, d[:, 7:] ** 2)
            force = np.einsum("bsf,bsfij,bsfi->bj", volume, B, stress)
            force[:, 7:] += shear * d[:, 7:]
            K = np.einsum("bsf,bsfij,bsfik,bsfkl->bjl", volume, B, tangent, B, optimize=True)
            K[:, [7, 8, 9], [7, 8, 9]] += shear + 1e-12 * scale
            worse = (total > least + 1e-12 * np.abs(total)) & (np.abs(step).max(axis=1) > 1e-12)
            step[worse] *= 0.5
            least[~worse], before[~worse] = total[~worse], d[~worse]
            inner = K[:, 7:, 7:]
            found = -np.linalg.solve(inner, force[:, 7:, None])[..., 0]
            settled = (np.abs(force[:, 7:]) <= 1e-11 * scale * self._strain_scale(d)).all(axis=1)
            if settled.all():
                solved = np.linalg.solve(inner, K[:, 7:, :7])
                condensed = K[:, :7, :7] - K[:, :7, 7:] @ solved
                first_order = force[:, :7] - np.einsum("bij,bi->bj", solved, force[:, 7:])
                return Response(first_order, 0.5 * (condensed + condensed.transpose(0, 2, 1)), new, total)
            step[~worse] = np.where(settled[:, None], 0.0, found)[~worse]
            d[:, 7:] = before[:, 7:] + step
        i = int(np.argmin(settled))
        raise ConvergenceError(f"beam element {int(self.group.cells[i])}: its sections find no balance")

    def _strain_scale(self, d: F64) -> F64:
        """Largest generalised strain (b, 1) of each bar, for tolerances."""
        size = np.abs(np.concatenate([d[:, :1] / self.lengths[:, None], d[:, 1:]], axis=1)).max(axis=1, keepdims=True)
        return np.asarray(np.maximum(size, 1e-30))

    def _fibres(self, strain: F64, old: F64) -> tuple[F64, F64, F64, F64]:
        """Energy (...), stress (..., 2), tangent (..., 2, 2) and new state of fibres with strains (..., 2)."""
        shape = (-1, 1, 1)
        E, G = self.group.E.reshape(shape), self.group.G.reshape(shape)
        yields, H = self.yielding.yield_MPa.reshape(shape), self.yielding.hardening_MPa.reshape(shape)
        limit = np.where(np.isfinite(yields), yields, 0.0)
        hard = limit + H * old[..., 2]
        trial = np.stack([E * (strain[..., 0] - old[..., 0]), G * (strain[..., 1] - old[..., 1])], axis=-1)
        over = np.isfinite(yields) & (np.sqrt(trial[..., 0] ** 2 + 3.0 * trial[..., 1] ** 2) > hard)
        step = _plastic_step(trial, hard, E, 3.0 * G, H, over)
        now = np.where(over, hard + H * step, 1.0)
        m = np.where(over, step / now, 0.0)
        stress = trial / np.stack([1.0 + m * E, 1.0 + 3.0 * m * G], axis=-1)
        new = np.array(old)
        new[..., 0] += m * stress[..., 0]
        new[..., 1] += 3.0 * m * stress[..., 1]
        new[..., 2] += step
        A = np.stack([E / (1.0 + m * E), G / (1.0 + 3.0 * m * G)], axis=-1)
        n = np.stack([stress[..., 0], 3.0 * stress[..., 1]], axis=-1) / now[..., None]
        An = A * n
        keep = 1.0 - H * m
        drop = np.where(over, keep / np.where(over, H + keep * (n * An).sum(axis=-1), 1.0), 0.0)
        tangent = -drop[..., None, None] * An[..., :, None] * An[..., None, :]
        tangent[..., 0, 0] += A[..., 0]
        tangent[..., 1, 1] += A[..., 1]
        p = new[..., 2]
        elastic = 0.5 * (stress[..., 0] ** 2 / E + stress[..., 1] ** 2 / G)
        return elastic + p * (limit + 0.5 * H * p), stress, tangent, new


def _plastic_step(trial: F64, limit: F64, E: F64, shear: F64, H: F64, over: NDArray[np.bool_]) -> F64:
    """Increment of equivalent plastic strain that brings trial stresses (..., 2) back; 0 where not `over`.

    Newton's method on sqrt(sigma^2 + 3 tau^2) - limit - H step, which falls and is convex in the step: from zero it
    climbs to the root without overshooting.
    """
    x, y = trial[..., 0] ** 2, 3.0 * trial[..., 1] ** 2
    step = np.zeros_like(x)
    limit = np.where(over, limit, 1.0)
    for _ in range(100):
        now = limit + H * step
        m = step / now
        a, b = 1.0 / (1.0 + m * E), 1.0 / (1.0 + m * shear)
        value = np.sqrt(x * a * a + y * b * b)
        rest = np.where(over, value - now, 0.0)
        if (np.abs(rest) <= 1e-14 * value).all():
            break
        slope = (x * a**3 * E + y * b**3 * shear) / np.where(value > 0.0, value, 1.0) * limit / (now * now)
        step += rest / np.where(over, slope + H, 1.0)
    return step
