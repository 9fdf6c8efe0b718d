"""Cables with tabulated curves and the follower load."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from spinefix.errors import ConstraintError, MaterialError
from spinefix.fem.cables import Cables, FollowerLoad, ForceCurve
from spinefix.fem.items import Program

POINTS = np.random.default_rng(1).uniform(-2, 2, (7, 3))
TABLE = np.array([0.0, 0.5, 1.0, 2.0]), np.array([0.0, 2.0, 10.0, 40.0])


def cables(**options):
    nodes = np.array([[0, 1], [1, 3], [2, 6]], np.int32)
    curve = ForceCurve(*TABLE, smooth=options.pop("smooth", False), tension_only=options.pop("tension_only", True))
    return Cables("ligament", POINTS, nodes, curve, np.array([1.0, 0.5, 2.0]), **options)


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
