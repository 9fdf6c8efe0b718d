"""Supports, couplings and ties by elimination."""

import numpy as np
import pytest
import scipy.sparse as sp

from spinefix.errors import ConstraintError
from spinefix.fem.assembly import SolidGroup, assemble
from spinefix.fem.constraints import build_elimination
from spinefix.fem.linsolve import factorize
from spinefix.fem.recover import stress
from spinefix.mesh import generate
from spinefix.mesh.core import Mesh, merge
from spinefix.mesh.topology import facet_points
from spinefix.model.core import Coupling, Support, Tie

E = 1000.0


def isotropic(nu):
    D = np.zeros((6, 6))
    D[:3, :3] = nu / ((1 + nu) * (1 - 2 * nu))
    D[range(3), range(3)] += 1 / (1 + nu)
    D[range(3, 6), range(3, 6)] = 0.5 / (1 + nu)
    return E * D


def solid(mesh, nu=0.0):
    conn = mesh.blocks[0].conn if len(mesh.blocks) == 1 else np.concatenate([b.conn for b in mesh.blocks])
    n = len(conn)
    zeros = np.zeros(n, np.int32)
    return SolidGroup("hex8", "incompatible", np.arange(n), conn, isotropic(nu)[None], zeros, np.ones((n, 8)))


def with_points(mesh, *extra):
    """A mesh with reference points; rotation index of those only."""
    points = np.vstack([mesh.points, *[np.atleast_2d(p) for p in extra]])
    index = np.full(len(points), -1, np.int32)
    index[mesh.n_points :] = np.arange(len(extra))
    return Mesh(points, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes), index


def activity(mesh, index):
    active = np.zeros(mesh.n_points + index.max() + 1, bool)
    active[np.unique(np.concatenate([b.conn.ravel() for b in mesh.blocks]))] = True
    return active


def rigid_motion(points, index):
    rng = np.random.default_rng(5)
    omega, shift = rng.normal(size=3), rng.normal(size=3)
    u = np.zeros((len(points) + index.max() + 1, 3))
    u[: len(points)] = shift + np.cross(omega, points)
    u[len(points) :] = omega
    return u


def test_bar_loaded_through_a_rigid_plate_bends_and_stretches_as_beam_theory_says():
    width, height, length = 4.0, 6.0, 20.0
    mesh = generate.box((width, height, length), (2, 3, 4), origin=(-width / 2, -height / 2, 0))
    mesh, index = with_points(mesh, [1.0, 2.0, length + 3.0])
    ref = mesh.n_points - 1
    elimination = build_elimination(
        mesh,
        index,
        activity(mesh, index),
        supports=[Support("bottom", mesh.nodes["block.zmin"])],
        couplings=[Coupling("top", ref, mesh.nodes["block.zmax"])],
    )
    K = assemble(mesh.points, [solid(mesh)], [], index)
    f = np.zeros((elimination.n_dof, 2))
    f[3 * ref + 2, 0] = 7.0  # force along z, off centre: bends as well
    f[3 * mesh.n_points, 1] = 50.0  # moment about x
    with factorize(elimination.reduce(K)) as factor:
        u = elimination.expand(factor.solve(elimination.reduce_force(f)))
    area, inertia = width * height, width * height**3 / 12
    rotation = u[3 * mesh.n_points :].reshape(3, 2)
    assert rotation[0, 1] == pytest.approx(50.0 * length / (E * inertia), rel=1e-9)
    assert rotation[0, 0] == pytest.approx(7.0 * 2.0 * length / (E * inertia), rel=1e-9)
    # At the reference point: stretch plus the rotations times its own eccentricity.
    stretch = 7.0 * length / (E * area)
    lift = rotation[0, 0] * 2.0 - rotation[1, 0] * 1.0
    assert u[3 * ref + 2, 0] == pytest.approx(stretch + lift, rel=1e-9)
    reactions = elimination.reactions((K @ u - f)[:, 0]).reshape(-1, 3)
    np.testing.assert_allclose(reactions.sum(axis=0), [0, 0, -7.0], atol=1e-9)


