"""Exponential, logarithm and tangent operators of finite rotations."""

import numpy as np
import pytest

from spinefix.fem import rotations as rot
from spinefix.fem.kinematics import cross_matrix


def vectors(angle, n=20, seed=0):
    v = np.random.default_rng(seed).normal(size=(n, 3))
    return angle * v / np.linalg.norm(v, axis=1, keepdims=True)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-5, 0.29, 0.31, 1.0, 3.0, np.pi - 1e-6])
def test_log_inverts_exp(angle):
    v = vectors(angle)
    R = rot.exp(v)
    assert np.allclose(R @ R.transpose(0, 2, 1), np.eye(3), atol=1e-15)
    assert np.allclose(rot.log(R), v, rtol=1e-9, atol=1e-15)


def test_log_at_half_a_turn_gives_back_the_rotation():
    R = rot.exp(vectors(np.pi))
    v = rot.log(R)
    assert np.allclose(np.linalg.norm(v, axis=1), np.pi, atol=1e-14)
    assert np.allclose(rot.exp(v), R, atol=1e-14)


def test_log_near_follows_beyond_half_a_turn():
    axis = vectors(1.0, 1)[0]
    v = np.zeros(3)
    for angle in np.linspace(0.0, 14.0, 57):
        v = rot.log_near(rot.exp(angle * axis), v)
        assert np.allclose(v, angle * axis, atol=1e-12)


@pytest.mark.parametrize("angle", [1e-7, 0.1, 0.299, 0.301, 2.0, 4.0])
def test_spin_operators_are_derivatives(angle):
    v = vectors(angle, 5)
    m = vectors(3.0, 5, seed=1)
    h = 1e-6
    H, D = rot.spin_operator(v), rot.moment_derivative(v, m)
    assert np.allclose(rot.inverse_spin_operator(v) @ H, np.eye(3), atol=1e-12)

    def conjugate(w):
        return np.einsum("nji,nj->ni", rot.inverse_spin_operator(w), m)

    for i in range(3):
        dv = h * np.eye(3)[i]
        spin = rot.log(rot.exp(v + dv) @ rot.exp(v - dv).transpose(0, 2, 1)) / (2 * h)
        assert np.allclose(spin, H[:, :, i], atol=1e-8)
        assert np.allclose((conjugate(v + dv) - conjugate(v - dv)) / (2 * h), D[:, :, i], atol=1e-8)


def test_skew_part_of_the_tangent_in_spins_comes_from_the_moment():
    """E(R) = tr(A R): the derivative of its moment in spins has the skew part -[m] / 2, as `items` states."""
    rng = np.random.default_rng(2)
    A, R, h = rng.normal(size=(3, 3)), rot.exp(np.array([0.3, -1.0, 0.7])), 1e-6

    def moment(Q):
        return np.array([np.trace(A @ cross_matrix(e) @ Q) for e in np.eye(3)])

    K = np.stack([(moment(rot.exp(h * e) @ R) - moment(rot.exp(-h * e) @ R)) / (2 * h) for e in np.eye(3)], axis=1)
    assert np.allclose(0.5 * (K - K.T), -0.5 * cross_matrix(moment(R)), atol=1e-8)
