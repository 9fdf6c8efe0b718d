"""Interfaces in a turning frame: an embedded screw and an elastic foundation."""

import numpy as np

from spinefix.analysis import nonlinear
from spinefix.analysis.solve import solve as solve_linear
from spinefix.mesh import generate
from spinefix.mesh.core import merge
from spinefix.model.core import Embedding, LoadCase, Material, Model, Section, Support

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
