"""Constraints and spread loads at finite rotation."""

import numpy as np
import pytest

from spinefix.errors import ConstraintError
from spinefix.fem import couplings_finite as cf
from spinefix.fem.items import Program
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


def test_a_tie_without_gap_has_facet_weights():
    mesh, _ = two_boxes(gap=0.0)
    nodes, masters, weights = cf.tie_weights(mesh, Tie("bond", mesh.nodes["up.zmin"], mesh.facets["low.zmax"], 0.5))
    assert (weights >= 0.0).all()
    assert np.allclose(np.einsum("sm,smi->si", weights, mesh.points[masters]), mesh.points[nodes])
    assert np.allclose(mesh.points[masters[weights > 0]][:, 2], 2.0)


@pytest.mark.parametrize("kinds", [("hex8", "tet10"), ("tet4", "hex8")])
def test_a_tie_between_parts_of_different_elements(kinds):
    low = generate.box((2.0, 2.0, 2.0), (2, 2, 2), name="low", kind=kinds[0])
    up = generate.box((2.0, 2.0, 1.0), (3, 3, 1), origin=(0.0, 0.0, 2.0), name="up", kind=kinds[1])
    mesh, _, _ = merge([low, up])
    nodes, masters, weights = cf.tie_weights(mesh, Tie("bond", mesh.nodes["up.zmin"], mesh.facets["low.zmax"], 0.5))
    assert masters.shape == (len(mesh.nodes["up.zmin"]), low.blocks[0].conn.shape[1])
    assert np.allclose(np.einsum("sm,smi->si", weights, mesh.points[masters]), mesh.points[nodes])
    assert np.isin(masters[weights > 0], mesh.nodes["low.zmax"]).all()


def test_prescribed_motion_needs_a_support():
    mesh, _ = two_boxes()
    index = np.full(mesh.n_points, -1, np.int32)
    index[-2:] = [0, 1]
    active = np.ones(mesh.n_points + 2, bool)
    motion = cf.Motion(0, Program.ramp(np.array([0.0, 0.0, 1.0])))
    held = Support("side", np.array([0]), (True, True, False))
    with pytest.raises(ConstraintError, match="node 0"):
        cf.finite_constraints(mesh, index, active, supports=(held,), motions=(motion,))


def test_nodes_on_a_line_carry_no_moment():
    points = np.arange(4)[:, None] * np.ones(3)
    zero = Program.constant(np.zeros(3))
    with pytest.raises(ConstraintError, match="one line"):
        cf.DistributedLoad("load", np.arange(4), np.ones(4), points, np.zeros(3), zero, zero)
