"""Whole models through load steps."""

from dataclasses import replace

import numpy as np
import pytest
from columns import column, linear, model_of, neo_hookean

from spinefix.analysis import nonlinear
from spinefix.analysis.nonlinear import Extras, Spread, Step
from spinefix.analysis.solve import solve as solve_linear
from spinefix.fem import newton
from spinefix.mesh import generate
from spinefix.model.core import LoadCase, Material, Support


def bend(top, moment, factors=(1.0,), axis=1):
    return Step("bend", LoadCase("bend", moments={top: moment * np.eye(3)[axis]}), factors=factors)


def test_small_load_agrees_with_the_linear_analysis():
    model, top = column(
        [linear(100.0, 0.3), linear(1.0, 0.4, "bbar")], layer=lambda z: (abs(z - 0.5) < 0.1).astype(int)
    )
    case = LoadCase(
        "all", forces={top: 1e-4 * np.array([1.0, 2.0, -3.0])}, moments={top: 1e-3 * np.array([5.0, 1.0, 2.0])}
    )
    _, small = solve_linear(model, [case])
    large = nonlinear.solve(model, [Step("all", case)])
    assert np.allclose(large.u[0], small.blocks("all"), rtol=1e-3, atol=1e-4 * np.abs(small.u).max())
    assert np.allclose(large.reactions[0], small.reactions[0], rtol=1e-4, atol=1e-8)


def test_pure_moment_bends_a_column_into_an_arc():
    """Poisson's ratio zero and constant curvature: each slice turns by M h / (E I), up to more than half a turn."""
    n, width, height = 20, 10.0, 100.0
    model, top = column([linear(1.0, 0.0)], width=width, height=height, divisions=(1, 1, n))
    inertia = width**4 / 12
    angle = 3.5
    moment = angle * inertia / height
    solution = nonlinear.solve(model, [bend(top, moment, (0.25, 0.5, 1.0))])
    turn = solution.rotation(top)[:, 1]
    assert np.allclose(turn, angle * np.array([0.25, 0.5, 1.0]), rtol=0.02)
    assert np.allclose(solution.rotation(top)[:, [0, 2]], 0.0, atol=1e-7)  # residuals are good to 1e-8
    radius = height / turn
    tip = solution.displacement(top) + [0.0, 0.0, height]
    assert np.allclose(tip[:, 0], radius * (1 - np.cos(turn)), atol=0.03 * height)
    assert np.allclose(tip[:, 2], radius * np.sin(turn), atol=0.03 * height)


def test_spread_moment_leaves_the_end_free_to_deform():
    """The same rotation as through a rigid end by Saint-Venant, but the end face keeps its natural shape."""
    model, top = column([neo_hookean(1.0, 0.3)], divisions=(4, 4, 10), spread=True)
    nodes = model.mesh.nodes["column.zmax"]
    spread = Spread("end", top, nodes, np.ones(len(nodes)))
    moment = 0.4 * 10.0**4 / 12 / 50.0
    free = nonlinear.solve(model, [bend(top, moment)], Extras(spreads=(spread,)))
    held, top = column([neo_hookean(1.0, 0.3)], divisions=(4, 4, 10))
    rigid = nonlinear.solve(held, [bend(top, moment)])
    assert np.isclose(free.spreads["end"][0, 1, 1], rigid.rotation(top)[0, 1], rtol=0.05)
    flat = np.linalg.svd(
        free.u[0, nodes] + model.mesh.points[nodes] - (free.u[0, nodes] + model.mesh.points[nodes]).mean(0)
    )
    assert flat[1][-1] > 1e-3  # no plane


def squeezed(factors, **options):
    """A soft block pressed to less than half its height by a prescribed motion, as one increment: needs cut-backs."""
    model, top = column([neo_hookean(1.0, 0.45)], height=10.0, divisions=(3, 3, 3))
    held = Support("head", np.array([top]), rotations=(True, True, True))
    model = replace(model, supports=(*model.supports, held))
    turn = np.array([0.0, 0.9, 0.0])
    step = Step("press", LoadCase("none"), motions={top: (np.array([0.0, 0.0, -6.0]), turn)}, factors=factors)
    return model, top, [step], newton.Control(**options)


