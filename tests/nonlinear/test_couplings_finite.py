"""Constraints and spread loads at finite rotation."""

import numpy as np
import pytest
from nltools import difference_tangent, evaluate, random_configuration

from spinefix.errors import ConstraintError
from spinefix.fem import couplings_finite as cf
from spinefix.fem import rotations
from spinefix.fem.items import Configuration, Program
from spinefix.mesh import generate
from spinefix.mesh.core import Mesh, merge
from spinefix.model.core import Coupling, Support, Tie


def two_boxes(gap=0.3):
    """Two boxes, the upper one tied across a gap; a reference point rigid with the bottom, one nested in it."""
    low = generate.box((2.0, 2.0, 2.0), (2, 2, 2), name="low")
    up = generate.box((1.4, 1.4, 1.0), (3, 3, 1), origin=(0.3, 0.2, 2.0 + gap), name="up")
    mesh, _, _ = merge([low, up])
    points = np.vstack([mesh.points, [[1.0, 1.0, -1.0], [4.0, 0.0, 0.0]]])
    mesh = Mesh(points, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    index = np.full(mesh.n_points, -1, np.int32)
    index[-2:] = [0, 1]
    active = np.ones(mesh.n_points + 2, bool)
    active[-4:] = False
    outer, inner = mesh.n_points - 1, mesh.n_points - 2
    constraints = cf.finite_constraints(
        mesh, index, active,
        couplings=(Coupling("inner", inner, mesh.nodes["low.zmin"]), Coupling("outer", outer, np.array([inner]))),
        ties=(Tie("bond", mesh.nodes["up.zmin"], mesh.facets["low.zmax"], 0.5),),
    )  # fmt: skip
    return mesh, constraints


def test_slaves_follow_a_rigid_motion_exactly():
    mesh, constraints = two_boxes()
    Q, shift = rotations.exp(np.array([1.5, -2.0, 1.0])), np.array([3.0, -1.0, 2.0])
    rigid = mesh.points @ Q.T + shift - mesh.points
    u = rigid.copy()
    slaves = np.unique(constraints.dofs.slave // 3)
    u[slaves[slaves < mesh.n_points]] = 7.0
    x = constraints.place(Configuration(u, np.stack([np.eye(3), Q])))
    assert np.allclose(x.u, rigid, atol=1e-12)
    assert np.allclose(x.R, Q)


def test_slave_map_and_geometric_stiffness_are_derivatives():
    mesh, constraints = two_boxes()
    x = constraints.place(random_configuration(mesh.n_points, 2))
    rng = np.random.default_rng(3)
    force = rng.normal(size=(constraints.n_blocks, 3))  # a dead load, conservative: potential f . u
    force[mesh.n_points :] = 0.0
    free = constraints.dofs.free
    h = 1e-6

    def full_map(y):
        T = np.zeros((3 * constraints.n_blocks, 3 * constraints.n_blocks))
        T[free, free] = 1.0
        T[constraints.dofs.slave] = constraints.slave_map(y).toarray()
        return T[:, free]

    T, G = full_map(x), constraints.geometric(x, force).toarray()[np.ix_(free, free)]
    some = np.concatenate([rng.choice(free, 20, replace=False), free[-6:]])
    for dof in some:
        step = np.zeros(3 * constraints.n_blocks)
        step[dof] = h
        plus = constraints.place(x.moved(step.reshape(-1, 3)))
        minus = constraints.place(x.moved(-step.reshape(-1, 3)))
        column = np.searchsorted(free, dof)
        assert np.allclose(plus.step_from(minus).ravel() / (2 * h), T[:, column], atol=1e-8)
        change = (full_map(plus) - full_map(minus)).T @ force.ravel() / (2 * h)
        moment = (T.T @ force.ravel())[-3:]
        exact = G[:, column].copy()
        if dof in free[-3:]:
            exact[-3:] -= 0.5 * np.cross(moment, np.eye(3)[np.searchsorted(free[-3:], dof)])
        assert np.allclose(change, exact, atol=1e-7)


def test_a_tie_without_gap_has_facet_weights():
    mesh, _ = two_boxes(gap=0.0)
    nodes, masters, weights = cf.tie_weights(mesh, Tie("bond", mesh.nodes["up.zmin"], mesh.facets["low.zmax"], 0.5))
    assert (weights >= 0.0).all()
    assert np.allclose(np.einsum("sm,smi->si", weights, mesh.points[masters]), mesh.points[nodes])
    assert np.allclose(mesh.points[masters[weights > 0]][:, 2], 2.0)


def test_prescribed_motion_needs_a_support():
    mesh, _ = two_boxes()
    index = np.full(mesh.n_points, -1, np.int32)
    index[-2:] = [0, 1]
    active = np.ones(mesh.n_points + 2, bool)
    motion = cf.Motion(0, Program.ramp(np.array([0.0, 0.0, 1.0])))
    held = Support("side", np.array([0]), (True, True, False))
    with pytest.raises(ConstraintError, match="node 0"):
        cf.finite_constraints(mesh, index, active, supports=(held,), motions=(motion,))


def distributed(follows=False, force=(1.0, -2.0, 0.5), seed=0):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (9, 3)) * [2.0, 1.5, 0.2]
    moment = Program.ramp(np.array([0.7, -0.4, 1.1]))
    return cf.DistributedLoad(
        "load", np.arange(2, 8, dtype=np.int32), rng.uniform(0.5, 1.5, 6), points, np.array([0.3, 0.2, 1.0]),
        Program.ramp(np.array(force)), moment, follows,
    )  # fmt: skip


@pytest.mark.parametrize("follows", [False, True])
def test_distributed_load_balances_and_its_tangent_is_exact(follows):
    item = distributed(follows)
    x = random_configuration(9, 0)
    x = Configuration((item.points + x.u) @ rotations.exp(np.array([1.0, 2.0, -0.5])).T - item.points, x.R)
    r, K, _ = evaluate(item, x, tangent=True)
    f = -r.reshape(-1, 3)
    R, shift = item.motion(x)
    F, M = item.force.at(1.0), item.moment.at(1.0)
    assert np.allclose(f.sum(axis=0), F, atol=1e-13)
    about = item.position + shift
    expected = R @ M if follows else M
    assert np.allclose(np.cross(item.points + x.u - about, f).sum(axis=0), expected, atol=1e-13)
    K_fd, _ = difference_tangent(item, x)
    assert np.allclose(K, K_fd, atol=1e-7 * np.abs(K).max())


def test_distributed_load_does_the_work_of_its_reference_point():
    item = distributed()
    x = random_configuration(9, 0)
    step = 1e-5 * np.random.default_rng(4).normal(size=(9, 3))
    y, z = x.moved(step), x.moved(-step)
    work = -evaluate(item, x)[0] @ (y.u - z.u).ravel()
    (R1, u1), (R0, u0) = item.motion(y), item.motion(z)
    expected = item.force.at(1.0) @ (u1 - u0) + item.moment.at(1.0) @ rotations.log(R1 @ R0.T)
    assert np.isclose(work, expected, rtol=1e-8)


def test_nodes_on_a_line_carry_no_moment():
    points = np.arange(4)[:, None] * np.ones(3)
    zero = Program.constant(np.zeros(3))
    with pytest.raises(ConstraintError, match="one line"):
        cf.DistributedLoad("load", np.arange(4), np.ones(4), points, np.zeros(3), zero, zero)
