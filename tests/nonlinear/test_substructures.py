"""Steps of structures with condensed parts: few Krylov iterations, the same answers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from soft_column import column

from spinefix.analysis.nonlinear import Step, Structure
from spinefix.errors import ConvergenceError
from spinefix.fem import coarse_space, newton, rotations
from spinefix.fem.coarse_space import Layout, weak_shapes
from spinefix.fem.items import Stiffness
from spinefix.fem.substructures import Substructured


def bent(structure, case, strategy, **options):
    control = newton.Control(strategy=strategy, **options)
    return structure.solve([Step("bend", case)], control)


def test_answers_are_those_of_full_newton(small):
    model, case, top = column()
    loaded = np.array([top], np.int32)
    found, exact = (bent(Structure(model, loaded=loaded), case, s) for s in ("substructures", "newton"))
    assert np.linalg.norm(exact.rotation(top)[-1]) > np.radians(20.0)
    assert np.allclose(found.u, exact.u, atol=1e-6 * np.abs(exact.u).max())
    turns = [sum(a.iterations for a in s.history) for s in (found, exact)]
    assert turns[0] <= turns[1] + 3


def test_few_iterations_wherever_the_column_is(small):
    """Fewer than 10 iterations for each step, of a solution of the coarse and of the stiff problem, bent or not."""
    model, case, top = column()
    structure = Structure(model, loaded=np.array([top], np.int32))
    solution = bent(structure, case, "substructures")
    solves = sum(a.solves for a in solution.history)
    steps = sum(a.iterations for a in solution.history)
    assert 3 * steps < solves < 2 * 10 * steps


def test_layout_knows_which_part_is_held(small):
    """The lower bone is clamped and has no rigid motion; the upper one moves with its reference point."""
    model, case, top = column()
    structure = Structure(model, loaded=np.array([top], np.int32))
    problem = structure.problem([Step("bend", case)])
    x, states = problem.start()
    K = problem.tangent(x, 0.0, states)
    layout = Layout.of(K, K.dense)
    assert layout.modes.shape == (len(problem.free), 6) and set(layout.part) == {1}
    moving = np.abs(layout.modes).max(axis=1) > 0.0
    assert not moving[layout.plain].any() and not np.intersect1d(layout.plain, layout.stiff).size
    # a rigid motion of the upper bone strains the disc alone
    upper = next(i for i, t in enumerate(layout.touched) if len(t))
    strained = K.dense.spread(layout.modes[:, 4])[upper]
    assert np.abs(K.dense.parts[upper].of_modes(strained[:, None])).max() < 1e-9 * np.abs(strained).max()


def test_weak_shapes_are_those_of_the_eigenproblem():
    """Three shapes give way more easily than their surroundings; the rigid motion is none of them."""
    rng = np.random.default_rng(3)
    n = 60
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    ratio = np.concatenate([[0.0, 0.02, 0.1, 0.2], np.geomspace(0.6, 1e4, n - 4)])
    around = rng.normal(size=(n, n))
    around = around @ around.T + n * np.eye(n)
    L = np.linalg.cholesky(around)
    own = L @ (Q * ratio) @ Q.T @ L.T  # own x = ratio around x for the columns x of shapes
    shapes = np.linalg.solve(L.T, Q)
    found = weak_shapes(own, around, shapes[:, :1])
    assert found.shape == (n, 3)
    assert np.abs(shapes[:, 0] @ around @ found).max() < 1e-4, "rigid"
    parts = shapes[:, 1:4].T @ around @ found
    assert np.allclose(np.abs(np.linalg.det(parts)), np.sqrt(np.linalg.det(found.T @ around @ found)), rtol=1e-2)


def test_a_part_that_gives_way_costs_fewer_iterations_if_its_shapes_are_known(small, monkeypatch):
    """Bone as soft as the disc bends with it."""
    model, case, top = column(20.0)
    soft = replace(model.materials[0], parameters={"E_MPa": 4.0, "nu": 0.3})
    model = replace(model, materials=(soft, *model.materials[1:]))

    def solves():
        solution = bent(Structure(model, loaded=np.array([top], np.int32)), case, "substructures")
        return sum(a.solves for a in solution.history)

    known = solves()
    monkeypatch.setattr(coarse_space, "WEAK", -0.5)  # none at all
    assert known < 0.8 * solves()


def test_rough_products_keep_what_is_soft():
    """Six digits of the whole, and no force at all from rigid motion."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (20, 3))
    spin = np.stack([np.cross(axis, X).ravel() for axis in np.eye(3)], axis=1)
    rigid = np.hstack([np.tile(np.eye(3), (20, 1)), spin])
    P = np.eye(60) - rigid @ np.linalg.pinv(rigid)
    A = rng.normal(size=(60, 60))
    S = Stiffness(P @ (1e6 * A @ A.T) @ P, rigid)
    v = rng.normal(size=60)
    assert np.allclose(S.rough(v), S.matrix @ v, rtol=1e-4, atol=1e-5 * np.abs(S.matrix @ v).max())
    turned = rigid @ rng.normal(size=6)
    assert not S.strains(turned[:, None]) and S.strains(v[:, None])
    assert np.abs(S.rough(1e4 * turned)).max() < 1e-6 * np.abs(S.matrix @ v).max()
    assert np.abs(rigid.T @ S.rough(v)).max() < 1e-9 * np.abs(S.matrix @ v).max()


