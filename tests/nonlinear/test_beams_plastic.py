"""Round bars that yield: elastic limit, derivatives, plastic moment, torque, unloading, a cantilever's hinge."""

import numpy as np
import pytest
import scipy.optimize
from nltools import evaluate, random_configuration

from spinefix.analysis import nonlinear
from spinefix.analysis.nonlinear import Step
from spinefix.errors import MaterialError
from spinefix.fem import rotations
from spinefix.fem.beams import BeamGroup, beam_axes
from spinefix.fem.beams_finite import FiniteBeams
from spinefix.fem.beams_plastic import FibreBeams, Yielding
from spinefix.fem.items import Configuration
from spinefix.mesh.core import CellBlock, Mesh
from spinefix.model.core import LoadCase, Material, Model, Section, Support

E, G, D, Y = 110e3, 42e3, 5.5, 800.0
"""A titanium rod of spinal fixation, numbers of its order."""


def bars(points, conn, *, diameter=D, yield_MPa=Y, hardening=0.0, shear=0.9):
    b = len(conn)
    A, I = np.pi * diameter**2 / 4, np.pi * diameter**4 / 64
    full = {"E": E, "G": G, "A": A, "Iy": I, "Iz": I, "J": 2 * I, "ky": shear, "kz": shear}
    axes = beam_axes(points, conn, np.tile((0.1, 1.0, 0.2), (b, 1)))
    group = BeamGroup(np.arange(b, dtype=np.int32), conn, **{n: np.full(b, v) for n, v in full.items()}, axes=axes)
    yielding = None if yield_MPa is None else Yielding(np.full(b, yield_MPa), np.full(b, hardening))
    return FiniteBeams(points, group, np.arange(len(points), dtype=np.int32), yielding=yielding)


POINTS = 10.0 * np.array([[0.0, 0, 0], [1.3, 0.2, -0.1], [2.0, 0.9, 0.4]])
CONN = np.array([[0, 1], [1, 2]], np.int32)
ONE = np.array([[0.0, 0, 0], [10.0, 0, 0]])


def bent(amount, seed=0):
    x = random_configuration(3, 3, amount=amount, turn=0.0, seed=seed)
    Q = rotations.exp(np.array([0.5, -0.3, 0.8]))
    return Configuration((POINTS + 2 * x.u) @ Q.T - POINTS, Q @ x.R)


@pytest.mark.parametrize("yield_MPa", [np.inf, 1e9])
def test_bars_that_do_not_yield_are_timoshenko_beams(yield_MPa):
    x = bent(0.3)
    r, K, energy = evaluate(bars(POINTS, CONN, yield_MPa=yield_MPa), x, tangent=True)
    expected = evaluate(bars(POINTS, CONN, yield_MPa=None), x, tangent=True)
    np.testing.assert_allclose(r, expected[0], atol=1e-9 * np.abs(r).max())
    np.testing.assert_allclose(K, expected[1], atol=1e-8 * np.abs(K).max())
    assert energy == pytest.approx(expected[2], rel=1e-9)
    ours, theirs = (bars(POINTS, CONN, yield_MPa=y).end_forces(x) for y in (yield_MPa, None))
    np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("hardening", [0.0, 2000.0])
def test_force_is_the_gradient_and_tangent_its_symmetric_derivative(hardening):
    """From virgin bars, and from bars with a plastic past."""
    item = bars(POINTS, CONN, hardening=hardening)
    past = item.fibres.respond(item.frames(bent(0.02, seed=3)).deformation, item.start()[0]).state
    assert past[..., 2].max() > 1e-3
    x = bent(0.03)
    n = 3 * x.n_blocks
    for state in (item.start(), (past,)):
        r, K, _ = evaluate(item, x, tangent=True, state=state)
        K_fd, g = np.empty((n, n)), np.empty(n)
        for i in range(n):
            step = np.zeros(n)
            step[i] = 1e-6
            up = evaluate(item, x.moved(step.reshape(-1, 3)), state=state)
            down = evaluate(item, x.moved(-step.reshape(-1, 3)), state=state)
            K_fd[:, i], g[i] = (up[0] - down[0]) / 2e-6, (up[2] - down[2]) / 2e-6
        np.testing.assert_allclose(r, g, atol=1e-5 * np.abs(r).max())
        # Fibres that start to yield within the difference blur it.
        np.testing.assert_allclose(K, 0.5 * (K_fd + K_fd.T), atol=1e-3 * np.abs(K).max())
        assert np.median(np.abs(K - 0.5 * (K_fd + K_fd.T))) < 1e-7 * np.abs(K).max()


