"""Patch tests and rigid modes: what every element must do exactly."""

import numpy as np
import pytest
from femtools import ALL, distort, group, isotropic, mesh_of, stiffness

from spinefix.errors import MeshError
from spinefix.fem import assembly, recover
from spinefix.fem.voigt import rotate_elasticity
from spinefix.materials import elasticity
from spinefix.mesh.elements import ELEMENTS


def anisotropic():
    """An orthotropic material turned out of the axes, so that no entry of D vanishes."""
    D = elasticity(
        "orthotropic",
        dict(E1_MPa=20.0, E2_MPa=12.0, E3_MPa=9.0, G12_MPa=4.0, G23_MPa=3.0, G31_MPa=5.0, nu12=0.3, nu23=0.2, nu31=0.1),
    )
    a, b = 0.4, 0.7
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return rotate_elasticity(D, about_z @ about_x)


@pytest.mark.parametrize(("kind", "formulation"), ALL)
def test_six_rigid_modes_and_no_more(kind, formulation):
    points, conn = mesh_of(kind, (1.0, 1.0, 1.0), (1, 1, 1))
    conn = conn[:1]
    used = np.unique(conn)
    points, conn = points[used], np.searchsorted(used, conn)
    points = points + 0.06 * np.random.default_rng(1).uniform(-1, 1, points.shape)
    K = stiffness(points, group(kind, formulation, conn, anisotropic())).toarray()
    values = np.linalg.eigvalsh(K)
    assert (np.abs(values[:6]) < 1e-12 * values[-1]).all()
    assert values[6] > 1e-6 * values[-1]


@pytest.mark.parametrize(("kind", "formulation"), ALL)
def test_forces_of_elements_agree_with_the_matrix(kind, formulation):
    """Internal forces from recovered stresses (bending modes, mean dilatation) are K u, also with uneven stiffness."""
    rng = np.random.default_rng(2)
    points, conn = mesh_of(kind, (1.0, 1.0, 1.0), (2, 2, 2))
    points = distort(points, conn, kind, 0.1)
    g = group(kind, formulation, conn, anisotropic())
    g.scale[:] = rng.uniform(0.1, 2.0, g.scale.shape)
    K = stiffness(points, g)
    u = rng.normal(size=points.shape)
    total = np.zeros_like(points)
    np.add.at(total, conn, assembly.element_forces(points, g, u))
    assert np.abs(total.ravel() - K @ u.ravel()).max() < 1e-11 * np.abs(total).max()
    subset = np.array([5, 2], np.int32)
    part = assembly.element_forces(points, g, u, subset)
    np.testing.assert_array_equal(part, assembly.element_forces(points, g, u)[subset])
    assert recover.strain_energy(points, g, u).sum() == pytest.approx(0.5 * u.ravel() @ (K @ u.ravel()), rel=1e-10)
    np.testing.assert_allclose(recover.volumes(points, g).sum(), 1.0, rtol=1e-12)


def test_matrix_against_the_textbook_integral():
    """B^T D B summed directly, for a formulation-free element."""
    points, conn = mesh_of("hex8", (1.0, 1.0, 1.0), (1, 1, 1))
    points = points + 0.1 * np.random.default_rng(3).uniform(-1, 1, points.shape)
    g = group("hex8", "standard", conn, anisotropic())
    element = ELEMENTS["hex8"]
    expected = np.zeros((24, 24))
    for dN, w in zip(element.dN, element.weights, strict=True):
        J = dN.T @ points[conn[0]]
        grad = dN @ np.linalg.inv(J).T
        B = np.zeros((6, 24))
        for a, (x, y, z) in enumerate(grad):
            B[:, 3 * a : 3 * a + 3] = [[x, 0, 0], [0, y, 0], [0, 0, z], [y, x, 0], [0, z, y], [z, 0, x]]
        expected += B.T @ g.D[0] @ B * w * np.linalg.det(J)
    K = stiffness(points, g).toarray().reshape(8, 3, 8, 3)[conn[0]][:, :, conn[0]].reshape(24, 24)
    assert np.abs(K - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize("formulation", ["standard", "bbar", "incompatible"])
def test_scale_multiplies_the_stiffness(formulation):
    points, conn = mesh_of("hex8", (1.0, 1.0, 1.0), (2, 2, 2))
    points = distort(points, conn, "hex8", 0.1)
    K = stiffness(points, group("hex8", formulation, conn, isotropic(50.0, 0.3)))
    weak = stiffness(points, group("hex8", formulation, conn, isotropic(50.0, 0.3), scale=0.037))
    assert np.abs(weak - 0.037 * K).max() < 1e-14 * np.abs(K).max()


def test_an_element_inside_out_is_named():
    points, conn = mesh_of("hex8", (1.0, 1.0, 1.0), (2, 1, 1))
    conn = conn.copy()
    conn[1] = conn[1, [4, 5, 6, 7, 0, 1, 2, 3]]
    g = group("hex8", "standard", conn, isotropic(1.0, 0.3))
    with pytest.raises(MeshError, match=r"element 1 \(hex8\)"):
        stiffness(points, g)
    with pytest.raises(MeshError, match="element 1"):
        recover.stress(points, g, np.zeros_like(points))