def test_a_tangent_that_leads_nowhere_asks_for_a_smaller_increment(small):
    model, case, top = column()
    structure = Structure(model, loaded=np.array([top], np.int32))
    problem = structure.problem([Step("bend", case)])
    x, states = problem.start()
    K = problem.tangent(x, 0.0, states)
    b = np.random.default_rng(1).normal(size=len(problem.free))
    found = Substructured()
    assert np.linalg.norm(K @ found.find(-b, lambda: K) - b) < 0.1 * np.linalg.norm(b)
    bad = replace(K, matrix=csr_array(K.matrix - 1e3 * abs(K.matrix).max() * csr_array(np.eye(len(problem.free)))))
    with pytest.raises(ConvergenceError, match="not positive definite"):
        Substructured().find(-b, lambda: bad)


def test_an_indefinite_tangent_is_held_back_until_its_step_goes_downhill(small, monkeypatch):
    """Less stiffness on the diagonal, by a share that the disc does not bear."""
    model, case, top = column()
    problem = Structure(model, loaded=np.array([top], np.int32)).problem([Step("bend", case)])
    x, states = problem.start()
    K = problem.tangent(x, 0.0, states)
    residual = np.random.default_rng(2).normal(size=len(problem.free))
    less = csr_array((K.matrix.data.copy(), K.matrix.indices, K.matrix.indptr), shape=K.matrix.shape)
    less.setdiag(0.9 * K.matrix.diagonal())
    bad = replace(K, matrix=less)
    found = Substructured()
    assert found.find(residual, lambda: bad) @ residual < 0.0
    sound = found.find(residual, lambda: K)
    assert np.linalg.norm(K @ sound + residual) < 0.1 * np.linalg.norm(residual), "the next step knows nothing of it"
    monkeypatch.setattr(coarse_space, "SHIFTS", (0.0,))
    with pytest.raises(ConvergenceError, match="not positive definite"):
        Substructured().find(residual, lambda: bad)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_guess_saves_increments_and_a_wrong_one_does_no_harm(small, wrong):
    model, case, top = column()
    structure = Structure(model, loaded=np.array([top], np.int32))
    control = newton.Control(strategy="substructures", first=0.25)
    known = structure.solve([Step("bend", case)], control)
    guess = known.increments[-1].x
    if wrong:
        guess = replace(guess, u=guess.u @ rotations.exp(np.array([2.5, 1.0, 0.3])).T * 3.0)
    again = structure.solve([Step("bend", case)], control, guesses={1.0: guess})
    assert np.allclose(again.u[-1], known.u[-1], atol=1e-6 * np.abs(known.u).max())
    assert (len(again.history) == 1) is not wrong


def test_a_released_strategy_begins_anew(small):
    """What was factorized is gone; the next step makes it again and is the same."""
    model, _, top = column()
    structure = Structure(model, loaded=np.array([top], np.int32))
    problem = structure.problem([Step("bend", column()[1])])
    x, states = problem.start()
    balance = problem.evaluate(x, 0.5, states)
    strategy = Substructured()

    def step():
        return strategy.find(balance.residual, lambda: problem.tangent(x, 0.5, states))

    first = step()
    strategy.release()
    assert np.allclose(step(), first, rtol=1e-6, atol=1e-9 * np.abs(first).max())
