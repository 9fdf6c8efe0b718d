"""Factorizations that turn with the nodes, and the Krylov iterations that use them."""

import numpy as np
import pytest

from spinefix.analysis.nonlinear import Step, build_problem
from spinefix.fem import newton, rotations
from spinefix.fem.directions import FrozenKrylov, conjugate_gradients, gmres
from spinefix.fem.items import Configuration
from spinefix.mesh.generate import box
from spinefix.model.core import LoadCase, Material, Model, Support

SOFT = Material("soft", "neo_hookean", {"mu_MPa": 1.0, "K_MPa": 5.0}, "standard")
STIFF = Material("stiff", "neo_hookean", {"mu_MPa": 2e3, "K_MPa": 5e3}, "standard")


def block(supports=(), divisions=(2, 2, 3)):
    """A soft box of 6 x 6 x 9 mm with a stiff top."""
    mesh = box((6.0, 6.0, 9.0), divisions)
    e = mesh.n_cells
    top = mesh.points[mesh.blocks[0].conn].mean(axis=1)[:, 2] > 6.0
    return Model(
        mesh, (SOFT, STIFF), top.astype(np.int32), np.ones((e, 8)), np.zeros((e, 2, 3)), (),
        np.full(e, -1, np.int32), np.zeros((e, 3)), supports=supports,
    )  # fmt: skip


def test_turned_tangent_is_that_of_the_turned_body():
    model = block()
    problem = build_problem(model, [Step("none", LoadCase("none"))])
    x, states = problem.start()
    R = rotations.exp(np.array([[0.7, -1.1, 0.4]]))[0]
    turned = Configuration(model.mesh.points @ R.T - model.mesh.points, x.R)
    before, now = (problem.tangent(c, 0.0, states) for c in (x, turned))
    turns = now.turns.since(before.turns)
    assert np.allclose(turns.R, R, atol=1e-12)
    v = np.random.default_rng(0).normal(size=len(problem.free))
    assert np.allclose(turns.back(turns.turn(v)), v, atol=1e-12)
    assert np.allclose(now @ v, turns.turn(before @ turns.back(v)), rtol=1e-10, atol=1e-9 * np.abs(now @ v).max())


def test_rotation_of_a_border_node_is_that_of_the_stiffer_side():
    model = block()
    problem = build_problem(model, [Step("none", LoadCase("none"))])
    x, states = problem.start()
    problem.tangent(x, 0.0, states)
    X = model.mesh.points
    R = rotations.exp(np.array([[0.0, 0.3, 0.0]]))[0]
    u = np.where(X[:, 2:] >= 6.0, (X - [3.0, 3.0, 6.0]) @ R.T + [3.0, 3.0, 6.0] - X, 0.0)
    turns = problem.tangent(Configuration(u, x.R), 0.0, states).turns
    border = np.isclose(X[:, 2], 6.0)
    assert np.abs(turns.R[border] - R).max() < 0.01
    assert np.allclose(turns.R[X[:, 2] > 7.0], R, atol=1e-12)


def test_blocks_with_held_dofs_do_not_turn():
    mesh = block().mesh
    bottom = np.flatnonzero(mesh.points[:, 2] == 0.0).astype(np.int32)
    problem = build_problem(block((Support("slide", bottom, (False, False, True)),)), [Step("none", LoadCase("none"))])
    x, states = problem.start()
    R = rotations.exp(np.array([[0.0, 0.0, 0.5]]))[0]
    turns = problem.tangent(Configuration(mesh.points @ R.T - mesh.points, x.R), 0.0, states).turns
    assert np.array_equal(turns.R[bottom], np.tile(np.eye(3), (len(bottom), 1, 1)))
    assert np.allclose(np.delete(turns.R, bottom, axis=0), R, atol=1e-12)


@pytest.mark.parametrize("method", [conjugate_gradients, gmres])
def test_krylov_reaches_the_tolerance_in_energy(method):
    rng = np.random.default_rng(1)
    Q, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    A = Q @ np.diag(np.geomspace(1.0, 1e6, 60)) @ Q.T
    near = A + 0.3 * Q @ np.diag(np.geomspace(1.0, 1e6, 60) * rng.uniform(0.0, 1.0, 60)) @ Q.T
    M, b = np.linalg.inv(near), rng.normal(size=60)
    x, iterations = method(lambda v: A @ v, lambda r: M @ r, b, 1e-6, 60)
    rest = b - A @ x
    assert np.sqrt(rest @ M @ rest) <= 1.01e-6 * np.sqrt(b @ M @ b) and 3 < iterations < 30
    nothing, none = method(lambda v: A @ v, lambda r: M @ r, 0.0 * b, 1e-6, 60)
    assert not nothing.any() and none == 0


def test_gmres_solves_where_the_matrix_is_unsymmetric():
    rng = np.random.default_rng(2)
    M, b = np.diag(rng.uniform(0.5, 2.0, 40)), rng.normal(size=40)
    A = np.linalg.inv(M) + 0.2 * np.outer(rng.normal(size=40), rng.normal(size=40))
    x, iterations = gmres(lambda v: A @ v, lambda r: M @ r, b, 1e-10, 30)
    assert np.allclose(A @ x, b, atol=1e-8) and iterations <= 4


def test_one_factorization_serves_a_column_that_turns():
    model = block()
    X = model.mesh.points
    bottom = np.flatnonzero(X[:, 2] == 0.0).astype(np.int32)
    top = np.flatnonzero(X[:, 2] == 9.0)
    model = block((Support("held", bottom),))
    forces = {int(i): np.array([0.0, 0.0, 0.9 * (X[i, 0] - 3.0)]) for i in top}
    step = Step("bend", LoadCase("bend", forces=forces), factors=(0.5, 1.0))
    found = {}
    for strategy in ("newton", "krylov"):
        problem = build_problem(model, [step])
        path = newton.solve(problem, [0.5, 1.0], newton.Control(strategy=strategy))
        found[strategy] = path.increments[-1].x.u, sum(a.factorizations for a in path.history)
    (exact, many), (u, few) = found["newton"], found["krylov"]
    lean = np.degrees(np.arctan2(np.ptp(exact[top][:, 2]), 6.0))
    assert lean > 20.0, lean
    assert np.abs(u - exact).max() < 1e-7 * np.abs(exact).max()
    assert few <= 2 < many


def test_factor_of_another_size_is_not_used():
    direction = FrozenKrylov()
    for divisions in ((2, 2, 2), (2, 2, 3)):
        mesh = block(divisions=divisions).mesh
        bottom = np.flatnonzero(mesh.points[:, 2] == 0.0).astype(np.int32)
        model = block((Support("held", bottom),), divisions)
        problem = build_problem(model, [Step("none", LoadCase("none"))])
        x, states = problem.start()
        r = np.ones(len(problem.free))
        K = problem.tangent(x, 0.0, states)
        assert np.allclose(K @ direction.find(r, lambda K=K: K), -r, atol=1e-6)
    direction.release()
