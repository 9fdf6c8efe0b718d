"""Parts that nothing but contact pairs hold: they float, settle, stick, or are told to have no equilibrium."""

import numpy as np
import pytest
from nltools import evaluate

from spinefix.analysis import condensation, nonlinear
from spinefix.analysis.contacts import HOLD, contact_pairs
from spinefix.analysis.deck import build_deck
from spinefix.analysis.groups import finite_groups
from spinefix.analysis.nonlinear import Step, Structure
from spinefix.analysis.solve import solve
from spinefix.errors import UsageError
from spinefix.fem import augmentation, newton
from spinefix.fem.items import Configuration
from spinefix.mesh import generate
from spinefix.mesh.core import Mesh, merge
from spinefix.model.core import ContactPair, Coupling, LoadCase, Support
from spinefix.verification.models import linear, model_of

E = 100.0


def stack(friction=0.0, wedge=0.0, kind="hex8"):
    """Return a loose block between a fixed one and one that a reference point drives along z, and that point.

    The faces of the loose block slope by `wedge` [1] towards +x, so that compression drives it to where it is thin.
    """
    low = generate.box((4.0, 4.0, 2.0), (3, 3, 2), name="low", kind=kind)
    middle = generate.box((2.0, 2.0, 2.0), (2, 2, 2), origin=(1.0, 1.0, 2.0), name="middle", kind=kind)
    up = generate.box((4.0, 4.0, 2.0), (3, 3, 2), origin=(0.0, 0.0, 4.0), name="up", kind=kind)
    mesh, _, _ = merge([low, middle, up])
    points = np.vstack([mesh.points, [[2.0, 2.0, 6.0]]])
    inner = (np.abs(points[:, 2] - 3.0) <= 1.0 + 1e-9)[:-1]
    points[:-1][inner, 2] += np.where(points[:-1][inner, 2] < 3.0, -1.0, 1.0) * wedge * (points[:-1][inner, 0] - 2.0)
    mesh = Mesh(points, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    top = mesh.n_points - 1
    pairs = (
        ContactPair("over", mesh.facets["middle.zmax"], mesh.facets["up.zmin"], friction, 0.01),
        ContactPair("under", mesh.facets["middle.zmin"], mesh.facets["low.zmax"], friction, 0.01),
    )
    supports = (
        Support("foot", mesh.nodes["low.zmin"]),
        Support("guide", np.array([top], np.int32), (True, True, False), (True, True, True)),
    )
    model = model_of(
        mesh, [linear(E, 0.0)], np.zeros(mesh.n_cells, np.int32), supports=supports,
        couplings=(Coupling("lid", top, mesh.nodes["up.zmax"]),), contact_pairs=pairs,
    )  # fmt: skip
    return model, top


def held(model, top):
    """The same with a support of the top along z as well, so that it can be moved."""
    supports = (model.supports[0], Support("guide", np.array([top], np.int32), rotations=(True, True, True)))
    return nonlinear.replace(model, supports=supports)


def move(top, *heights):
    return [Step(f"to {z:g}", LoadCase("none"), motions={top: (np.array([0.0, 0.0, z]), np.zeros(3))}) for z in heights]


def reports(model, solution, steps):
    problem = Structure(model).problem(steps)
    return [augmentation.contact_reports(problem, inc) for inc in solution.increments]


def test_a_loose_block_is_pressed_let_go_and_pressed_again():
    model, top = stack()
    model, steps = held(model, top), move(top, -0.2, 0.1, -0.2)
    solution = nonlinear.solve(model, steps)
    pressed, free, again = reports(model, solution, steps)
    for name in ("over", "under"):
        assert not free[name].pressure.any() and free[name].gap.max() < 0.1
        assert abs(again[name].force[2]) == pytest.approx(abs(pressed[name].force[2]), rel=0.02)
    assert free["over"].gap.mean() + free["under"].gap.mean() == pytest.approx(0.1, rel=1e-3)
    assert pressed["under"].force[2] == pytest.approx(-pressed["over"].force[2], rel=1e-6)
    assert max(r["over"].mean_penetration for r in (pressed, again)) <= 1e-3
    drag = max(r[name].drag for r in (pressed, free, again) for name in r)
    assert drag <= 1e-3 * abs(pressed["under"].force[2])


def test_condensed_parts_give_the_same_contact(monkeypatch):
    monkeypatch.setattr(condensation, "LEAST", 20)
    monkeypatch.setattr(condensation, "WORTH", 1.0)
    model, top = stack()
    load = [Step("press", LoadCase("press", forces={top: np.array([0.0, 0.0, -0.2])}))]
    whole, parts = Structure(model), Structure(model, loaded=np.array([top], np.int32))
    assert len(parts.superelements) == 3
    u = [s.solve(load).u[-1] for s in (whole, parts)]
    assert np.abs(u[0] - u[1]).max() < 1e-3 * np.abs(u[0]).max()


def test_a_wedge_slides_out_without_friction_and_holds_with_it():
    for friction, holds in ((0.0, False), (0.5, True)):
        model, top = stack(friction, wedge=0.1)
        press = [Step("press", LoadCase("press", forces={top: np.array([0.0, 0.0, -2.0])}))]
        if holds:
            (found,) = reports(model, nonlinear.solve(model, press), press)
            assert found["under"].force[2] == pytest.approx(2.0, rel=2e-3)
            assert np.nanmax(found["under"].slip) < 0.05
            continue
        with pytest.raises(newton.NotConverged, match="under has slid|over has slid") as caught:
            nonlinear.solve(model, press)
        assert not caught.value.partial.increments, "nothing that springs hold in place is a result"


def test_springs_that_hold_balance_and_have_the_tangent_they_say():
    model, _ = stack(kind="hex8")
    item = contact_pairs(model, finite_groups(model))[0]
    rng = np.random.default_rng(0)
    x = Configuration(0.01 * rng.uniform(-1, 1, model.mesh.points.shape), np.zeros((1, 3, 3)))
    x.u[model.mesh.nodes["up.zmin"], 2] += 0.1  # apart, so that nothing but the springs acts
    x.u[model.mesh.nodes["up.zmin"], 0] += 0.02
    r, K, _ = evaluate(item, x, tangent=True)
    assert np.abs(K - K.T).max() < 1e-12 * np.abs(K).max()
    f = r.reshape(-1, 3)[: model.mesh.n_points]
    assert np.abs(f.sum(axis=0)).max() < 1e-12 * np.abs(f).max()
    assert np.abs(np.cross(model.mesh.points + x.u, f).sum(axis=0)).max() < 1e-10 * np.abs(f).max()
    total = f[model.mesh.nodes["middle.zmax"]].sum(axis=0)
    assert total[:2] == pytest.approx(HOLD * np.array([-0.02, 0.0]), abs=0.3 * HOLD * 0.02)
    assert total[2] == pytest.approx(-HOLD * 0.1, rel=0.1)  # they pull the block up: internal forces point down


def test_linear_analysis_and_decks_refuse_contact_pairs():
    model, top = stack()
    case = LoadCase("press", forces={top: np.array([0.0, 0.0, -2.0])})
    for linear_only in (solve, build_deck):
        with pytest.raises(UsageError, match="over is not bonded"):
            linear_only(model, [case])
