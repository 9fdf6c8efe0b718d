"""Patch tests: constant strain on distorted meshes must come out exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix import materials
from spinefix.fem import newton, recover, voigt
from spinefix.fem.assembly import assemble
from spinefix.fem.beams import beam_end_forces
from spinefix.fem.finite import FiniteState, finite_stress
from spinefix.mesh.core import F64
from spinefix.verification.bodies import FINITE, TIGHT, Bar, beams, body_problem, cantilever, chain, finite_group
from spinefix.verification.ladder import Row, largest, rung
from spinefix.verification.meshes import on_boundary, roughened, solid_box
from spinefix.verification.samples import respond, rotation
from spinefix.verification.small import ORTHOTROPIC, SMALL, small_group, solve_linear, stiffness

SIZE = (1.0, 1.2, 0.9)
GRADIENT = np.array([[1.0, -0.4, 0.3], [0.2, 0.5, 0.7], [-0.6, 0.1, -0.8]]) * 1e-3
DEFORMATION = np.array([[1.25, 0.2, 0.0], [0.0, 0.85, -0.1], [0.1, 0.0, 1.1]])


@rung("Patch test, small strain", "Irons BM, Razzaque A (1972), in: Aziz AK (ed), Academic Press, 557-587")
def patch_small() -> Iterator[Row]:
    """Boundary nodes follow a linear field; inner nodes must, with constant stress, in an anisotropic material."""
    Q = rotation(8)
    D = voigt.rotate_elasticity(materials.elasticity("orthotropic", ORTHOTROPIC), Q)
    stress = D[0] @ voigt.strain_vector((GRADIENT + GRADIENT.T) / 2)
    for kind, formulation in SMALL:
        points, conn = solid_box(kind, SIZE, (3, 3, 3))
        points = roughened(points, conn, kind, 0.08, inside=True)
        group = small_group(kind, formulation, conn, D)
        outside = np.repeat(on_boundary(points)[:, None], 3, axis=1)
        exact = points @ GRADIENT.T
        u = solve_linear(stiffness(points, group), outside, exact, np.zeros_like(points))
        name = f"{kind} {formulation}"
        yield largest(f"displacement, {name}", u - exact, 1e-11, np.abs(exact).max())
        yield largest(f"stress, {name}", recover.stress(points, group, u) - stress, 1e-10, np.abs(stress).max())


@rung("Patch test, finite strain", "homogeneous deformation; stress of the law by itself")
def patch_finite() -> Iterator[Row]:
    """Boundary nodes follow a large stretch, shear and turn; inner nodes must, with the stress of the law everywhere.

    Co-rotational elements have the linear stress of the stretch, turned.
    """
    F = rotation(2) @ DEFORMATION
    S, C = (v[0] for v in respond("mooney_rivlin", F[None])[1:3])
    cauchy = voigt.stress_vector(F @ voigt.stress_tensor(S) @ F.T) / np.linalg.det(F)
    left, stretches, right = np.linalg.svd(F)
    R = left @ right
    at_rest = respond("mooney_rivlin", np.eye(3)[None])[2][0]
    biot = at_rest @ voigt.strain_vector(right.T @ np.diag(stretches - 1.0) @ right)
    turned = voigt.stress_vector(R @ voigt.stress_tensor(biot) @ R.T)
    for kind, formulation in FINITE:
        points, conn = solid_box(kind, SIZE, (2, 2, 2))
        points = roughened(points, conn, kind, 0.08, inside=True)
        group = finite_group(kind, formulation, conn, "mooney_rivlin")
        exact = points @ (F - np.eye(3)).T
        outside = np.repeat(on_boundary(points)[:, None], 3, axis=1)
        problem = body_problem(points, [group], outside, values=exact)
        found = newton.solve(problem, [0.25, 0.5, 0.75, 1.0], TIGHT).increments[-1]
        name = f"{kind} {formulation}"
        yield largest(f"displacement, {name}", found.x.u - exact, 1e-9, np.abs(exact).max())
        expected = turned if group.corotational else cauchy
        ours = finite_stress(points, group, found.x.u, FiniteState.virgin(group))
        yield largest(f"Cauchy stress, {name}", ours - expected, 1e-9, np.abs(expected).max())


LENGTHS = np.array([1.0, 0.4, 1.7, 0.9])
BAR = Bar(E=200.0)


def _uneven(direction: F64) -> F64:
    return np.asarray(np.concatenate([[0.0], np.cumsum(LENGTHS)])[:, None] * direction)


@rung("Patch test, linear beams", "Timoshenko beam theory: constant stretch, twist and curvatures")
def patch_beam() -> Iterator[Row]:
    """Uneven beams in an oblique direction; both ends follow the field of constant strains, inner nodes must."""
    axes = rotation(4).T
    points = _uneven(axes[0])
    item = beams(points, chain(len(points)), BAR, orientation=axes[1].tolist())
    x = points @ axes[0]
    strain = 1e-3 * np.array([1.0, 0.6, -0.8, 1.3])  # stretch, twist, curvatures about local y and z
    local = np.column_stack([strain[0] * x, strain[3] * x**2 / 2, -strain[2] * x**2 / 2])
    turn = np.outer(x, strain[1:])
    exact = np.concatenate([local, turn]) @ axes
    n = len(points)
    index = np.arange(n, dtype=np.int32)
    K = assemble(points, [], [item.group], index).tocsr()
    fixed = np.zeros(exact.shape, bool)
    fixed[[0, n - 1, n, 2 * n - 1]] = True
    u = solve_linear(K, fixed, exact, np.zeros_like(exact))
    yield largest("displacement and rotation, beam2", u - exact, 1e-12, np.abs(exact).max())
    rigidity = np.array([BAR.E * BAR.A, BAR.G * BAR.J, BAR.E * BAR.Iy, BAR.E * BAR.Iz])
    expected = np.insert(rigidity * strain, 1, [0.0, 0.0])
    forces = beam_end_forces(points, item.group, index, u)
    yield largest("section forces, beam2", forces - expected, 1e-11, np.abs(expected).max())


@rung("Patch test, co-rotational beams", "polygon whose corners turn by M l / (E I)")
def patch_beam_finite() -> Iterator[Row]:
    """An end moment bends uneven beams of two fifths of a turn altogether; each keeps its length."""
    points = _uneven(np.array([1.0, 0.0, 0.0]))
    moment = 0.8 * np.pi * BAR.E * BAR.Iz / LENGTHS.sum()
    problem = cantilever(points, BAR, moment=(0.0, 0.0, moment))
    found = newton.solve(problem, [0.25, 0.5, 0.75, 1.0], TIGHT).increments[-1]
    turn = moment * LENGTHS / (BAR.E * BAR.Iz)
    corners = np.concatenate([[0.0], np.cumsum(turn)])
    chord = corners[:-1] + turn / 2
    steps = LENGTHS[:, None] * np.column_stack([np.cos(chord), np.sin(chord), 0 * chord])
    place = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    yield largest("position, beam2", points + found.x.u - place, 1e-9, LENGTHS.sum())
    rotation_z = found.blocks[len(points) :, 2]
    yield largest("rotation, beam2", rotation_z - corners, 1e-9)
