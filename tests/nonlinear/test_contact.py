"""Contact: opening, unloading, penetration, fitting, whole models; the verification has the rest."""

import numpy as np
import pytest
from columns import linear, model_of, neo_hookean
from nltools import evaluate

from spinefix.analysis import nonlinear
from spinefix.analysis.contacts import contact_item
from spinefix.analysis.nonlinear import Extras, Step, build_problem
from spinefix.fem import augmentation, newton
from spinefix.fem.contact import Interface
from spinefix.fem.items import Configuration
from spinefix.mesh.core import Mesh
from spinefix.model.core import Coupling, LoadCase, Support
from spinefix.verification.rungs.contacts import blocks, pair, stacked


def test_open_contact_and_one_beside_the_surface_do_nothing():
    mesh = blocks()
    item = pair(mesh)
    for shift in ([0.0, 0.0, 0.2], [3.0, 0.0, -0.1], [0.0, 0.0, -4.0]):
        u = np.zeros_like(mesh.points)
        u[mesh.nodes["up.zmin"]] = shift
        r, K, energy = evaluate(item, Configuration(u, np.zeros((0, 3, 3))), tangent=True)
        assert not r.any() and not K.any() and energy == 0.0


def test_unloaded_contact_keeps_no_tension_and_returns():
    problem, _ = stacked((3, 3, 2), (2, 2, 2))
    found = augmentation.solve(problem, [1.0, 1.5, 2.0])
    pressed, half, free = (r["touch"] for r in found.reports)
    assert np.isclose(half.force[2], 0.5 * pressed.force[2], rtol=1e-6)
    assert (free.pressure >= 0.0).all()
    assert np.abs(free.force).max() < 1e-7 * pressed.force[2]
    shape = found.path.increments[-1].x.u[-36:]  # the upper box
    assert np.ptp(shape, axis=0).max() < 1e-5  # it floats, undeformed


@pytest.mark.parametrize("stiffness", [2.0, 50.0])
def test_penetration_keeps_to_its_tolerance_whatever_the_penalty(stiffness):
    problem, _ = stacked((2, 2, 2), (2, 2, 2), Interface(stiffness=stiffness), per_side=2)
    plain = newton.solve(problem, [1.0]).increments[-1]
    before = augmentation.contact_reports(problem, plain)["touch"].relative_penetration
    assert np.isclose(before, 0.05 / stiffness, rtol=0.1)
    found = augmentation.solve(problem, [1.0], tolerance=1e-6)
    assert found.reports[0]["touch"].mean_penetration <= 1e-6
    with pytest.raises(newton.NotConverged, match="penetrates") as caught:
        augmentation.solve(problem, [1.0, 2.0], tolerance=0.04 / stiffness, most=0)
    assert [i.time for i in caught.value.partial.increments] == [1.0]


def test_a_fitted_contact_bridges_a_small_gap_at_rest():
    mesh = blocks(gap=0.01)
    item, fitted = pair(mesh), pair(mesh).fitted(0.02)
    x = Configuration(np.zeros_like(mesh.points), np.zeros((0, 3, 3)))
    x.u[mesh.nodes["up.zmin"], 2] -= 0.005
    assert not evaluate(item, x)[0].any()
    r, _, energy = evaluate(fitted, x)
    assert np.isclose(r.reshape(-1, 3)[mesh.nodes["up.zmin"], 2].sum(), -10.0 * 0.005 * 1.4**2)
    assert np.isclose(energy, 0.5 * 10.0 * 0.005**2 * 1.4**2)


def test_contact_in_a_whole_model():
    """Through the load steps of a model, which checks equilibrium of loads and reactions."""
    mesh = blocks((2, 2, 1), (3, 3, 1), side=3.0, inset=0.8, gap=0.02)
    top = mesh.n_points
    mesh = Mesh(np.vstack([mesh.points, [[1.5, 1.5, 2.02]]]), mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    supports = (
        Support("foot", mesh.nodes["low.zmin"]),
        Support("top", np.array([top]), (False, True, False), (True, False, True)),
    )
    couplings = (Coupling("top", top, mesh.nodes["up.zmax"]),)
    model = model_of(
        mesh,
        [linear(20.0, 0.3), neo_hookean(1.0, 0.3)],
        np.repeat([0, 1], [9, 4]),
        supports=supports,
        couplings=couplings,
    )
    item = contact_item(
        model, "touch", mesh.facets["up.zmin"], mesh.facets["low.zmax"], Interface("friction", 0.4), fit_within=0.03
    )
    assert np.allclose(item.modulus, 1.0)
    case = LoadCase("press", forces={top: np.array([0.01, 0.0, -0.05])}, moments={top: np.array([0.0, 0.005, 0.0])})
    solution = nonlinear.solve(model, [Step("press", case, factors=(0.5, 1.0))], Extras(items=(item,)))
    reports = [
        augmentation.contact_reports(build_problem(model, [Step("press", case)], Extras(items=(item,))), i)["touch"]
        for i in solution.increments
    ]
    assert np.allclose([r.force for r in reports], [[-0.005, 0.0, 0.025], [-0.01, 0.0, 0.05]], atol=1e-7)
    assert max(r.relative_penetration for r in reports) <= 1e-3
    assert {c.name for c in solution.checks} == {"equilibrium_force", "equilibrium_moment"}
