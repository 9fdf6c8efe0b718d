"""Derived stress measures."""

import numpy as np
import pytest

from spinefix.fem.recover import principal, von_mises, weighted_percentile


def test_von_mises_from_principal_stresses():
    s = np.random.default_rng(0).normal(size=(5, 4, 6))
    a, b, c = np.moveaxis(principal(s), -1, 0)
    assert (a >= b).all()
    assert (b >= c).all()
    np.testing.assert_allclose(von_mises(s), np.sqrt(((a - b) ** 2 + (b - c) ** 2 + (c - a) ** 2) / 2), rtol=1e-12)
    np.testing.assert_allclose(von_mises([0, 0, 0, 2.0, 0, 0]), 2.0 * np.sqrt(3))
    np.testing.assert_allclose(von_mises([5.0, 5.0, 5.0, 0, 0, 0]), 0.0)


def test_weighted_percentile():
    values, weights = np.arange(100.0)[::-1], np.ones(100)
    assert weighted_percentile(values, weights, 99) == 98.0
    assert weighted_percentile(values, weights, 100) == 99.0
    assert weighted_percentile(values, np.where(values == 99.0, 1e-6, 1.0), 99) == 98.0
    assert weighted_percentile(np.array([[1.0, 10.0]]), np.array([[0.98, 0.02]]), 99) == 10.0
    with pytest.raises(ValueError, match="nothing"):
        weighted_percentile(np.zeros(0), np.zeros(0), 50)
