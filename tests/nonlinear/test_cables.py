"""Cables with tabulated curves and the follower load."""

import numpy as np
import pytest
from nltools import difference_tangent, evaluate, random_configuration
from scipy.sparse import csr_array

from spinefix.errors import ConstraintError, MaterialError
from spinefix.fem import rotations
from spinefix.fem.cables import Cables, FollowerLoad, ForceCurve
from spinefix.fem.items import Configuration, Program

POINTS = np.random.default_rng(1).uniform(-2, 2, (7, 3))
TABLE = np.array([0.0, 0.5, 1.0, 2.0]), np.array([0.0, 2.0, 10.0, 40.0])


def cables(**options):
    nodes = np.array([[0, 1], [1, 3], [2, 6]], np.int32)
    curve = ForceCurve(*TABLE, smooth=options.pop("smooth", False), tension_only=options.pop("tension_only", True))
    return Cables("ligament", POINTS, nodes, curve, np.array([1.0, 0.5, 2.0]), **options)


def follower():
    guides = np.zeros((4, 7))
    guides[0, :2], guides[1, 2], guides[2, 3:6], guides[3, [5, 6]] = [0.3, 0.7], 1.0, [0.5, 0.7, -0.2], [0.1, 0.9]
    return FollowerLoad("follower", POINTS, csr_array(guides), Program.ramp(np.array(5.0)))


def turned(x):
    Q = rotations.exp(np.array([1.0, -2.0, 0.4]))
    return Q, Configuration((POINTS + x.u) @ Q.T + 3.0 - POINTS, Q @ x.R)


@pytest.mark.parametrize("smooth", [False, True])
def test_curve_is_its_table_and_its_derivatives_agree(smooth):
    curve = ForceCurve(*TABLE, smooth=smooth)
    assert np.allclose(curve(TABLE[0])[1], TABLE[1])
    assert np.all(curve(np.array([-5.0, -1e-9, 0.0]))[1] == 0.0)
    x = np.array([-3.0, -0.2, 0.2, 0.7, 1.4, 2.5, 9.0])
    h = 1e-6
    plus, minus, mid = curve(x + h), curve(x - h), curve(x)
    assert np.allclose((plus[0] - minus[0]) / (2 * h), mid[1], atol=1e-7)
    assert np.allclose((plus[1] - minus[1]) / (2 * h), mid[2], atol=1e-7)
    fine = curve(np.linspace(0.0, 4.0, 400))[1]
    assert (np.diff(fine) >= 0.0).all()


def test_curves_that_cannot_be_are_refused():
    with pytest.raises(MaterialError, match="ascending"):
        ForceCurve(np.array([0.0, 0.0]), np.array([0.0, 1.0]))
    with pytest.raises(MaterialError, match="tension-only"):
        ForceCurve(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    with pytest.raises(ConstraintError, match="unstressed"):
        cables(slack=np.full(3, -10.0))
    with pytest.raises(ConstraintError, match="sum to one"):
        FollowerLoad("f", POINTS, csr_array(np.ones((2, 7))), Program.ramp(np.array(1.0)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"smooth": True, "gauge": np.array([0.8, 1.5, 2.0])},
        {"tension_only": False},
        {"slack": np.array([-0.3, -0.2, 0.1])},
    ],
)
def test_cable_force_and_tangent_are_derivatives_and_objective(options):
    item = cables(**options)
    x = random_configuration(7, 0, amount=0.5, turn=0.0)
    r, K, energy = evaluate(item, x, tangent=True)
    K_fd, g = difference_tangent(item, x)
    assert energy > 0.01
    assert np.allclose(r, g, atol=1e-7 * np.abs(r).max())
    assert np.allclose(K, K_fd, atol=1e-7 * np.abs(K).max())
    Q, y = turned(x)
    r2, _, e2 = evaluate(item, y)
    assert np.isclose(e2, energy, rtol=1e-12)
    assert np.allclose(r2.reshape(-1, 3), r.reshape(-1, 3) @ Q.T, atol=1e-11)


def test_follower_load_has_constant_force_and_exact_tangent():
    item = follower()
    x = random_configuration(7, 0, amount=0.5)
    r, K, _ = evaluate(item, x, time=0.6, tangent=True)
    K_fd, _ = difference_tangent(item, x, time=0.6)
    assert np.allclose(K, K_fd, atol=1e-7 * np.abs(K).max())
    f = -r.reshape(-1, 3)
    first = np.diff(item.path(x), axis=0)[0]
    assert np.allclose(f[0] / 0.3, 3.0 * first / np.linalg.norm(first))
    assert np.abs(f.sum(axis=0)).max() < 1e-14
    assert np.abs(np.cross(POINTS + x.u, f).sum(axis=0)).max() < 1e-13
    Q, y = turned(x)
    assert np.allclose(-evaluate(item, y, time=0.6)[0].reshape(-1, 3), f @ Q.T, atol=1e-13)