def test_cut_backs_land_on_the_factors_asked_for():
    model, top, steps, control = squeezed((0.3, 1.0), max_cutbacks=10)
    solution = nonlinear.solve(model, steps, control=control)
    assert any(not a.converged for a in solution.history)
    assert solution.times.tolist() == [0.3, 1.0]
    assert np.allclose(solution.displacement(top)[:, 2], [-1.8, -6.0])
    assert np.allclose(solution.rotation(top)[:, 1], [0.27, 0.9])
    done = [a for a in solution.history if a.converged]
    assert [a.start for a in done[1:]] == [a.end for a in done[:-1]]


def test_failure_is_typed_and_carries_what_was_reached():
    model, top, steps, control = squeezed((0.3, 1.0), max_cutbacks=0)
    with pytest.raises(newton.NotConverged) as caught:
        nonlinear.solve(model, steps, control=control)
    error = caught.value
    assert error.exit_code == 3
    assert error.partial.times.tolist()[:1] in ([0.3], [0.0])
    assert error.history[-1].reason
    assert error.worst[0] == "column"


def test_loading_and_unloading_of_an_elastic_column_returns():
    model, top = column([neo_hookean(1.0)])
    load, back = LoadCase("up", forces={top: np.array([1.0, 0.0, -3.0])}), LoadCase("down")
    solution = nonlinear.solve(model, [Step("up", load), Step("down", back)])
    assert np.abs(solution.u[0]).max() > 1.0
    assert np.abs(solution.u[1]).max() < 1e-5
    assert abs(solution.energy[1]) < 1e-9 * solution.energy[0]


@pytest.mark.parametrize("strategy", ["krylov", "bfgs"])
def test_strategies_find_the_same_equilibrium(strategy):
    model, top = column([linear(100.0, 0.3), neo_hookean(1.0)], layer=lambda z: (abs(z - 0.5) < 0.1).astype(int))
    steps = [bend(top, 60.0, (0.5, 1.0))]
    full = nonlinear.solve(model, steps, control=newton.Control(strategy="newton"))
    other = nonlinear.solve(model, steps, control=newton.Control(strategy=strategy, max_iterations=60))
    assert np.allclose(other.u, full.u, atol=1e-5)
    assert other.solver["factorizations"] < full.solver["factorizations"]


def test_plastic_bar_keeps_its_strain_after_unloading_also_across_a_restart():
    """Uniaxial: log strain = tau / E + (tau - yield) / H at the peak, tau = force times stretch over area at rest."""
    mesh = generate.box((1.0, 1.0, 2.0), (1, 1, 1), name="bar")
    mesh = replace(mesh, points=np.vstack([mesh.points, [[0.5, 0.5, 2.0]]]))
    E, yield_stress, hardening = 1000.0, 10.0, 50.0
    metal = {"E_MPa": E, "nu": 0.3, "yield_MPa": yield_stress, "hardening_MPa": hardening}
    metal |= {"saturation_MPa": 0.0, "saturation_rate": 0.0}
    corner = np.flatnonzero(np.abs(mesh.points).sum(axis=1) < 1e-9)
    side = np.flatnonzero(np.abs(mesh.points[:, [1, 2]]).sum(axis=1) < 1e-9)
    supports = (
        Support("foot", mesh.nodes["bar.zmin"], (False, False, True)),
        Support("corner", corner, (True, True, False)),
        Support("side", side, (False, True, False)),
    )
    model = model_of(mesh, [Material("metal", "plastic_j2", metal, "bbar")], [0], supports=supports)
    spread = Spread("head", mesh.n_points - 1, mesh.nodes["bar.zmax"], np.ones(4))
    force = 12.0
    pull = Step("pull", LoadCase("pull", forces={spread.reference: np.array([0.0, 0.0, force])}))
    steps = [pull, Step("release", LoadCase("release"))]
    whole = nonlinear.solve(model, steps, Extras(spreads=(spread,)))
    rest = nonlinear.solve(model, steps, Extras(spreads=(spread,)), start=whole.increments[0])
    log_strain = np.log(1.0 + whole.spreads["head"][:, 0, 2] / 2.0)
    tau = force * np.exp(log_strain[0])
    plastic = (tau - yield_stress) / hardening
    assert np.isclose(log_strain[0], tau / E + plastic, rtol=1e-6)
    assert np.isclose(log_strain[1], plastic, rtol=1e-6)
    assert np.allclose(rest.u[-1], whole.u[-1], atol=1e-8)


def test_an_attempt_without_progress_ends():
    assert not newton._stagnates([1.0, 2.0, 2.0], 3)
    assert newton._stagnates([1.0, 2.0, 2.0, 1.0], 3)
    assert not newton._stagnates([1.0, 2.0, 2.0, 0.9], 3)