def test_reaction_at_a_fixed_reference_point_includes_what_its_slaves_carry():
    mesh = generate.box((2.0, 2.0, 3.0), (2, 2, 2))
    mesh, index = with_points(mesh, [1.0, 1.0, -1.0], [1.0, 1.0, 4.0])
    low, high = mesh.n_points - 2, mesh.n_points - 1
    elimination = build_elimination(
        mesh,
        index,
        activity(mesh, index),
        supports=[Support("ground", np.array([low]), rotations=(True, True, True))],
        couplings=[Coupling("low", low, mesh.nodes["block.zmin"]), Coupling("high", high, mesh.nodes["block.zmax"])],
    )
    K = assemble(mesh.points, [solid(mesh)], [], index)
    f = np.zeros(elimination.n_dof)
    f[3 * high] = 2.0
    with factorize(elimination.reduce(K)) as factor:
        u = elimination.expand(factor.solve(elimination.reduce_force(f)))
    reactions = elimination.reactions(K @ u - f)
    np.testing.assert_allclose(reactions[3 * low : 3 * low + 3], [-2.0, 0, 0], atol=1e-9)
    turn = 3 * (mesh.n_points + index[low])
    np.testing.assert_allclose(reactions[turn : turn + 3], [0, -2.0 * 5.0, 0], atol=1e-9)


def test_reduce_equals_the_triple_product():
    mesh = generate.box((2.0, 2.0, 3.0), (2, 2, 3))
    mesh, index = with_points(mesh, [1.0, 1.0, 4.0])
    elimination = build_elimination(
        mesh,
        index,
        activity(mesh, index),
        supports=[Support("bottom", mesh.nodes["block.zmin"], translations=(True, False, True))],
        couplings=[Coupling("top", mesh.n_points - 1, mesh.nodes["block.zmax"])],
    )
    K = assemble(mesh.points, [solid(mesh, 0.3)], [], index)
    rng = np.random.default_rng(0)
    B = sp.random_array((5, elimination.n_dof), density=0.2, rng=rng)
    links = sp.csr_array(B.T @ B)
    T = elimination.T
    for matrix in (K, sp.csr_array(K)):
        reduced = elimination.reduce(matrix, links)
        assert reduced.has_sorted_indices
        np.testing.assert_allclose(reduced.toarray(), (T.T @ (K + links) @ T).toarray(), atol=1e-9 * E)
    parts = [elimination.free, elimination.slave, elimination.fixed, elimination.orphan]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(elimination.n_dof))