def section(deformation, state=None, **options):
    """Local forces (7,) and new state of one bar of 10 mm."""
    item = bars(ONE, CONN[:1], **options)
    r = item.fibres.respond(np.asarray(deformation, float)[None], item.start()[0] if state is None else state)
    return r.force[0], r.state


def bending(curvature, axis=2):
    turn = np.eye(3)[axis] * curvature * 10.0 / 2
    return np.concatenate([[0.0], -turn, turn])


def exact_moment(curvature):
    """Moment of a round section of perfect plasticity: the elastic core reaches to c = yield / (E curvature).

    M = 2 int_-r^r min(E k |y|, Y) |y| sqrt(r^2 - y^2) dy, in closed form by y = r sin t.
    """
    r = D / 2
    c = min(Y / (E * curvature), r)
    t = np.arcsin(c / r)
    core = 4 * E * curvature * r**4 * (t / 8 - np.sin(4 * t) / 32)
    return core + 4 * Y * r**3 * np.cos(t) ** 3 / 3


@pytest.mark.parametrize("axis", [1, 2])
def test_plastic_moment_of_a_round_section(axis):
    first = 2 * Y / (E * D)
    assert exact_moment(0.5 * first) == pytest.approx(E * np.pi * D**4 / 64 * 0.5 * first)
    for factor in (0.99, 1.5, 3.0, 10.0):
        force, state = section(bending(factor * first, axis))
        assert force[4 + axis] == pytest.approx(exact_moment(factor * first), rel=0.005)
        assert (state[..., 2].max() > 0.0) == (factor > 1.0)
    assert section(bending(1000 * first, axis))[0][4 + axis] == pytest.approx(D**3 / 6 * Y, rel=0.01)


def test_plastic_torque_and_axial_force():
    torque = section([0, -10.0, 0, 0, 10.0, 0, 0])[0]
    assert torque[4] == pytest.approx(np.pi * D**3 / 12 * Y / np.sqrt(3), rel=1e-3)
    assert -torque[1] == pytest.approx(torque[4])
    pull = section([1.0, 0, 0, 0, 0, 0, 0])[0]
    assert pull[0] == pytest.approx(np.pi * D**2 / 4 * Y, rel=1e-10)
    hard = section([1.0, 0, 0, 0, 0, 0, 0], hardening=1000.0)[0]
    plastic = (0.1 - Y / E) / (1 + 1000.0 / E)
    assert hard[0] == pytest.approx(np.pi * D**2 / 4 * (Y + 1000.0 * plastic), rel=1e-10)


def test_bending_and_torsion_weaken_each_other():
    """Deep in yield, with strains in fixed proportion, N, M and T stay below their values alone."""
    both = section([0.0, -5.0, 0, -5.0, 5.0, 0, 5.0])[0]
    assert both[4] < 0.95 * np.pi * D**3 / 12 * Y / np.sqrt(3)
    assert both[6] < 0.95 * D**3 / 6 * Y
    pulled = section([3.0, 0, 0, -2.0, 0, 0, 2.0])[0]
    assert pulled[0] < 0.95 * np.pi * D**2 / 4 * Y
    assert pulled[6] < 0.95 * D**3 / 6 * Y


def test_unloading_leaves_the_residual_curvature():
    """Back along the elastic line: residual curvature = curvature - M / (E I)."""
    curvature = 4 * 2 * Y / (E * D)
    loaded, state = section(bending(curvature))
    residual = curvature - loaded[6] / (E * np.pi * D**4 / 64)
    assert residual > 0.4 * curvature
    force, again = section(bending(residual), state)
    assert abs(force[6]) < 1e-8 * loaded[6]
    np.testing.assert_array_equal(again, state)
    reversed_ = section(bending(-curvature), state)[0]
    assert reversed_[6] == pytest.approx(-loaded[6], rel=1e-6)  # perfect plasticity forgets


def test_neutral_axis_moves_where_one_end_yields():
    """Bending at one end only, no axial force: the axial force stays zero and constant along the bar."""
    force, _ = section([0.0, 0, 0, 0.3, 0, 0, 0.0], yield_MPa=300.0, hardening=5000.0)
    assert abs(force[0]) < 1e-8 * abs(force[3])
    with_pull = section([0.02, 0, 0, 0.3, 0, 0, 0.0], hardening=500.0)[0]
    assert with_pull[0] > 0.0


def curvature_of(moment):
    first = 2 * Y / (E * D)
    if moment <= exact_moment(first):
        return moment / (E * np.pi * D**4 / 64)
    return scipy.optimize.brentq(lambda k: exact_moment(k) - moment, first, 1e3 * first)


