"""Springs and foundations: rigid motion costs nothing, simple motions cost what the formula says."""

import numpy as np
import pytest

from spinefix.errors import ConstraintError
from spinefix.fem.links import embedded_links, link_stiffness, point_links, surface_links
from spinefix.mesh import generate
from spinefix.mesh.core import Mesh, merge
from spinefix.model.core import Embedding, PointSprings, SurfaceSprings

RNG = np.random.default_rng(11)


def rigid(points, index=None):
    omega, shift = RNG.normal(size=3), RNG.normal(size=3)
    n_turn = 0 if index is None else index.max() + 1
    u = np.zeros((len(points) + n_turn, 3))
    u[: len(points)] = shift + np.cross(omega, points)
    u[len(points) :] = omega
    return u.ravel()


def test_point_springs_feel_their_elongation_only():
    mesh = generate.box((1.0, 1.0, 1.0), (1, 1, 1))
    springs = PointSprings("L3-L4.ligament.test", np.array([[0, 7], [1, 2]]), np.array([10.0, 20.0]))
    links = point_links(mesh, springs, 24)
    u = RNG.normal(size=24)
    axis = mesh.points[7] - mesh.points[0]
    stretch = (u[21:24] - u[:3]) @ axis / np.linalg.norm(axis)
    assert links.forces(u)[0] == pytest.approx(10.0 * stretch)
    assert links.energy(rigid(mesh.points)) < 1e-25
    K = link_stiffness([links], 24)
    assert 0.5 * u @ (K @ u) == pytest.approx(links.energy(u))
    np.testing.assert_allclose(K @ u, links.nodal_forces(u), atol=1e-12)
    twin = Mesh(np.vstack([mesh.points, mesh.points[:1]]), mesh.blocks)
    with pytest.raises(ConstraintError, match="nodes 0 and 8 coincide"):
        point_links(twin, PointSprings("x", np.array([[0, 8]]), np.ones(1)), 27)


@pytest.fixture
def joint():
    """Two facing surfaces, the lower one curved, 0.3 mm and more apart."""
    upper = generate.box((10.0, 10.0, 2.0), (4, 4, 1), origin=(0.3, 0.4, 2.9), name="upper")
    lower = generate.box((12.0, 11.0, 2.0), (5, 5, 1), name="lower")
    points = lower.points.copy()
    points[:, 2] += (0.6 - 0.01 * (points[:, 0] - 6.0) ** 2) * (points[:, 2] > 1.0)
    mesh, _, _ = merge([upper, Mesh(points, lower.blocks, lower.cells, lower.facets, lower.nodes)])
    return mesh, SurfaceSprings("joint", mesh.facets["upper.zmin"], mesh.facets["lower.zmax"], 10.0, 3.0)


def test_foundation_costs_nothing_in_rigid_motion_and_k_per_area_otherwise(joint):
    mesh, springs = joint
    n_dof = 3 * mesh.n_points
    links = surface_links(mesh, springs, n_dof)
    assert links.skipped == 0
    assert links.area.sum() == pytest.approx(100.0)
    u = RNG.normal(size=n_dof)
    assert links.energy(rigid(mesh.points)) < 1e-24 * links.energy(u)
    flat = generate.box((4.0, 4.0, 1.0), (2, 2, 1), origin=(0, 0, 1.5), name="upper")
    base = generate.box((4.0, 4.0, 1.0), (3, 3, 1), name="lower")
    mesh, offsets, _ = merge([flat, base])
    links = surface_links(
        mesh, SurfaceSprings("flat", mesh.facets["upper.zmin"], mesh.facets["lower.zmax"], 10.0, 3.0), 3 * mesh.n_points
    )
    u = np.zeros((mesh.n_points, 3))
    u[: offsets[1]] = [0.1, 0.0, -0.2]
    assert links.energy(u.ravel()) == pytest.approx(0.5 * 16.0 * (3.0 * 0.1**2 + 10.0 * 0.2**2))
    np.testing.assert_allclose(links.pressure(u.ravel()), 10.0 * 0.2)
    np.testing.assert_allclose(links.gap, 0.5)


def test_points_without_a_partner_are_skipped_and_counted(joint):
    mesh, springs = joint
    links = surface_links(mesh, springs, 3 * mesh.n_points, max_gap=0.5)
    assert 0 < links.skipped < 64
    assert len(links.area) == 64 - links.skipped
    with pytest.raises(ConstraintError, match="'joint': none of 64 points"):
        surface_links(mesh, springs, 3 * mesh.n_points, max_gap=0.1)
    same_side = SurfaceSprings("behind", mesh.facets["upper.zmax"], mesh.facets["lower.zmax"], 1.0, 1.0)
    with pytest.raises(ConstraintError, match="none of 64 points faces"):
        surface_links(mesh, same_side, 3 * mesh.n_points, max_gap=50.0)


