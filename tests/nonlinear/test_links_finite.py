"""Interfaces in a turning frame: an embedded screw and an elastic foundation."""

import numpy as np
import pytest
from nltools import difference_tangent, evaluate

from spinefix.analysis import nonlinear
from spinefix.analysis.solve import solve as solve_linear
from spinefix.fem import rotations
from spinefix.fem.items import Configuration
from spinefix.fem.links import embedded_links, surface_links
from spinefix.fem.links_finite import CorotatedLinks
from spinefix.mesh import generate
from spinefix.mesh.core import merge
from spinefix.model.core import Embedding, LoadCase, Material, Model, Section, Support, SurfaceSprings

ROUND = Section("rod", np.pi, np.pi / 4, np.pi / 4, np.pi / 2, 0.9, 0.9, 1.0, 1.0, True)


def screw_in_block():
    block = generate.box((6.0, 6.0, 6.0), (3, 3, 3), name="block")
    beam = generate.polyline(np.array([[3.0, 3.0, -2.0], [3.0, 3.0, 0.0], [3.0, 3.0, 5.0]]), 2.5, name="screw")
    mesh, (_, head), _ = merge([block, beam])
    n, b = mesh.n_cells, beam.n_cells
    bone = Material("bone", "isotropic", {"E_MPa": 200.0, "nu": 0.3})
    metal = Material("metal", "isotropic", {"E_MPa": 1e5, "nu": 0.3})
    is_beam = np.arange(n) >= n - b
    model = Model(
        mesh, (bone, metal), is_beam.astype(np.int32), np.ones((n, 8)), np.zeros((n, 2, 3)), (ROUND,),
        np.where(is_beam, 0, -1).astype(np.int32), np.zeros((n, 3)),
        embeddings=(Embedding("L3.screw", mesh.cells["screw"], mesh.cells["block"], 1.0, 300.0, 100.0),),
        supports=(Support("far", mesh.nodes["block.zmax"]),),
    )  # fmt: skip
    return model, head


def embedding_item():
    model, _ = screw_in_block()
    index = nonlinear.rotation_index(model)
    n_dof = 3 * (model.mesh.n_points + index.max() + 1)
    return CorotatedLinks(model.mesh.points, embedded_links(model.mesh, index, model.embeddings[0], n_dof)), index


def foundation_item():
    low = generate.box((4.0, 4.0, 1.0), (2, 2, 1), name="low")
    up = generate.box((3.0, 3.0, 1.0), (1, 1, 1), origin=(0.4, 0.5, 1.4), name="up")
    mesh, _, _ = merge([low, up])
    springs = SurfaceSprings("joint", mesh.facets["up.zmin"], mesh.facets["low.zmax"], 10.0, 3.0)
    links = surface_links(mesh, springs, 3 * mesh.n_points)
    return CorotatedLinks(mesh.points, links), np.full(mesh.n_points, -1, np.int32)


def turned(item, n_rotations, Q, amount, seed=0):
    """Small random relative motion, then a large common rotation."""
    rng = np.random.default_rng(seed)
    X = item.points + amount * rng.uniform(-1, 1, item.points.shape)
    R = rotations.exp(amount * rng.uniform(-1, 1, (n_rotations, 3)))
    return Configuration(X @ Q.T + 2.0 - item.points, Q @ R)


@pytest.mark.parametrize("build", [embedding_item, foundation_item])
def test_links_are_exact_gradients_in_balance_and_objective(build):
    item, index = build()
    n_rotations = index.max() + 1
    Q = rotations.exp(np.array([1.0, -2.0, 0.7]))
    rigid = turned(item, n_rotations, Q, 0.0)
    assert item.energy(rigid, ()) < 1e-20
    x = turned(item, n_rotations, Q, 0.1)
    r, _, energy = evaluate(item, x)
    _, g = difference_tangent(item, x)
    assert np.allclose(r, g, atol=1e-6 * np.abs(r).max())
    n = len(item.points)
    f = r.reshape(-1, 3)
    assert np.abs(f[:n].sum(axis=0)).max() < 1e-10 * np.abs(f).max()
    moment = np.cross(item.points + x.u, f[:n]).sum(axis=0) + f[n:].sum(axis=0)
    assert np.abs(moment).max() < 1e-9 * np.abs(f).max()
    before = turned(item, n_rotations, np.eye(3), 0.1)
    plain, _, same = evaluate(item, before)
    assert np.isclose(energy, same, rtol=1e-10)
    assert np.allclose(f, plain.reshape(-1, 3) @ Q.T, atol=1e-9 * np.abs(f).max())


@pytest.mark.parametrize("build", [embedding_item, foundation_item])
def test_tangent_is_exact_where_nothing_moved_relatively(build):
    item, index = build()
    x = turned(item, index.max() + 1, rotations.exp(np.array([1.0, -2.0, 0.7])), 0.0)
    _, K, _ = evaluate(item, x, tangent=True)
    K_fd, _ = difference_tangent(item, x)
    assert np.allclose(K, K_fd, atol=1e-6 * np.abs(K).max())


def test_screw_in_bone_agrees_with_the_linear_analysis_and_turns_far():
    model, head = screw_in_block()
    small = LoadCase("small", forces={head: np.array([0.02, 0.01, -0.02])})
    _, linear = solve_linear(model, [small])
    steps = [
        nonlinear.Step("small", small),
        nonlinear.Step("large", LoadCase("large", moments={head: [0.0, 2e3, 0.0]})),
    ]
    solution = nonlinear.solve(model, steps)
    assert np.allclose(solution.u[0], linear.blocks("small"), rtol=0.01, atol=1e-3 * np.abs(linear.u).max())
    assert solution.rotation(head)[1, 1] > 0.5
    assert solution.solver["cutbacks"] == 0