def test_cantilever_bends_as_its_curvatures_add_up():
    """Dead load at the tip; small rotations: deflection = int curvature(M(x)) x dx. Beyond the plastic moment none."""
    n, L = 8, 60.0
    points = np.column_stack([np.linspace(0, L, n + 1), np.zeros(n + 1), np.zeros(n + 1)])
    conn = np.column_stack([np.arange(n), np.arange(1, n + 1)]).astype(np.int32)
    item = bars(points, conn)
    free = np.r_[3 : 3 * (n + 1), 3 * (n + 1) + 3 : 6 * (n + 1)]
    first, plastic = np.pi * D**3 / 32 * Y / L, D**3 / 6 * Y / L
    assert plastic / first == pytest.approx(1.70, abs=0.01)

    def tip(load):
        x, state = Configuration.rest(n + 1, n + 1), item.start()
        for part in np.linspace(0, load, 6)[1:]:
            applied = np.zeros(6 * (n + 1))
            applied[3 * n + 2] = part
            for _ in range(60):
                r, K, _ = evaluate(item, x, tangent=True, state=state)
                rest = (applied - r)[free]
                if np.abs(rest).max() < 1e-8 * plastic:
                    break
                step = np.zeros(6 * (n + 1))
                step[free] = np.linalg.solve(K[np.ix_(free, free)], rest)
                x = x.moved(step.reshape(-1, 3))
            else:
                return np.nan
            state = (item.fibres.respond(item.frames(x).deformation, state[0]).state,)
        return x.u[n, 2]

    along = np.linspace(0, L, 1001)
    for factor, error in ((0.5, 0.005), (1.3, 0.005), (1.5, 0.01)):
        exact = np.trapezoid([curvature_of(factor * first * x) * x for x in along], along)
        assert tip(factor * first) == pytest.approx(exact, rel=error)
    assert np.isnan(tip(1.1 * plastic)) or tip(1.1 * plastic) > 0.3 * L  # held up, if at all, by the bent shape


def test_only_solid_round_bars_may_yield():
    item = bars(ONE, CONN[:1])
    flat = BeamGroup(**{**item.group.__dict__, "Iy": 2 * item.group.Iy})
    with pytest.raises(MaterialError, match="no solid round bar"):
        FibreBeams(flat, np.array([10.0]), item.yielding)
    with pytest.raises(MaterialError, match="must be positive"):
        Yielding(np.array([-1.0]), np.array([0.0]))


def rod_model(law, **more):
    """A rod of eight beams held at one end, with a reference of its tip."""
    n, L = 8, 60.0
    points = np.column_stack([np.linspace(0, L, n + 1), np.zeros(n + 1), np.zeros(n + 1)])
    conn = np.column_stack([np.arange(n), np.arange(1, n + 1)]).astype(np.int32)
    mesh = Mesh(points, (CellBlock("beam2", conn),))
    metal = Material("rod", law, {"E_MPa": E, "nu": E / 2 / G - 1, **more})
    A, I = np.pi * D**2 / 4, np.pi * D**4 / 64
    section = Section("round", A, I, I, 2 * I, 0.9, 0.9, D / 2, D / 2, True)
    foot = Support("foot", np.array([0]), rotations=(True, True, True))
    return Model(
        mesh, (metal,), np.zeros(n, np.int32), np.ones((n, 8)), np.zeros((n, 2, 3)), (section,),
        np.zeros(n, np.int32), np.zeros((n, 3)), supports=(foot,),
    ), n  # fmt: skip


def test_a_rod_yields_in_a_whole_model_and_stays_bent():
    """Load and unload through the solver: the residual is what the elastic line leaves of the loaded deflection."""
    load = 1.5 * np.pi * D**3 / 32 * Y / 60.0
    steps = [
        Step("load", LoadCase("load", forces={8: np.array([0.0, 0.0, load])})),
        Step("unload", LoadCase("unload", forces={8: np.zeros(3)})),
    ]
    model, tip = rod_model("plastic_j2", yield_MPa=Y)
    bent = nonlinear.solve(model, steps).displacement(tip)[:, 2]
    elastic, _ = rod_model("isotropic")
    straight = nonlinear.solve(elastic, steps).displacement(tip)[:, 2]
    assert bent[0] == pytest.approx(5.09, rel=0.01)
    assert bent[0] > 1.05 * straight[0]
    assert abs(straight[1]) < 1e-6
    assert bent[1] == pytest.approx(bent[0] - straight[0], rel=0.05)


def test_saturating_metal_is_refused_for_beams():
    model, _ = rod_model("plastic_j2", yield_MPa=Y, saturation_MPa=10.0)
    with pytest.raises(MaterialError, match="beams harden linearly"):
        nonlinear.solve(model, [Step("none", LoadCase("none"))])