@pytest.fixture
def screw():
    """A beam that enters a block obliquely and one end of which stays outside."""
    block = generate.box((40.0, 30.0, 30.0), (10, 8, 7))
    beam = generate.polyline(np.array([[-8.0, 15.2, 14.9], [31.0, 16.0, 17.0]]), 5.0, name="screw")
    mesh, offsets, _ = merge([block, beam])
    index = np.full(mesh.n_points, -1, np.int32)
    index[offsets[1] :] = np.arange(mesh.n_points - offsets[1])
    embedding = Embedding("L3.screw", mesh.cells["screw"], mesh.cells["block"], 3.25, 1000.0, 400.0)
    return mesh, index, embedding, offsets[1]


def test_embedding_costs_nothing_in_rigid_motion(screw):
    mesh, index, embedding, _ = screw
    n_dof = 3 * (mesh.n_points + index.max() + 1)
    links = embedded_links(mesh, index, embedding, n_dof)
    other = RNG.normal(size=n_dof)
    assert links.energy(rigid(mesh.points, index)) < 1e-22 * links.energy(other)


def test_embedding_stiffness_is_that_of_the_cylinder_wall(screw):
    mesh, index, embedding, first = screw
    n_dof = 3 * (mesh.n_points + index.max() + 1)
    links = embedded_links(mesh, index, embedding, n_dof)
    length = links.embedded_length.sum()
    # A section cut by the surface is let go when too little of it is inside: less than one slice of 1.6 mm.
    assert length == pytest.approx(31.0 * np.linalg.norm([39.0, 0.8, 2.1]) / 39.0, abs=0.6)
    axis = links.axis[0]
    across = np.cross(axis, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    r = embedding.radius
    cases = (
        (axis, np.zeros(3), 2 * np.pi * r * 400.0),
        (across, np.zeros(3), np.pi * r * (1000.0 + 400.0)),
        (np.zeros(3), axis, 2 * np.pi * r**3 * 400.0),
    )
    start = mesh.points[first]
    for shift, turn, per_length in cases:
        u = np.zeros((n_dof // 3, 3))
        u[first : mesh.n_points] = shift + np.cross(turn, mesh.points[first:] - start)
        u[mesh.n_points :] = turn
        assert 2.0 * links.energy(u.ravel()) == pytest.approx(per_length * length, rel=0.01)
        force, moment = links.section_loads(u.ravel())
        np.testing.assert_allclose(force.sum(axis=0), per_length * length * shift, atol=2e-2 * per_length * length)
        np.testing.assert_allclose(moment.sum(axis=0), per_length * length * turn, atol=2e-2 * per_length * length)


def test_curved_beam_of_constant_curvature_fits_exactly(screw):
    """Linked interpolation: a beam bent to a parabola lies on it between its nodes as well."""
    block = generate.box((40.0, 30.0, 30.0), (4, 3, 3), kind="tet10")  # quadratic hosts hold the parabola too
    beam = generate.polyline(np.array([[2.0, 15.0, 15.0], [38.0, 15.0, 15.0]]), 12.0, name="screw")
    mesh, offsets, _ = merge([block, beam])
    index = np.full(mesh.n_points, -1, np.int32)
    index[offsets[1] :] = np.arange(mesh.n_points - offsets[1])
    n_dof = 3 * (mesh.n_points + index.max() + 1)
    embedding = Embedding("s", mesh.cells["screw"], mesh.cells["block"], 3.0, 1000.0, 1000.0)
    links = embedded_links(mesh, index, embedding, n_dof)
    x = mesh.points
    bend = np.zeros((n_dof // 3, 3))
    # Plane sections stay plane: u_y = x^2 / 2, u_x = -x (y - 15), rotation z = x.
    bend[: len(x), 1] = 1e-3 * x[:, 0] ** 2 / 2
    bend[: len(x), 0] = -1e-3 * x[:, 0] * (x[:, 1] - 15.0)
    bend[len(x) :, 2] = 1e-3 * x[offsets[1] :, 0]
    straight = bend.copy()
    straight[offsets[1] : len(x)] = 0.0
    assert links.energy(bend.ravel()) < 1e-12 * links.energy(straight.ravel())


def test_screw_outside_all_hosts_is_named(screw):
    mesh, index, embedding, _ = screw
    away = Embedding("L3.screw", embedding.beams[:1], embedding.hosts[-8:], 3.25, 1.0, 1.0)
    with pytest.raises(ConstraintError, match=r"'L3\.screw': none of"):
        embedded_links(mesh, index, away, 3 * (mesh.n_points + index.max() + 1))
    wrong = Embedding("L3.screw", embedding.hosts[:1], embedding.hosts, 3.25, 1.0, 1.0)
    with pytest.raises(ConstraintError, match="not a beam"):
        embedded_links(mesh, index, wrong, 3 * (mesh.n_points + index.max() + 1))
