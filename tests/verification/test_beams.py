"""Timoshenko beams against closed forms, in any direction of space."""

import numpy as np
import pytest
from femtools import solve

from spinefix.errors import MeshError
from spinefix.fem.assembly import BeamGroup, assemble
from spinefix.fem.beams import beam_axes, beam_blocks, beam_end_forces, beam_stress
from spinefix.mesh.generate import polyline

E, G = 110_000.0, 42_000.0
A, IY, IZ, J, KY, KZ = 20.0, 60.0, 25.0, 70.0, 0.85, 0.7
LENGTH = 12.0  # stubby: shear deformation is a quarter of the deflection


def line(n, direction, orientation):
    mesh = polyline(np.array([[0.0, 0, 0], LENGTH * np.asarray(direction)]), LENGTH / n)
    points, conn = mesh.points, mesh.blocks[0].conn
    b = len(conn)
    full = {k: np.full(b, v) for k, v in dict(E=E, G=G, A=A, Iy=IY, Iz=IZ, J=J, ky=KY, kz=KZ).items()}
    axes = beam_axes(points, conn, np.tile(orientation, (b, 1)))
    return points, BeamGroup(cells=np.arange(b, dtype=np.int32), conn=conn, axes=axes, **full)


def rotation():
    """Some proper rotation of space, its columns the local axes of the beam."""
    q, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def cantilever(n, force, moment):
    """Tip displacement and rotation in local axes, and section forces, under local tip loads."""
    R = rotation()
    points, beams = line(n, R[:, 0], R[:, 1])
    index = np.arange(len(points), dtype=np.int32)
    K = assemble(points, [], [beams], index).tocsr()
    fixed = np.zeros((2 * len(points), 3), bool)
    tip = int(np.argmax(points @ R[:, 0]))
    root = int(np.argmin(points @ R[:, 0]))
    fixed[[root, root + len(points)]] = True
    load = np.zeros(fixed.shape)
    load[tip], load[tip + len(points)] = R @ force, R @ moment
    u = solve(K, fixed, np.zeros(fixed.shape), load)
    sections = beam_end_forces(points, beams, index, u)
    return R.T @ u[tip], R.T @ u[tip + len(points)], sections, beams


def test_section_forces_and_their_signs():
    _, _, sections, _ = cantilever(4, np.array([7.0, 2.0, 3.0]), np.array([5.0, 0, 0]))
    order = np.argsort(-np.abs(sections[:, 0, 5]))  # from the root outwards
    x = np.linspace(0, LENGTH, 5)
    for i, e in enumerate(order):
        for end in (0, 1):
            arm = LENGTH - x[i + end]
            expected = [7.0, 2.0, 3.0, 5.0, -3.0 * arm, 2.0 * arm]
            np.testing.assert_allclose(sections[e, end], expected, rtol=1e-9, atol=1e-9)


def test_stress_of_a_round_section_adds_bending_vectorially():
    r = 2.75
    area, inertia = np.pi * r**2, np.pi * r**4 / 4
    one = np.ones(1)
    beam = BeamGroup(
        cells=np.zeros(1, np.int32), conn=np.array([[0, 1]], np.int32), E=one, G=one, A=area * one,
        Iy=inertia * one, Iz=inertia * one, J=2 * inertia * one, ky=one, kz=one, axes=np.eye(3)[None],
    )  # fmt: skip
    forces = np.array([[[100.0, 9.0, 9.0, 400.0, 300.0, -400.0], [0, 0, 0, 0, 0, 0]]])
    stress = beam_stress(forces, beam, r * one, r * one, np.array([True]))
    sigma, tau = 100.0 / area + 500.0 * r / inertia, 400.0 * r / (2 * inertia)
    np.testing.assert_allclose(stress, [[np.sqrt(sigma**2 + 3 * tau**2), 0.0]], rtol=1e-12)


def test_matrix_is_symmetric_with_six_rigid_modes():
    R = rotation()
    points, beams = line(1, R[:, 0], R[:, 1])
    K = assemble(points, [], [beams], np.arange(2, dtype=np.int32)).toarray()
    np.testing.assert_array_equal(K, K.T)
    values = np.linalg.eigvalsh(K)
    assert (np.abs(values[:6]) < 1e-12 * values[-1]).all()
    assert values[6] > 1e-6 * values[-1]


def test_axes():
    points = np.array([[0.0, 0, 0], [0, 0, 2.0], [3.0, 4.0, 2.0]])
    conn = np.array([[0, 1], [1, 2]], np.int32)
    axes = beam_axes(points, conn, np.array([[1.0, 0, 5.0], [0, 0, 0]]))
    np.testing.assert_allclose(axes[0], [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-15)
    np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), [np.eye(3)] * 2, atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(axes), 1.0, rtol=1e-14)
    with pytest.raises(MeshError, match="along its axis"):
        beam_axes(points, conn, np.array([[0, 0, 1.0], [0, 0, 0]]))
    with pytest.raises(MeshError, match="no length"):
        beam_axes(np.zeros((2, 3)), conn[:1], np.zeros((1, 3)))


def test_a_beam_node_without_rotations_is_refused():
    _, beams = line(1, [1.0, 0, 0], [0, 1.0, 0])
    with pytest.raises(MeshError, match="without rotations"):
        beam_blocks(beams, np.array([0, -1], np.int32), 2)
