"""A block between two others, twisted there and back: friction opens the loop, nothing else does."""

import numpy as np
import pytest
from test_contact_pairs import stack

from spinefix.analysis.nonlinear import Structure, replace
from spinefix.analysis.response import NonlinearResponse
from spinefix.fem import newton
from spinefix.model.core import Guide, LoadCase, PointSprings, Support

MOMENT = 8.0  # N mm


def twisted(friction, cycle="full"):
    """Twist the upper block about z under a follower load; springs turn it back. Rotations about z by branch."""
    model, top = stack(friction)
    foot = model.mesh.nodes["low.zmin"]
    ends = [[(4, y, 6), (4, 4 - y, 0)] for y in (0, 4)] + [[(0, y, 6), (0, 4 - y, 0)] for y in (0, 4)]
    nodes = [[int(np.argmin(np.linalg.norm(model.mesh.points - at, axis=1))) for at in pair] for pair in ends]
    springs = PointSprings("rods", np.array(nodes, np.int32), np.full(4, 10.0))
    supports = (
        model.supports[0],
        Support("guide", np.array([top], np.int32), (True, True, False), (True, True, False)),
    )
    guides = (Guide(np.array([top], np.int32), np.ones(1)), Guide(foot, np.full(len(foot), 1.0 / len(foot))))
    model = replace(model, supports=supports, point_springs=(springs,), guides=guides)
    case = LoadCase("twist", moments={top: np.array([0.0, 0.0, MOMENT])}, follower=10.0)
    response = NonlinearResponse(
        Structure(model), {"twist": case}, (0.5, 1.0), newton.Control(first=0.25, max_iterations=40), cycle=cycle
    )
    response.go_on("twist")
    row = model.mesh.n_points + int(response.structure.rotation_index[top])
    factors, u = response.path("twist")
    branches = [("loading", factors, u), *((b.name, b.factors, b.u) for b in response.branches("twist"))]
    return {name: (factors, u[:, row, 2]) for name, factors, u in branches}


def test_friction_opens_the_loop():
    curve = twisted(0.2)
    assert list(curve) == ["loading", "unloading", "reversed_loading", "reversed_unloading"]
    (up, residual), (down, other) = (
        (curve[there][1][-1], curve[back][1][-1])
        for there, back in (("loading", "unloading"), ("reversed_loading", "reversed_unloading"))
    )
    assert 0.1 * up < residual < 0.5 * up
    assert [down, other] == pytest.approx([-up, -residual], rel=0.02), "the loop is symmetric"
    factors, turns = (np.concatenate([[0.0], *(part[i] for part in curve.values())]) for i in (0, 1))
    assert MOMENT * np.trapezoid(factors, turns) > 0.0, "friction takes work"


def test_without_friction_it_comes_back_the_way_it_went():
    curve = twisted(0.0, "load_unload")
    loading, (factors, unloading) = curve["loading"][1], curve["unloading"]
    assert factors == pytest.approx([0.5, 0.0])
    assert unloading == pytest.approx([loading[0], 0.0], abs=1e-4 * loading[-1])
