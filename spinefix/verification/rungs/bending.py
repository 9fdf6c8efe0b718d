"""Beams and slender solids: large rotation, twisted and curved beams."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import brentq
from scipy.special import ellipe, ellipeinc, ellipk, ellipkinc

from spinefix.analysis import nonlinear
from spinefix.fem import newton, recover
from spinefix.fem.assembly import assemble
from spinefix.mesh.core import F64, I32, Bool
from spinefix.mesh.elements import ELEMENTS
from spinefix.model.core import LoadCase
from spinefix.verification.bodies import Bar, beams, body_problem, cantilever, chain, finite_group
from spinefix.verification.ladder import Row, convergence, largest, rung
from spinefix.verification.meshes import face_load, interpolated, solid_box
from spinefix.verification.models import column, linear
from spinefix.verification.samples import rotation
from spinefix.verification.small import isotropic, small_group, solve_linear, stiffness

SLENDER = Bar(E=12.0e4, nu=0.0, A=1.0, Iy=1 / 12.0e4, Iz=1 / 12.0e4, J=2 / 12.0e4, k=1.0)
"""EI = 1 for a length of 1, EA and GA so large that the beam is as good as inextensible."""


def _uniform(traction: F64) -> Callable[[F64], F64]:
    """The same traction everywhere."""
    return lambda x: np.broadcast_to(traction, x.shape)


@rung("Linear cantilever beam", "Timoshenko beam theory")
def beam_linear() -> Iterator[Row]:
    """One stubby beam in an oblique direction under every load of its tip; shear is a quarter of the deflection."""
    bar = Bar(E=110e3, nu=0.31, A=20.0, Iy=60.0, Iz=25.0, J=70.0, k=0.85)
    L, P, axes = 12.0, 100.0, rotation(4).T
    shear = P * L / (bar.k * bar.G * bar.A)
    y, z = P * L**3 / 3 / bar.E / bar.Iz + shear, P * L**3 / 3 / bar.E / bar.Iy + shear
    turn_y, turn_z = P * L**2 / 2 / bar.E / bar.Iy, P * L**2 / 2 / bar.E / bar.Iz
    exact = {
        "stretched": ([P, 0, 0, 0, 0, 0], [P * L / bar.E / bar.A, 0, 0, 0, 0, 0]),
        "force y": ([0, P, 0, 0, 0, 0], [0, y, 0, 0, 0, turn_z]),
        "force z": ([0, 0, P, 0, 0, 0], [0, 0, z, 0, -turn_y, 0]),
        "twisted": ([0, 0, 0, P, 0, 0], [0, 0, 0, P * L / bar.G / bar.J, 0, 0]),
        "moment y": ([0, 0, 0, 0, P, 0], [0, 0, -turn_y, 0, P * L / bar.E / bar.Iy, 0]),
        "moment z": ([0, 0, 0, 0, 0, P], [0, turn_z, 0, 0, 0, P * L / bar.E / bar.Iz]),
    }
    points = np.array([[0.0], [L]]) * axes[0]
    item = beams(points, chain(2), bar, orientation=axes[1].tolist())
    K = assemble(points, [], [item.group], np.arange(2, dtype=np.int32)).tocsr()
    fixed = np.repeat(np.array([[True], [False], [True], [False]]), 3, axis=1)
    for name, (load, motion) in exact.items():
        f = np.zeros((4, 3))
        f[1], f[3] = np.reshape(load, (2, 3)) @ axes
        u = solve_linear(K, fixed, np.zeros((4, 3)), f)
        ours = u[[1, 3]] @ axes.T
        yield largest(f"tip, {name}", ours - np.reshape(motion, (2, 3)), 1e-10, np.abs(motion).max())


def elastica(load: float) -> tuple[float, float]:
    """Return the tip (along, across) of a unit cantilever, EI = 1, under a transverse dead load.

    With p = k sin(phi): sqrt(load) = K(p) - F(p, phi1), p^2 = (1 + sin theta) / 2, sin(phi1)^2 = 1 / (2 p^2).

    Source: Bisshopp KE, Drucker DC (1945), Large deflection of cantilever beams, Q Appl Math 3:272-275.
    """

    def length(m: float) -> float:
        return float(ellipk(m) - ellipkinc(np.arcsin(1.0 / np.sqrt(2.0 * m)), m) - np.sqrt(load))

    m = brentq(length, 0.5 + 1e-12, 1.0 - 1e-12, xtol=1e-15)
    phi = np.arcsin(1.0 / np.sqrt(2.0 * m))
    rise = 1.0 - 2.0 / np.sqrt(load) * (ellipe(m) - ellipeinc(phi, m))
    return float(np.sqrt(2.0 / load) * np.sqrt(2.0 * m - 1.0)), float(rise)


@rung("Elastica", "Bisshopp KE, Drucker DC (1945), Q Appl Math 3:272-275: elliptic integrals")
def elastica_force() -> Iterator[Row]:
    """A cantilever under a transverse dead load P L^2 / (E I) = 1, 4, 10; in solids of 24 thicknesses length."""
    points = np.linspace(0.0, 1.0, 41)[:, None] * np.array([1.0, 0.0, 0.0])
    for load in (1.0, 4.0, 10.0):
        problem = cantilever(points, SLENDER, force=(0.0, load, 0.0))
        tip = newton.solve(problem, [0.5, 1.0]).increments[-1].x.u[-1]
        along, across = elastica(load)
        yield Row(f"across, 40 beam2, load {load:g}", across, float(tip[1]), 5e-4, scale=1.0)
        yield Row(f"along, 40 beam2, load {load:g}", along, float(1.0 + tip[0]), 5e-4, scale=1.0)
    along, across = elastica(10.0)
    L, E, law, modulus = 24.0, 1.0e4, "saint_venant_kirchhoff", {"E_MPa": 1.0e4, "nu": 0.0}
    cases = (
        ("hex8", "corotational", (24, 1, 1), 4e-3),
        ("hex8", "enhanced", (24, 1, 1), 4e-3),
        ("hex20", "corotational", (12, 1, 1), 4e-3),
        ("hex20", "standard", (12, 1, 1), 4e-3),
        ("tet10", "standard", (24, 1, 1), 4e-3),
    )
    for kind, formulation, divisions, tolerance in cases:
        body, conn = solid_box(kind, (L, 1.0, 1.0), divisions)
        end = body[:, 0] > L - 1e-9
        traction = np.array([0.0, 0.0, 10.0 * E / 12.0 / L**2])
        push = face_load(body, conn, kind, end, _uniform(traction))
        fixed = np.repeat((body[:, 0] < 1e-9)[:, None], 3, axis=1)
        problem = body_problem(body, [finite_group(kind, formulation, conn, law, modulus)], fixed, load=push)
        u = newton.solve(problem, [0.5, 1.0], newton.Control(first=0.125)).increments[-1].x.u[end].mean(axis=0)
        name = f"{divisions[0]} {kind} {formulation}, load 10"
        yield Row(f"across, {name}", across, float(u[2] / L), tolerance, scale=1.0)
        yield Row(f"along, {name}", along, float(1.0 + u[0] / L), tolerance, scale=1.0)


@rung("Cantilever rolled into a circle", "arc of constant curvature M / (E I); polygon of its chords")
def elastica_moment() -> Iterator[Row]:
    """An end moment 2 pi E I / L: a full turn, in beams and in solids of 100 thicknesses length, nu = 0.

    A thicker solid would not be a beam: at 20 thicknesses the outer fibres stretch by 16 %, and the rotation of refined
    meshes exceeds that of the beam by 1.7 %.
    """
    n = 20
    points = np.linspace(0.0, 1.0, n + 1)[:, None] * np.array([1.0, 0.0, 0.0])
    found = newton.solve(cantilever(points, SLENDER, moment=(0.0, 0.0, 2 * np.pi)), [0.25, 0.5, 1.0]).increments[-1]
    yield Row("rotation of the tip, 20 beam2", 2 * np.pi, float(found.blocks[-1, 2]), 1e-9)
    yield largest("tip back at the clamp, 20 beam2", points[-1] + found.x.u[-1], 1e-6)
    yield Row("energy, 20 beam2", (2 * np.pi) ** 2 / 2, found.energy, 1e-8)
    errors = []
    for n in (20, 40):
        turn, gap = _rolled_column(n)
        errors.append(abs(turn / (2 * np.pi) - 1.0))
    yield Row("rotation of the tip, 40 hex8 corotational", 2 * np.pi, turn, 0.01)
    yield Row("tip back at the clamp, over length, 40 hex8 corotational", 0.0, gap, 0.01)
    yield convergence("order of the rotation, hex8 corotational", 2.0, errors, 0.1)


def _rolled_column(n: int) -> tuple[float, float]:
    """Rotation [rad] of the top of a column of n elements, and its distance from the foot over the height."""
    E, width, height = 1.0, 1.0, 100.0
    model, top = column([linear(E, 0.0)], width=width, height=height, divisions=(1, 1, n))
    case = LoadCase("roll", moments={top: np.array([0.0, 2 * np.pi * E * width**4 / 12 / height, 0.0])})
    solution = nonlinear.solve(model, [nonlinear.Step("roll", case, factors=(0.125, 0.25, 0.5, 1.0))])
    place = solution.displacement(top)[-1] + [0.0, 0.0, height]
    return float(solution.rotation(top)[-1, 1]), float(np.linalg.norm(place)) / height


@rung(
    "45-degree bend at large displacement",
    "Bathe KJ, Bolourchi S (1979), Int J Numer Methods Eng 14:961-986; Simo JC, Vu-Quoc L (1986), Comput Methods Appl "
    "Mech Eng 58:79-116 (figures from memory)",
)
def bend_45() -> Iterator[Row]:
    """Tip of an eighth of a circle of radius 100 under 600 out of its plane; published (15.79, 47.23, 53.37).

    With the torsion constant 1/6 of the publications, which is also that of a single element across the section.
    """
    angle = np.linspace(0.0, np.pi / 4, 33)
    points = 100.0 * np.stack([1 - np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    square = Bar(E=1e7, nu=0.0, A=1.0, Iy=1 / 12, Iz=1 / 12, J=1 / 6, k=5 / 6)
    problem = cantilever(points, square, force=(0.0, 0.0, 600.0), orientation=(0.0, 0.0, 1.0))
    path = newton.solve(problem, [0.5, 1.0])
    tips = {"32 beam2": points[-1] + path.increments[-1].x.u[-1]}
    body, conn = solid_box("hex20", (1.0, 1.0, 1.0), (1, 24, 1))
    turn, radius = body[:, 1] * np.pi / 4, 100.5 - body[:, 0]
    body = np.column_stack([100.0 - radius * np.cos(turn), radius * np.sin(turn), body[:, 2] - 0.5])
    end = turn > np.pi / 4 - 1e-9
    load = face_load(body, conn, "hex20", end, _uniform(np.array([0.0, 0.0, 600.0])))
    fixed = np.repeat((turn < 1e-9)[:, None], 3, axis=1)
    group = finite_group("hex20", "corotational", conn, "saint_venant_kirchhoff", {"E_MPa": 1e7, "nu": 0.0})
    found = newton.solve(body_problem(body, [group], fixed, load=load), [0.5, 1.0], newton.Control(first=0.125))
    middle = end & (np.abs(radius - 100.0) < 1e-6) & (np.abs(body[:, 2]) < 1.0)
    tips["24 hex20 corotational"] = (body + found.increments[-1].x.u)[middle].mean(axis=0)
    for name, tip in tips.items():
        for axis, published in zip("xyz", (15.79, 47.23, 53.37), strict=True):
            yield Row(f"tip {axis}, {name}", published, float(tip["xyz".index(axis)]), 0.003, scale=53.37)


MACNEAL = "MacNeal RH, Harder RL (1985), Finite Elem Anal Des 1:3-20 (figures from memory)"


def _tip_motion(
    points: F64, conn: I32, kind: str, formulation: str, E: float, nu: float, ends: tuple[Bool, Bool]
) -> F64:
    """Tip displacements (3,) in the direction of unit forces along x, y, z, spread over the end face."""
    root, end = ends
    fixed = np.repeat(root[:, None], 3, axis=1)
    K = stiffness(points, small_group(kind, formulation, conn, isotropic(E, nu)))
    out = np.zeros(3)
    for axis, direction in enumerate(np.eye(3)):
        load = face_load(points, conn, kind, end, _uniform(direction))
        load /= load.sum()
        u = solve_linear(K, fixed, np.zeros_like(points), load)
        out[axis] = (u * load).sum()
    return out


@rung("Twisted beam", MACNEAL)
def beam_twisted() -> Iterator[Row]:
    """Length 12, section 1.1 by 0.32, turned by 90 degrees on its way; unit loads of the tip in both directions."""
    for kind, formulation, divisions, tolerance in (
        ("hex8", "incompatible", (24, 4, 2), 0.01),
        ("hex20", "standard", (12, 2, 1), 0.01),
        ("tet10", "standard", (24, 2, 1), 0.015),
    ):
        points, conn = solid_box(kind, (12.0, 1.1, 0.32), divisions)
        x, y, z = points[:, 0], points[:, 1] - 0.55, points[:, 2] - 0.16
        turn = np.pi / 2 * x / 12.0
        c, s = np.cos(turn), np.sin(turn)
        points = np.column_stack([x, c * y - s * z, s * y + c * z])
        tip = _tip_motion(points, conn, kind, formulation, 29e6, 0.22, (x < 1e-9, x > 12.0 - 1e-9))
        for name, axis, exact in (("in plane", 2, 5.424e-3), ("out of plane", 1, 1.754e-3)):
            yield Row(f"tip, {name}, {kind} {formulation}", exact, float(tip[axis]), tolerance)


@rung("Curved beam", "Castigliano's theorem, thin curved beam; problem of MacNeal and Harder (1985)")
def beam_curved() -> Iterator[Row]:
    """A quarter of a circle, radii 4.12 to 4.32, thickness 0.1; unit loads of the tip in and out of plane.

    The published figures, 0.08734 and 0.5022, are 1.4 % below and 0.4 % above Castigliano's.
    """
    E, nu, R, wide, thick = 1e7, 0.25, 4.22, 0.2, 0.1
    G, A = E / 2 / (1 + nu), wide * thick
    J = wide * thick**3 * (1 / 3 - 0.21 * thick / wide * (1 - (thick / wide) ** 4 / 12))
    across, flat = E * thick * wide**3 / 12, E * wide * thick**3 / 12
    shear = 6 / 5 / (G * A)
    exact = {
        "in plane": np.pi / 4 * (R**3 / across + R / (E * A) + R * shear),
        "out of plane": R**3 * (np.pi / 4 / flat + (3 * np.pi / 4 - 2) / (G * J)) + np.pi / 2 * R * shear,
    }
    angle = np.linspace(0.0, np.pi / 2, 33)
    points = R * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    bar = Bar(E=E, nu=nu, A=A, Iy=thick * wide**3 / 12, Iz=wide * thick**3 / 12, J=J, k=5 / 6)
    for name, axis in (("in plane", 1), ("out of plane", 2)):
        small = 1e-5 * np.eye(3)[axis]
        problem = cantilever(points, bar, force=small.tolist(), orientation=(0.0, 0.0, 1.0))
        tip = newton.solve(problem, [1.0]).increments[-1].x.u[-1]
        yield Row(f"tip, {name}, 32 beam2", exact[name], float(tip[axis] / 1e-5), 1e-3)
    for kind, formulation, divisions, tolerance in (
        ("hex8", "incompatible", (4, 32, 2), 0.03),
        ("hex20", "standard", (2, 24, 2), 0.02),
    ):
        body, conn = solid_box(kind, (1.0, 1.0, thick), divisions)
        radius, turn = 4.12 + wide * body[:, 0], np.pi / 2 * body[:, 1]
        body = np.column_stack([radius * np.cos(turn), radius * np.sin(turn), body[:, 2]])
        tip = _tip_motion(body, conn, kind, formulation, E, nu, (turn < 1e-9, turn > np.pi / 2 - 1e-9))
        for name, axis in (("in plane", 1), ("out of plane", 2)):
            yield Row(f"tip, {name}, {kind} {formulation}", exact[name], float(tip[axis]), tolerance)


@rung("Pure bending of solids", "Saint-Venant; Timoshenko SP, Goodier JN (1970), Theory of Elasticity, 3rd ed.")
def bending_pure() -> Iterator[Row]:
    """A bar under end moments, free to contract: exact in quadratic elements and with incompatible modes on bricks.

    sigma_xx = -M z / I, and u_z = M x^2 / (2 E I) on the axis.
    """
    length, E, moment = 10.0, 1000.0, 5.0
    inertia = 1 / 12
    for kind, formulation, divisions in (
        ("hex8", "incompatible", (2, 2, 2)),
        ("hex20", "standard", (4, 2, 2)),
        ("tet10", "standard", (4, 2, 2)),
    ):
        points, conn = solid_box(kind, (length, 1.0, 1.0), divisions)
        points = points - [0.0, 0.5, 0.5]
        end, root = points[:, 0] > length - 1e-9, points[:, 0] < 1e-9
        middle = np.abs(points[:, 1:]) < 1e-9

        def bend(x: F64) -> F64:
            return np.asarray(-moment / inertia * x[..., 2:] * np.array([1.0, 0.0, 0.0]))

        load = face_load(points, conn, kind, end, bend)
        fixed = np.column_stack([root, root & middle[:, 0], root & middle.all(axis=1)])
        group = small_group(kind, formulation, conn, isotropic(E, 0.3))
        u = solve_linear(stiffness(points, group), fixed, np.zeros_like(points), load)
        name = f"{kind} {formulation}"
        axis = end & middle.all(axis=1)
        yield Row(f"tip, {name}", moment * length**2 / (2 * E * inertia), float(u[axis, 2].mean()), 1e-9)
        height = interpolated(points, conn, kind, points, (ELEMENTS[kind].points, ELEMENTS[kind].weights))[0][..., 2]
        stress = recover.stress(points, group, u)[..., 0]
        yield largest(f"stress, {name}", stress + moment / inertia * height, 1e-9, moment / inertia / 2)


@rung("Clamped cantilever of solids", "Timoshenko beam theory with shear factor 5/6")
def bending_clamped() -> Iterator[Row]:
    """Shear load at the tip, nu = 0, so that the clamp disturbs beam theory by no more than warping; errors halve."""
    length, E = 10.0, 1000.0
    beam = length**3 / (3 * E / 12) + length / (5 / 6 * E / 2)
    for kind, formulation, sizes in (
        ("hex8", "incompatible", (1, 2, 4)),
        ("hex20", "standard", (1, 2)),
        ("tet10", "standard", (1, 2)),
    ):
        ours = []
        for n in sizes:
            points, conn = solid_box(kind, (length, 1.0, 1.0), (5 * n, n, n))
            end = points[:, 0] > length - 1e-9
            load = face_load(points, conn, kind, end, _uniform(np.array([0.0, 0.0, 1.0])))
            fixed = np.repeat((points[:, 0] < 1e-9)[:, None], 3, axis=1)
            K = stiffness(points, small_group(kind, formulation, conn, isotropic(E, 0.0)))
            u = solve_linear(K, fixed, np.zeros_like(points), load)
            ours.append(float((u * load).sum() / load.sum()))
        name = f"{kind} {formulation}, {sizes[-1]} elements high"
        yield Row(f"tip, {name}", beam, ours[-1], 0.002)
        yield convergence(f"order, {name}", 1.0, [abs(v / beam - 1) for v in ours], 0.0)
