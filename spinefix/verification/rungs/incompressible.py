"""Nearly incompressible bodies: Cook's membrane, compressed blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from spinefix.fem import newton
from spinefix.mesh.core import F64, I32, Bool
from spinefix.verification.bodies import FINITE, body_problem, finite_group
from spinefix.verification.ladder import Row, convergence, rung
from spinefix.verification.meshes import face_load, roughened, solid_box
from spinefix.verification.small import isotropic, small_group, solve_linear, stiffness

HIGH_DEGREE = (
    "benchmarks/plane_strain.py: elements of degree 7 on a mesh crowded at the corners, apart from the package"
)


def _cook_mesh(kind: str, n: int) -> tuple[F64, I32, F64]:
    """Points, connectivity and the coordinate along, 0 at the clamp and 1 at the load; one element thick."""
    points, conn = solid_box(kind, (1.0, 1.0, 1.0), (n, n, 1))
    s, t = points[:, 0].copy(), points[:, 1].copy()
    points[:, 0] = 48 * s
    points[:, 1] = 44 * s * (1 - t) + (44 + 16 * s) * t
    return points, conn, s


def _cook_supports(points: F64, s: F64) -> Bool:
    fixed = np.zeros(points.shape, bool)
    fixed[:, 2] = True
    fixed[s < 1e-9] = True
    return fixed


def _cook_tip(points: F64, u: F64, s: F64) -> float:
    """Vertical displacement of the upper right corner."""
    return float(u[(s > 1 - 1e-9) & (points[:, 1] > 60 - 1e-9), 1].mean())


@rung("Cook's membrane, linear", HIGH_DEGREE)
def cook_linear() -> Iterator[Row]:
    """Plane strain, E = 1, load 1, nu = 1/3 and 0.4999; errors must fall and end within the tolerance."""
    cases = (
        ("hex8", "incompatible", 1 / 3, (8, 16), 0.025),
        ("hex8", "bbar", 1 / 3, (8, 16), 0.025),
        ("hex20", "standard", 1 / 3, (4, 8), 0.025),
        ("hex8", "incompatible", 0.4999, (8, 16), 0.025),
        ("hex8", "bbar", 0.4999, (8, 16), 0.025),
        ("hex20", "bbar", 0.4999, (8, 16), 0.03),
        ("hex20", "standard", 0.4999, (8, 16), 0.03),
    )
    exact = {1 / 3: 22.6105, 0.4999: 19.428}
    for kind, formulation, nu, sizes, tolerance in cases:
        tips = []
        for n in sizes:
            points, conn, s = _cook_mesh(kind, n)
            load = face_load(points, conn, kind, s > 1 - 1e-9, lambda x: np.broadcast_to([0, 1 / 16, 0], x.shape))
            K = stiffness(points, small_group(kind, formulation, conn, isotropic(1.0, nu)))
            u = solve_linear(K, _cook_supports(points, s), np.zeros_like(points), load)
            tips.append(_cook_tip(points, u, s))
        name = f"{kind} {formulation}, nu {nu:.4g}, {sizes[-1]} elements high"
        yield Row(f"tip, {name}", exact[nu], tips[-1], tolerance)
        yield convergence(f"order, {name}", 1.0, [abs(t - exact[nu]) for t in tips], 0.3)


@rung("Cook's membrane, finite strain", HIGH_DEGREE)
def cook_finite() -> Iterator[Row]:
    """Neo-Hookean, mu = 80.194, K = 400942 (nu = 0.4999), load 100: a tip displacement of a seventh of the length."""
    exact, parameters = 6.93, {"mu_MPa": 80.194, "K_MPa": 400942.0}
    for kind, formulation, sizes, tolerance in (
        ("hex8", "mean_dilatation", (8, 16), 0.02),
        ("hex8", "enhanced", (8, 16), 0.02),
        ("tet10", "mean_dilatation", (4, 8), 0.03),
        ("hex20", "mean_dilatation", (4, 8), 0.05),
    ):
        tips = []
        for n in sizes:
            points, conn, s = _cook_mesh(kind, n)
            load = face_load(points, conn, kind, s > 1 - 1e-9, lambda x: np.broadcast_to([0, 100 / 16, 0], x.shape))
            group = finite_group(kind, formulation, conn, "neo_hookean", parameters)
            problem = body_problem(points, [group], _cook_supports(points, s), load=load)
            found = newton.solve(problem, [1.0], newton.Control(first=0.125)).increments[-1]
            tips.append(_cook_tip(points, found.x.u, s))
        name = f"{kind} {formulation}, {sizes[-1]} elements high"
        yield Row(f"tip, {name}", exact, tips[-1], tolerance)
        yield convergence(f"order, {name}", 1.0, [abs(t - exact) for t in tips], 0.3)


def _lateral(stretch: float, mu: float, K: float) -> float:
    """Lateral stretch of a bar under uniaxial stress, by bisection of its lateral stress."""

    def stress(t: float) -> float:
        J = stretch * t * t
        return float(mu * J ** (-2 / 3) * (t * t - stretch * stretch) / 3 + K / 2 * (J * J - 1))

    return float(brentq(stress, 0.5, 2.5, xtol=1e-15))


@rung("Block pressed to half its height, free to widen", "uniaxial stress of the neo-Hookean law by bisection")
def block_free() -> Iterator[Row]:
    """Nearly incompressible, K = 1000 mu: force and widening of distorted meshes of every formulation, and stability.

    Stability is not asked of hex20 with mean dilatation: it loses it between 20 and 30 % compression, however soft the
    bulk (docs/explanation/verification.md).
    """
    mu, K, stretch = 2.0, 2000.0, 0.5
    t = _lateral(stretch, mu, K)
    J = stretch * t * t
    exact = (mu * J ** (-2 / 3) * 2 / 3 * (stretch**2 - t * t) + K / 2 * (J * J - 1)) / stretch
    yield Row("nominal stress, bisection against incompressible", mu * (stretch - stretch**-2), exact, 0.01)
    for kind, formulation in FINITE:
        if formulation.startswith("corotational"):
            continue
        points, conn = solid_box(kind, (1.0, 1.0, 1.0), (2, 2, 2))
        points = roughened(points, conn, kind, 0.05, inside=True)
        top = points[:, 2] > 1.0 - 1e-9
        fixed = points < 1e-9
        fixed[top, 2] = True
        values = np.zeros_like(points)
        values[top, 2] = stretch - 1.0
        parameters = {"mu_MPa": mu, "K_MPa": K}
        group = finite_group(kind, formulation, conn, "neo_hookean", parameters)
        problem = body_problem(points, [group], fixed, values=values)
        found = newton.solve(problem, [1.0], newton.Control(first=0.125, residual=1e-11)).increments[-1]
        name = f"{kind} {formulation}"
        yield Row(f"nominal stress, {name}", exact, float(found.reactions[: len(points)][top, 2].sum()), 1e-8)
        side = points[:, 0] > 1.0 - 1e-9
        yield Row(f"lateral stretch, {name}", t, float(1.0 + found.x.u[side, 0].mean()), 1e-8)
        if (kind, formulation) == ("hex20", "mean_dilatation"):
            continue
        matrix = problem.tangent(found.x, 1.0, found.states).matrix.toarray()
        unstable = int((np.linalg.eigvalsh(matrix) <= 0.0).sum())
        yield Row(f"directions without stiffness, {name}", 0.0, unstable, 0.0)


def _bonded(kind: str, formulation: str, n: int, parts: tuple[float, ...]) -> list[float]:
    """Forces per thickness on a square block in plane strain bonded to two plates, shortened by parts of its height.

    A quarter of it by n by n elements; mu = 1, K = 1000, unit width and height.
    """
    points, conn = solid_box(kind, (0.5, 0.1, 0.5), (n, 1, n))
    top = points[:, 2] > 0.5 - 1e-9
    fixed = points < 1e-9
    fixed[:, 1] = True
    fixed[top] = True
    values = np.zeros((len(parts), *points.shape))
    values[:, top, 2] = -np.array(parts)[:, None] / 2
    group = finite_group(kind, formulation, conn, "neo_hookean", {"mu_MPa": 1.0, "K_MPa": 1000.0})
    problem = body_problem(points, [group], fixed, values=values)
    path = newton.solve(problem, [k + 1.0 for k in range(len(parts))], newton.Control(first=0.25))
    return [float(2 / 0.1 * i.reactions[: len(points)][top, 2].sum()) for i in path.increments]


@rung("Block pressed between bonded plates", HIGH_DEGREE + "; beyond that the refined mesh")
def block_bonded() -> Iterator[Row]:
    """Nearly incompressible: by a fifth, forces against a reference; by half, the solver must arrive, at a fair force.

    The corners at the plates are singular and fold over under strong compression, so forces fall slowly with the mesh.
    """
    forces = [_bonded("hex8", "mean_dilatation", n, (0.2,))[0] for n in (8, 16)]
    yield Row("force, a fifth shorter, 16 x 16 hex8 mean_dilatation", -1.393, forces[1], 0.03)
    yield Row("the same, extrapolated from 8 x 8 and 16 x 16", -1.393, 2 * forces[1] - forces[0], 0.01)
    force = _bonded("hex8", "mean_dilatation", 4, (0.25, 0.5))[1]
    yield Row("force, half as high, 4 x 4 hex8 mean_dilatation against 8 x 8", -7.591, force, 0.08)
