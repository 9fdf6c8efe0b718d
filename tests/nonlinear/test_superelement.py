"""Condensed parts at finite rotation: tangent, rigid motion, and the same answers as the whole model."""

from dataclasses import replace

import numpy as np
import pytest
from nltools import difference_tangent, evaluate
from scipy.sparse import csr_array
from soft_column import BONE, column

from spinefix.analysis import nonlinear
from spinefix.analysis.nonlinear import Step, Structure
from spinefix.fem import rotations
from spinefix.fem.items import Configuration
from spinefix.fem.superelement import Superelement, condense
from spinefix.fem.turning_frame import TurningFrame
from spinefix.mesh import generate
from spinefix.mesh.core import merge
from spinefix.model.core import Coupling, LoadCase, Model, Support, Tie


def test_condensed_matrix_answers_as_the_whole():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(9, 9))
    K, kept, inside = A @ A.T + np.eye(9), np.arange(4, 9, dtype=np.int32), np.arange(4, dtype=np.int32)
    part = condense(csr_array(K), kept, inside, "superlu")
    f = np.concatenate([np.zeros(4), rng.normal(size=5)])
    u = np.linalg.solve(K, f)
    assert np.allclose(part.stiffness @ u[kept], f[kept], rtol=1e-10)
    assert np.allclose(part.inward(u[kept]), u[inside], rtol=1e-10)
    assert condense(csr_array(K), kept, inside, "superlu") is part


def test_bone_is_condensed_and_bends_as_before(small):
    model, case, top = column()
    whole = Structure(model).solve([Step("bend", case)])
    parts = Structure(model, loaded=np.array([top], np.int32))
    found = parts.solve([Step("bend", case)])
    assert len(parts.superelements) == 2 and parts.inside
    turn = whole.rotation(top)[-1]
    assert np.linalg.norm(turn) > np.radians(20.0)
    assert np.linalg.norm(found.rotation(top)[-1] - turn) < 1e-3 * np.linalg.norm(turn)
    assert np.abs(found.u[-1] - whole.u[-1]).max() < 1e-3 * np.abs(whole.u[-1]).max()
    # what is inside is in balance but for the strains of bone, which turn with the part and not with each element
    problem = Structure(model).problem([Step("bend", case)])
    x = found.increments[-1].x
    rest = np.abs(problem.evaluate(x, 1.0, problem.start()[1]).residual).max()
    assert rest < 0.02 * np.abs(found.reactions[-1]).max()


def test_tied_parts_are_condensed_too(small):
    """Slaves may follow all nodes of an element, not those of its facet alone: all of them must be kept."""
    low = generate.box((10.0, 10.0, 9.0), (3, 3, 3), name="low")
    up = generate.box((8.0, 8.0, 9.0), (4, 4, 3), origin=(1.0, 1.0, 9.0), name="up")
    mesh, (_, first), _ = merge([low, up])
    mesh = replace(mesh, points=np.vstack([mesh.points, [5.0, 5.0, 18.0]]))
    n, top = mesh.n_cells, mesh.n_points - 1
    model = Model(
        mesh, (BONE,), np.zeros(n, np.int32), np.ones((n, 8)), np.zeros((n, 2, 3)), (), np.full(n, -1, np.int32),
        np.zeros((n, 3)), ties=(Tie("bonded", mesh.nodes["up.zmin"], mesh.facets["low.zmax"]),),
        couplings=(Coupling("load", top, mesh.nodes["up.zmax"]),), supports=(Support("clamp", mesh.nodes["low.zmin"]),),
    )  # fmt: skip
    case = LoadCase("bend", moments={top: np.array([0.0, 4000.0, 1000.0])})
    whole = Structure(model).solve([Step("bend", case)])
    parts = Structure(model, loaded=np.array([top], np.int32))
    assert len(parts.superelements) == 2
    turn = whole.rotation(top)[-1]
    assert np.linalg.norm(parts.solve([Step("bend", case)]).rotation(top)[-1] - turn) < 2e-3 * np.linalg.norm(turn)


def test_force_is_derivative_of_energy_and_tangent_is_right_to_second_order(small):
    model, _, top = column()
    item = Structure(model, loaded=np.array([top], np.int32)).superelements[1]
    rng = np.random.default_rng(1)
    Q = rotations.exp(np.array([0.7, -0.4, 1.1]))
    n, turns = model.mesh.n_points, 1
    errors = []
    for amount in (1e-2, 1e-3):
        X = model.mesh.points + amount * rng.uniform(-1, 1, (n, 3))
        x = Configuration(X @ Q.T + 3.0 - model.mesh.points, np.tile(Q, (turns, 1, 1)))
        r, K, _ = evaluate(item, x, tangent=True)
        K_fd, g = difference_tangent(item, x)
        assert np.allclose(r, g, atol=1e-6 * np.abs(r).max())
        errors.append(np.abs(K - K_fd).max() / np.abs(K_fd).max())
    assert errors[0] < 1e-4 and errors[1] < 1e-6


def test_rigid_motion_costs_nothing(small):
    model, _, top = column()
    for item in Structure(model, loaded=np.array([top], np.int32)).superelements:
        assert isinstance(item, Superelement) and isinstance(item.frame, TurningFrame)
        Q = rotations.exp(np.array([0.2, 2.0, -0.5]))
        x = Configuration(model.mesh.points @ Q.T + 5.0 - model.mesh.points, Q[None])
        r, _, energy = evaluate(item, x)
        assert abs(energy) < 1e-9 and np.abs(r).max() < 1e-6


def test_loads_only_where_they_were_announced(small):
    model, case, top = column()
    structure = Structure(model, loaded=np.array([top], np.int32))
    other = LoadCase("push", forces={0: np.ones(3)})
    with pytest.raises(nonlinear.UsageError, match="node 0 is not among the loaded nodes"):
        structure.solve([Step("push", other)])
