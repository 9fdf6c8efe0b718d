"""Beams at large rotation against closed forms and a published benchmark."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ellipe, ellipeinc, ellipk, ellipkinc
from test_beams_finite import beams

from spinefix.fem import couplings_finite, newton
from spinefix.fem.equilibrium import Problem
from spinefix.fem.items import PointLoads, Program
from spinefix.mesh.core import CellBlock, Mesh
from spinefix.model.core import Support


def cantilever(points, *, force=(0, 0, 0), moment=(0, 0, 0), follows=False, orientation=(0.0, 1.0, 0.0), **section):
    """A chain of beams clamped at its first node, loaded at its last."""
    n = len(points)
    conn = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1).astype(np.int32)
    item = beams(points, conn, orientation=orientation, **section)
    index = np.arange(n, dtype=np.int32)
    clamp = Support("clamp", np.array([0]), rotations=(True, True, True))
    mesh = Mesh(points, (CellBlock("beam2", conn),))
    constraints = couplings_finite.finite_constraints(mesh, index, np.ones(2 * n, bool), supports=(clamp,))
    last = np.array([n - 1], np.int32)
    ramp = (Program.ramp(np.array([v], float)) for v in (force, moment))
    loads = PointLoads("loads", last, next(ramp), last + n, next(ramp), n, follows)
    return Problem(points, index, constraints, (item, loads))


def straight(n, length=1.0):
    points = np.zeros((n + 1, 3))
    points[:, 0] = np.linspace(0.0, length, n + 1)
    return points


def elastica(load):
    """Tip position of a unit cantilever, EI = 1, under a transverse dead load (Bisshopp and Drucker 1945).

    With p = k sin(phi): sqrt(load) = K(p) - F(p, phi1), p^2 = (1 + sin theta) / 2, sin(phi1)^2 = 1 / (2 p^2).
    """

    def length(m):
        return ellipk(m) - ellipkinc(np.arcsin(1.0 / np.sqrt(2.0 * m)), m) - np.sqrt(load)

    m = brentq(length, 0.5 + 1e-12, 1.0 - 1e-12)
    phi = np.arcsin(1.0 / np.sqrt(2.0 * m))
    rise = 1.0 - 2.0 / np.sqrt(load) * (ellipe(m) - ellipeinc(phi, m))
    along = np.sqrt(2.0 / load) * np.sqrt(2.0 * m - 1.0)
    return along, rise


SLENDER = {"E": 12.0e4, "nu": 0.0, "A": 1.0, "Iy": 1 / 12.0e4, "Iz": 1 / 12.0e4, "J": 2 / 12.0e4, "k": 1.0}
"""EI = 1, EA and GA so large that the beam is as good as inextensible."""


@pytest.mark.parametrize("load", [1.0, 4.0, 10.0])
def test_end_force_against_elliptic_integrals(load):
    path = newton.solve(cantilever(straight(40), force=(0, load, 0), **SLENDER), [0.5, 1.0])
    tip = path.increments[-1].blocks[40]
    along, rise = elastica(load)
    assert np.allclose([1.0 + tip[0], tip[1]], [along, rise], atol=6e-4)


def test_end_moment_rolls_the_beam_into_a_circle():
    n = 20
    problem = cantilever(straight(n), moment=(0, 0, 2 * np.pi), **SLENDER)
    path = newton.solve(problem, [0.25, 0.5, 1.0])
    for inc in path.increments:
        curvature = 2 * np.pi * inc.time
        assert np.isclose(inc.blocks[2 * n + 1, 2], curvature, rtol=1e-9)  # rotation vector beyond half a turn
        # Straight chords of a circle: elements turn by equal angles, so the tip is that of the polygon.
        half = curvature / (2 * n)
        chord = 1.0 / n
        angles = half + 2 * half * np.arange(n)
        tip = chord * np.array([np.cos(angles).sum(), np.sin(angles).sum()])
        assert np.allclose(inc.blocks[n, :2] + [1.0, 0.0], tip, atol=2e-6)
        assert np.isclose(inc.energy, curvature**2 / 2, rtol=1e-8)


@pytest.mark.parametrize("follows", [False, True])
def test_tangent_in_equilibrium_is_the_full_unsymmetric_one(follows):
    """The low-rank part of a moment makes up for the symmetric tangents of the elements."""
    problem = cantilever(straight(3), moment=(0.4, 0.5, 0.6), force=(0.2, 0.3, 0.1), follows=follows, **SLENDER)
    inc = newton.solve(problem, [1.0], newton.Control(residual=1e-12)).increments[-1]
    K = problem.tangent(inc.x, 1.0, inc.states) @ np.eye(len(problem.free))
    h = 1e-6
    for i, e in enumerate(np.eye(len(problem.free))):
        plus, minus = (problem.evaluate(problem.moved(inc.x, s * h * e), 1.0, inc.states).residual for s in (1, -1))
        assert np.allclose((plus - minus) / (2 * h), K[:, i], atol=1e-7 * np.abs(K).max())
    assert np.abs(K - K.T).max() > 0.1


def test_bathe_bolourchi_bend():
    """Tip of the 45-degree bend; published: (15.9, 47.2, 53.4) at a load of 600 (radius 100, E = 1e7, unit square).

    Source: Bathe KJ, Bolourchi S (1979), Int J Numer Methods Eng 14:961-986; Simo and Vu-Quoc (1986) give
    (15.79, 47.23, 53.37) for eight elements.
    """
    n = 16
    angle = np.linspace(0.0, np.pi / 4, n + 1)
    points = 100.0 * np.stack([1 - np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    square = {"E": 1e7, "nu": 0.0, "A": 1.0, "Iy": 1 / 12, "Iz": 1 / 12, "J": 1 / 6, "k": 5 / 6}
    problem = cantilever(points, force=(0, 0, 600.0), orientation=(0.0, 0.0, 1.0), **square)
    path = newton.solve(problem, [0.5, 1.0])
    tip = points[-1] + path.increments[-1].blocks[n]
    assert np.allclose(tip, [15.7, 47.2, 53.5], atol=0.2)
