"""Thick-walled tubes under inner pressure: linear, neo-Hookean and fibre-reinforced."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.integrate import quad

from spinefix.fem import newton, recover
from spinefix.fem.finite import FiniteGroup
from spinefix.mesh.core import F64, Bool
from spinefix.verification.bodies import body_problem, finite_group
from spinefix.verification.ladder import Row, rung
from spinefix.verification.meshes import face_load, quarter_ring
from spinefix.verification.small import isotropic, small_group, solve_linear, stiffness

INNER, OUTER = 10.0, 20.0


@rung("Thick tube, linear", "Lame; Timoshenko SP, Goodier JN (1970), Theory of Elasticity, 3rd ed., section 28")
def tube_linear() -> Iterator[Row]:
    """Plane strain, a quarter: displacement of the bore and hoop stress beside it, nu = 0.3 and 0.4999."""
    E, pressure = 1000.0, 3.0
    cases = (
        ("hex8", "incompatible", 0.3, (8, 16, 1), 0.003),
        ("hex8", "bbar", 0.3, (8, 16, 1), 0.003),
        ("hex8", "bbar", 0.4999, (8, 16, 1), 0.003),
        ("hex20", "standard", 0.3, (4, 6, 1), 2e-4),
        ("hex20", "bbar", 0.4999, (4, 6, 1), 1e-4),
    )
    for kind, formulation, nu, divisions, tolerance in cases:
        points, conn, radius = quarter_ring(kind, INNER, OUTER, divisions)
        bore = radius < INNER + 1e-9

        def push(x: F64) -> F64:
            radial = x * [1, 1, 0]
            return np.asarray(pressure * radial / np.linalg.norm(radial, axis=-1, keepdims=True))

        load = face_load(points, conn, kind, bore, push)
        group = small_group(kind, formulation, conn, isotropic(E, nu))
        u = solve_linear(stiffness(points, group), _symmetry(points), np.zeros_like(points), load)
        a2, b2 = INNER**2, OUTER**2
        factor = pressure * a2 / (b2 - a2)
        exact = (1 + nu) / E * factor * ((1 - 2 * nu) * INNER + b2 / INNER)
        name = f"{kind} {formulation}, nu {nu:g}"
        yield Row(f"displacement of the bore, {name}", exact, float(np.hypot(*u[bore, :2].T).mean()), tolerance)
        stress, volume = recover.stress(points, group, u), recover.volumes(points, group)
        width = (OUTER - INNER) / divisions[0]
        ring = radius[conn].max(axis=1) < INNER + 1.01 * width
        ours = (recover.principal(stress)[ring, :, 0] * volume[ring]).sum() / volume[ring].sum()
        half_area = ((INNER + width) ** 2 - a2) / 2
        hoop = factor * (1 + b2 * np.log1p(width / INNER) / half_area)
        yield Row(f"mean hoop stress beside the bore, {name}", hoop, float(ours), tolerance)


def _symmetry(points: F64) -> Bool:
    """Planes x = 0 and y = 0 of a quarter in plane strain."""
    fixed = points < 1e-9
    fixed[:, 2] = True
    return np.asarray(fixed)


def _pressures(
    points: F64, group: FiniteGroup, radius: F64, bores: tuple[float, ...], axial: float = 1.0
) -> Iterator[float]:
    """Inner pressures [MPa] that hold the bore at each radius; the height is stretched by `axial` from the start."""
    wall = radius < radius.min() + 1e-9
    height = points[:, 2].max()
    fixed = _symmetry(points)
    fixed[wall, :2] = True
    values = np.zeros((len(bores), *points.shape))
    values[:, :, 2] = (axial - 1.0) * points[:, 2]
    for value, a in zip(values, bores, strict=True):
        value[wall, :2] = (a / radius.min() - 1.0) * points[wall, :2]
    problem = body_problem(points, [group], fixed, values=values)
    path = newton.solve(problem, [k + 1.0 for k in range(len(bores))], newton.Control(first=0.1))
    direction = points[wall, :2] / radius[wall, None]
    for a, found in zip(bores, path.increments, strict=True):
        # Supports at the two planes of symmetry carry tangential forces; radial ones are those of the pressure.
        force = (found.reactions[: len(points)][wall, :2] * direction).sum()
        yield force / (np.pi / 2 * a * axial * height)


def _incompressible(a: float, A: float, B: float, axial: float, difference: Callable[[float], float]) -> float:
    """Inner pressure of an incompressible tube: int (s_tt - s_rr) / r dr, `difference` a function of hoop stretch."""

    def slope(r: float) -> float:
        return difference(r / np.sqrt(A**2 + axial * (r**2 - a**2))) / r

    b = np.sqrt(a**2 + (B**2 - A**2) / axial)
    return float(quad(slope, a, b, epsabs=1e-12, epsrel=1e-12)[0])


@rung(
    "Inflation of a neo-Hookean tube",
    "radial equilibrium of an incompressible tube; Holzapfel GA (2000), Nonlinear solid mechanics, Wiley, chapter 6",
)
def tube_neo_hookean() -> Iterator[Row]:
    """Bore widened to 1.5 and twice its radius in plane strain; K / mu = 2e4, so that the error of K is below 1e-3."""
    mu = 2.0
    bores = (15.0, 20.0)
    exact = [_incompressible(a, INNER, OUTER, 1.0, lambda s: mu * (s**2 - s**-2)) for a in bores]
    for a, pressure in zip(bores, exact, strict=True):  # the quadrature against the closed form of plane strain
        b = np.sqrt(a**2 + OUTER**2 - INNER**2)
        closed = mu * (np.log(a * OUTER / (b * INNER)) + 0.5 * ((OUTER / b) ** 2 - (INNER / a) ** 2))
        yield Row(f"closed form and quadrature, bore {a:g} mm", closed, pressure, 1e-10)
    for kind, formulation, divisions, tolerance in (
        ("hex8", "mean_dilatation", (8, 12, 1), 0.003),
        ("hex20", "mean_dilatation", (4, 6, 1), 0.002),
    ):
        points, conn, radius = quarter_ring(kind, INNER, OUTER, divisions)
        group = finite_group(kind, formulation, conn, "neo_hookean", {"mu_MPa": mu, "K_MPa": 2e4 * mu})
        for a, ours, reference in zip(bores, _pressures(points, group, radius, bores), exact, strict=True):
            yield Row(f"pressure, bore {a:g} mm, {kind} {formulation}", reference, ours, tolerance)


@rung(
    "Inflation of a fibre-reinforced tube",
    "radial equilibrium, stress of Gasser TC, Ogden RW, Holzapfel GA (2006), J R Soc Interface 3:15-35, by hand",
)
def tube_fibres() -> Iterator[Row]:
    """Two families of dispersed fibres at 30 degrees to the hoop, axial stretch 1.1, bore widened by 15 and 30 %."""
    C10, k1, k2, kappa, angle, axial = 0.5, 2.0, 1.5, 0.1, np.deg2rad(30.0), 1.1

    def difference(hoop: float) -> float:
        """s_tt - s_rr: pressure cancels; r, t, z are principal directions because the families mirror each other."""
        r2, t2, z2 = 1.0 / (hoop * axial) ** 2, hoop**2, axial**2
        along = np.cos(angle) ** 2 * t2 + np.sin(angle) ** 2 * z2
        strain = kappa * (r2 + t2 + z2) + (1 - 3 * kappa) * along - 1.0
        stiff = 2 * k1 * strain * np.exp(k2 * strain**2) if strain > 0.0 else 0.0
        fibres = 2 * stiff * (kappa * (t2 - r2) + (1 - 3 * kappa) * np.cos(angle) ** 2 * t2)
        return float(2 * C10 * (t2 - r2) + fibres)

    bores = (11.5, 13.0)
    exact = [_incompressible(a, INNER, OUTER, axial, difference) for a in bores]
    parameters = {"C10_MPa": C10, "K_MPa": 2000.0, "k1_MPa": k1, "k2": k2, "kappa": kappa}
    for kind, formulation, divisions, tolerance in (
        ("hex8", "mean_dilatation", (12, 24, 1), 0.004),
        ("hex20", "standard", (4, 18, 1), 0.004),
    ):
        points, conn, radius = quarter_ring(kind, INNER, OUTER, divisions)
        centre = points[conn].mean(axis=1)
        around = np.column_stack([-centre[:, 1], centre[:, 0], 0 * centre[:, 0]])
        around /= np.linalg.norm(around, axis=1, keepdims=True)
        up = np.sin(angle) * np.array([0.0, 0.0, 1.0])
        axes = np.stack([np.cos(angle) * around + up, np.cos(angle) * around - up], axis=1)
        group = finite_group(kind, formulation, conn, "holzapfel_gasser_ogden", parameters, axes=axes)
        for a, ours, reference in zip(bores, _pressures(points, group, radius, bores, axial), exact, strict=True):
            yield Row(f"pressure, bore {a:g} mm, {kind} {formulation}", reference, ours, tolerance)