def test_chains_are_resolved_in_any_order():
    """A tie onto a coupled surface, and a reference point that another coupling carries."""
    low = generate.box((3.0, 3.0, 1.0), (3, 3, 1), name="low")
    high = generate.box((2.0, 2.0, 1.0), (3, 3, 1), origin=(0.3, 0.4, 1.2), name="high")
    mesh, _, _ = merge([low, high])
    mesh, index = with_points(mesh, [1.0, 1.0, -1.0], [5.0, 0.0, 0.0])
    outer, inner = mesh.n_points - 1, mesh.n_points - 2
    ties = [Tie("bond", mesh.nodes["high.zmin"], mesh.facets["low.zmax"])]
    couplings = [
        Coupling("inner", inner, mesh.nodes["low.zmax"]),
        Coupling("outer", outer, np.array([inner])),
    ]
    for order in (couplings, couplings[::-1]):
        elimination = build_elimination(mesh, index, activity(mesh, index), couplings=order, ties=ties)
        u = rigid_motion(mesh.points, index).ravel()
        np.testing.assert_allclose(elimination.expand(u[elimination.free]), u, atol=1e-12)
        carried = 3 * mesh.nodes["high.zmin"]
        masters = np.unique(elimination.T[carried].indices)
        blocks = set((elimination.free[masters] // 3).tolist())
        assert blocks == {outer, mesh.n_points + index[outer]}


def test_contradictions_are_named():
    mesh = generate.box((1.0, 1.0, 1.0), (1, 1, 1))
    mesh, index = with_points(mesh, [0.5, 0.5, 2.0], [0.5, 0.5, 3.0])
    top, one, two = mesh.nodes["block.zmax"], mesh.n_points - 2, mesh.n_points - 1
    active = activity(mesh, index)

    def build(**constraints):
        return build_elimination(mesh, index, active, **constraints)

    first, second = Coupling("first", one, top), Coupling("second", two, top)
    with pytest.raises(ConstraintError, match=rf"'second' holds displacement x of node {top[0]}, which .*'first'"):
        build(couplings=[first, second])
    with pytest.raises(ConstraintError, match="support 'clamp' holds .*coupling 'first' has eliminated"):
        build(couplings=[first], supports=[Support("clamp", top[:1])])
    with pytest.raises(ConstraintError, match="circle"):
        build(couplings=[Coupling("a", one, np.array([two])), Coupling("b", two, np.array([one]))])
    with pytest.raises(ConstraintError, match="has no rotations"):
        build(couplings=[Coupling("a", int(top[0]), top[1:])])
    with pytest.raises(ConstraintError, match="on one line"):
        build(couplings=[Coupling("a", one, top[:2])])
    far = Tie("bond", np.array([one]), mesh.facets["block.zmax"], tolerance=0.5)
    with pytest.raises(ConstraintError, match=rf"'bond': node {one} is 1 mm from the surface"):
        build(ties=[far])
    lost = build()
    f = np.zeros(lost.n_dof)
    f[3 * one + 1] = 1.0
    with pytest.raises(ConstraintError, match=f"component y of block {one}"):
        lost.reduce_force(f)


def column(n_low, n_high, gap=0.0, nu=0.3):
    """Two tied boxes under uniform traction along z; returns stress (e, q, 6), displacement of the top, traction."""
    low = generate.box((3.0, 3.0, 2.0), (n_low, n_low, 2), name="low")
    high = generate.box((3.0, 3.0, 2.0), (n_high, n_high, 2), origin=(0, 0, 2.0 + gap), name="high")
    mesh, _, _ = merge([low, high])
    index = np.full(mesh.n_points, -1, np.int32)
    on_axis = [int(np.flatnonzero(np.abs(mesh.points - p).max(axis=1) < 1e-9)[0]) for p in ([0.0, 0, 0], [3.0, 0, 0])]
    bottom = mesh.nodes["low.zmin"]
    supports = [
        Support("roller", bottom, translations=(False, False, True)),
        Support("pin", np.array(on_axis[:1]), translations=(True, True, False)),
        Support("slide", np.array(on_axis[1:]), translations=(False, True, False)),
    ]
    tie = Tie("bond", mesh.nodes["high.zmin"], mesh.facets["low.zmax"])
    elimination = build_elimination(mesh, index, activity(mesh, index), supports=supports, ties=[tie])
    group = solid(mesh, nu)
    K = assemble(mesh.points, [group], [], index)
    p = facet_points(mesh, mesh.facets["high.zmax"])
    f = np.zeros((mesh.n_points, 3))
    np.add.at(f[:, 2], p.nodes, 2.0 * p.area[:, None] * p.weights)
    with factorize(elimination.reduce(K)) as factor:
        u = elimination.expand(factor.solve(elimination.reduce_force(f.ravel()))).reshape(-1, 3)
    return stress(mesh.points, group, u), u[mesh.nodes["high.zmax"], 2]


def test_tie_patch_test_is_exact_where_slaves_refine_masters():
    s, top = column(2, 4)
    np.testing.assert_allclose(s[..., 2], 2.0, rtol=1e-9)
    np.testing.assert_allclose(np.delete(s, 2, axis=2), 0.0, atol=1e-9)
    np.testing.assert_allclose(top, 2.0 * 4.0 / E, rtol=1e-9)


def test_tie_patch_test_is_near_on_unrelated_meshes():
    """Tying nodes to surfaces is not a mortar method: between slave nodes the two sides do not quite agree."""
    s, top = column(3, 5, gap=0.2)
    error = s[..., 2] / 2.0 - 1.0
    assert abs(error).max() < 0.1  # at the integration points next to the interface
    assert np.sqrt((error**2).mean()) < 0.03
    np.testing.assert_allclose(top, 2.0 * 4.0 / E, rtol=2e-3)


def test_tie_across_a_gap_lets_everything_turn():
    low = generate.box((3.0, 3.0, 1.0), (3, 3, 1), name="low")
    points = low.points.copy()
    points[:, 2] += 0.05 * points[:, 0] ** 2 * (points[:, 2] > 0.5)
    low = Mesh(points, low.blocks, low.cells, low.facets, low.nodes)
    high = generate.box((3.6, 2.0, 1.0), (4, 3, 1), origin=(-0.4, 0.4, 1.5), name="high")  # overhangs
    mesh, _, _ = merge([low, high])
    index = np.full(mesh.n_points, -1, np.int32)
    tie = Tie("bond", mesh.nodes["high.zmin"], mesh.facets["low.zmax"])
    elimination = build_elimination(mesh, index, activity(mesh, index), ties=[tie])
    u = rigid_motion(mesh.points, index).ravel()
    np.testing.assert_allclose(elimination.expand(u[elimination.free]), u, atol=1e-12)
    K = elimination.reduce(assemble(mesh.points, [solid(mesh, 0.3)], [], index)).toarray()
    values = np.linalg.eigvalsh(K)
    assert (values[:6] < 1e-9 * values[-1]).all() and values[6] > 1e-6 * values[-1]
