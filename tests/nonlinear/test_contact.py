"""Contact: derivatives, patch test, balance, opening, units, penetration, Hertz, friction."""

import numpy as np
import pytest
from columns import linear, model_of, neo_hookean
from nltools import evaluate

from spinefix.analysis import nonlinear
from spinefix.analysis.contacts import contact_item
from spinefix.analysis.nonlinear import Extras, Step, build_problem
from spinefix.fem import contact, newton, rotations
from spinefix.fem.contact import Contact, Interface
from spinefix.fem.contact_gap import surfaces
from spinefix.fem.items import Configuration
from spinefix.mesh import generate
from spinefix.mesh.core import Mesh, merge
from spinefix.mesh.topology import facet_corners
from spinefix.model.core import Coupling, LoadCase, Support


def blocks(upper=(1, 1, 1), lower=(2, 1, 1), *, kind="hex8", gap=0.0, inset=0.3, side=2.0, height=1.0):
    """A box on a larger one; facets up.zmin and low.zmax face each other."""
    low = generate.box((side, side, height), lower, name="low", kind=kind)
    wide = side - 2 * inset
    up = generate.box((wide, wide, height), upper, origin=(inset, inset, height + gap), name="up", kind=kind)
    return merge([low, up])[0]


def pressed(mesh, depth=0.1, seed=0):
    """Displacements that press the upper box into the lower one on warped, turned facets."""
    rng = np.random.default_rng(seed)
    u = 0.03 * rng.uniform(-1, 1, mesh.points.shape)
    u[mesh.nodes["up.zmin"], 2] -= depth
    Q = rotations.exp(np.array([0.7, -0.4, 1.1]))
    return Configuration((mesh.points + u) @ Q.T - mesh.points, np.zeros((0, 3, 3)))


def pair(mesh, *, modulus=1.0, per_side=4, augmented=True, **law):
    surf = surfaces(mesh, mesh.facets["up.zmin"], mesh.facets["low.zmax"], per_side=per_side)
    return Contact("touch", surf, modulus, Interface(**law), augmented)


def balance(mesh, x, r):
    f = r.reshape(-1, 3)
    return np.abs(f.sum(axis=0)).max(), np.abs(np.cross(mesh.points + x.u, f).sum(axis=0)).max()


def difference_column(item, x, i, state, h=1e-6):
    step = np.zeros(3 * x.n_blocks)
    step[i] = h
    plus, _, e1 = evaluate(item, x.moved(step.reshape(-1, 3)), state=state)
    minus, _, e0 = evaluate(item, x.moved(-step.reshape(-1, 3)), state=state)
    return (plus - minus) / (2 * h), (e1 - e0) / (2 * h)


@pytest.mark.parametrize("kind", ["hex8", "tet4"])
def test_pressure_is_a_gradient_its_tangent_exact_and_both_sides_balance(kind):
    mesh = blocks(kind=kind)
    item = pair(mesh, stiffness=2.0)
    x = pressed(mesh)
    rng = np.random.default_rng(1)
    lam = rng.uniform(0.0, 0.3, len(item.surfaces))
    for state in (item.start(), (lam, lam, item.start()[2])):
        r, K, _ = evaluate(item, x, tangent=True, state=state)
        plus = [difference_column(item, x, i, state) for i in range(3 * len(mesh.points))]
        K_fd, g = np.array([p[0] for p in plus]).T, np.array([p[1] for p in plus])
        assert np.abs(r).max() > 0.05
        assert np.allclose(r, g, atol=1e-7 * np.abs(r).max())
        assert np.allclose(K, K_fd, atol=1e-6 * np.abs(K).max())
        assert max(balance(mesh, x, r)) < 1e-13


def test_open_contact_and_one_beside_the_surface_do_nothing():
    mesh = blocks()
    item = pair(mesh)
    for shift in ([0.0, 0.0, 0.2], [3.0, 0.0, -0.1], [0.0, 0.0, -4.0]):
        u = np.zeros_like(mesh.points)
        u[mesh.nodes["up.zmin"]] = shift
        r, K, energy = evaluate(item, Configuration(u, np.zeros((0, 3, 3))), tangent=True)
        assert not r.any() and not K.any() and energy == 0.0


def stacked(upper, lower, *, E=(1.0, 1.0), nu=0.3, force=0.05, unit=1.0, **options):
    """Two boxes of the same section, one on the other, free to widen, under a uniform traction (force per area)."""
    mesh = blocks(upper, lower, inset=0.0)
    mesh = Mesh(mesh.points * unit, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    supports = [Support("foot", mesh.nodes["low.zmin"], (False, False, True))]
    for name in ("up", "low"):
        supports.append(Support(f"{name}.x", mesh.nodes[f"{name}.xmin"], (True, False, False)))
        supports.append(Support(f"{name}.y", mesh.nodes[f"{name}.ymin"], (False, True, False)))
    n_up = np.prod(upper)
    material = np.repeat([0, 1], [mesh.n_cells - n_up, n_up])
    model = model_of(mesh, [linear(E[0], nu), linear(E[1], nu, name="other")], material, supports=tuple(supports))
    top = mesh.facets["up.zmax"]
    corners = facet_corners(mesh, top)
    share = np.bincount(corners.ravel(), minlength=mesh.n_points) / (4 * len(top))
    total = np.array([0.0, 0.0, -force * 4.0 * unit**2])
    load = LoadCase("press", forces={int(k): share[k] * total for k in np.flatnonzero(share)})
    item = pair(mesh, modulus=E[1], **options)
    return build_problem(model, [Step("press", load), Step("free", LoadCase("free"))], Extras(items=(item,))), item


@pytest.mark.parametrize(
    ("lower", "options", "tolerance"),
    [((3, 3, 2), {"per_side": 2}, 1e-10), ((2, 2, 2), {}, 0.04), ((5, 5, 2), {}, 0.04)],
)
def test_contact_patch_test(lower, options, tolerance):
    """Uniform traction passes from facet to facet: exactly where meshes match, within 4 % where they do not."""
    problem, item = stacked((3, 3, 2), lower, **options)
    found = contact.solve(problem, [1.0])
    report = found.reports[0]["touch"]
    assert np.allclose(item.facet_pressure(report), 0.05, rtol=tolerance)
    assert np.isclose(report.force[2], 0.05 * 4.0, rtol=1e-7)
    assert np.isclose(report.area, 4.0)
    assert np.abs(report.moment[:2] - [0.2, -0.2]).max() < 1e-2  # 0.2 N at (1, 1)
    assert report.relative_penetration <= 1e-3
    assert sum(a.iterations for a in found.path.history) <= 8


def test_unloaded_contact_keeps_no_tension_and_returns():
    problem, _ = stacked((3, 3, 2), (2, 2, 2))
    found = contact.solve(problem, [1.0, 1.5, 2.0])
    pressed, half, free = (r["touch"] for r in found.reports)
    assert np.isclose(half.force[2], 0.5 * pressed.force[2], rtol=1e-6)
    assert (free.pressure >= 0.0).all()
    assert np.abs(free.force).max() < 1e-7 * pressed.force[2]
    shape = found.path.increments[-1].x.u[-36:]  # the upper box
    assert np.ptp(shape, axis=0).max() < 1e-5  # it floats, undeformed


def test_same_iterations_in_other_units():
    """Newton and millimetre, meganewton and metre."""
    runs = []
    for unit, stress in ((1.0, 1.0), (1e-3, 1.0)):
        problem, _ = stacked((3, 3, 2), (2, 2, 2), E=(stress, 2 * stress), force=0.05 * stress, unit=unit)
        found = contact.solve(problem, [1.0])
        runs.append((found.path.increments[0].x.u / unit, found.reports[0]["touch"], found))
    (u, a, first), (v, b, other) = runs
    assert np.allclose(u, v, atol=1e-8 * np.abs(u).max())
    assert np.allclose(a.pressure, b.pressure, rtol=1e-6)
    assert np.isclose(a.relative_penetration, b.relative_penetration, rtol=1e-4)
    assert first.updates == other.updates
    assert [t.iterations for t in first.path.history] == [t.iterations for t in other.path.history]


@pytest.mark.parametrize("stiffness", [2.0, 50.0])
def test_penetration_keeps_to_its_tolerance_whatever_the_penalty(stiffness):
    problem, _ = stacked((2, 2, 2), (2, 2, 2), stiffness=stiffness, per_side=2)
    plain = newton.solve(problem, [1.0]).increments[-1]
    before = contact.contact_reports(problem, plain)["touch"].relative_penetration
    assert np.isclose(before, 0.05 / stiffness, rtol=0.1)
    found = contact.solve(problem, [1.0], tolerance=1e-6)
    assert found.reports[0]["touch"].mean_penetration <= 1e-6
    with pytest.raises(newton.NotConverged, match="penetrates") as caught:
        contact.solve(problem, [1.0, 2.0], tolerance=0.04 / stiffness, most=0)
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


def test_hertz_cylinders():
    """Two elastic parabolic cylinders in line contact, plane strain, half model by symmetry.

    Hertz: half-width b = sqrt(4 F' R / (pi E*)), greatest pressure 2 F' / (pi b), F' the force per length (Johnson KL
    (1985), Contact Mechanics, Cambridge University Press, section 4.2).
    """
    E, nu, R, width = 1000.0, 0.3, 10.0, 4.0
    x = np.concatenate([np.linspace(0.0, 0.6, 13), generate.graded(0.6, width, 8, 8.0)[1:]])
    z = np.concatenate([np.linspace(0.0, 0.3, 5), generate.graded(0.3, width, 9, 10.0)[1:]])
    thick = np.array([0.0, 0.1])
    low = generate.grid(x, thick, -z[::-1], name="low")
    up = generate.grid(x * 0.97, thick, z, name="up")
    mesh, _, _ = merge([low, up])
    points = mesh.points.copy()
    own = mesh.nodes["up.zmin"]
    above = points[:, 2] > 0.0
    above[own] = True
    points[above, 2] += points[above, 0] ** 2 / (2 * R) * (1.0 - points[above, 2] / width)
    points = np.vstack([points, [[0.0, 0.0, width]]])
    mesh = Mesh(points, mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    top = mesh.n_points - 1
    sides = [mesh.nodes[f"{b}.{s}"] for b in ("low", "up") for s in ("ymin", "ymax")]
    lid = mesh.nodes["up.zmax"]
    flat = np.setdiff1d(np.unique(np.concatenate(sides)), lid)
    supports = (
        Support("foot", mesh.nodes["low.zmin"], (False, False, True)),
        Support("plane", flat, (False, True, False)),
        Support(
            "middle", np.setdiff1d(np.union1d(mesh.nodes["up.xmin"], mesh.nodes["low.xmin"]), lid), (True, False, False)
        ),
        Support("lid", np.array([top]), rotations=(True, True, True)),
    )
    model = model_of(
        mesh, [linear(E, nu)], np.zeros(mesh.n_cells), supports=supports, couplings=(Coupling("lid", top, lid),)
    )
    item = pair(mesh, modulus=E, per_side=3)
    down = Step("down", LoadCase("none"), motions={top: (np.array([0.0, 0.0, -0.035]), np.zeros(3))})
    problem = build_problem(model, [down], Extras(items=(item,)))
    found = contact.solve(problem, [0.5, 1.0])
    report = found.reports[-1]["touch"]
    line_load = 2.0 * report.force[2] / 0.1
    b = np.sqrt(4 * line_load * R / (np.pi * E / (2 * (1 - nu**2))))
    area, facet = item.surfaces.area, item.surfaces.facet
    p = 2 * line_load / (np.pi * b) * np.sqrt(np.maximum(1 - (report.position[:, 0] / b) ** 2, 0.0))
    exact = np.bincount(facet, area * p) / np.bincount(facet, area)
    error = np.abs(item.facet_pressure(report) - exact)
    assert 0.3 < b < 0.6
    assert np.isclose(report.area / 0.1, b, atol=0.05)
    assert error.max() < 0.05 * exact.max()


def sled(mu=0.3, normal=0.05, sideways=0.0, **motion):
    """A block on a plate under a normal force, then pulled sideways at a rigid top that does not turn."""
    mesh = blocks((2, 2, 1), (3, 3, 1), side=3.0, inset=0.8)
    top = mesh.n_points
    mesh = Mesh(np.vstack([mesh.points, [[1.5, 1.5, 2.0]]]), mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)
    held = (bool(motion), True, False)
    supports = (
        Support("foot", mesh.nodes["low.zmin"]),
        Support("top", np.array([top]), held, (True, True, True)),
    )
    couplings = (Coupling("top", top, mesh.nodes["up.zmax"]),)
    material = np.repeat([0, 1], [9, 4])
    model = model_of(mesh, [linear(1e3, 0.0), linear(1.0, 0.0)], material, supports=supports, couplings=couplings)
    item = pair(mesh, per_side=3, kind="friction", friction=mu)
    down = np.array([0.0, 0.0, -normal])
    steps = [
        Step("press", LoadCase("press", forces={top: down})),
        Step(
            "pull",
            LoadCase("pull", forces={top: down + [sideways, 0.0, 0.0]}),
            motions={top: (np.array([motion["shift"], 0.0, 0.0]), np.zeros(3))} if motion else {},
        ),
    ]
    return build_problem(model, steps, Extras(items=(item,))), mesh


def test_friction_holds_below_its_limit_and_lets_go_above():
    limit = 0.3 * 0.05
    problem, _ = sled(sideways=0.9 * limit)
    report = contact.solve(problem, [1.0, 2.0]).reports[-1]["touch"]
    assert np.allclose(report.force, [-0.9 * limit, 0.0, 0.05], atol=1e-8)
    problem, _ = sled(sideways=1.1 * limit)
    with pytest.raises(newton.NotConverged):
        contact.solve(problem, [1.0, 2.0], newton.Control(max_cutbacks=1))


def test_dragged_block_slides_over_facets_at_the_force_of_coulomb():
    problem, _ = sled(shift=0.6)
    found = contact.solve(problem, [1.0, *np.linspace(1.25, 2.0, 4)])
    for report in (r["touch"] for r in found.reports[1:]):
        assert np.allclose(report.force, [-0.3 * 0.05, 0.0, 0.05], rtol=1e-3, atol=1e-7)
        assert report.slipping[report.pressure > 0.0].all()


@pytest.mark.parametrize(("mu", "slips"), [(5.0, False), (0.1, True)])
def test_friction_forces_balance_and_stick_has_its_tangent(mu, slips):
    mesh = blocks()
    item = pair(mesh, kind="friction", friction=mu, per_side=2)
    x = pressed(mesh, depth=0.02)
    x.u[mesh.nodes["up.zmin"]] += [0.02, 0.01, 0.0]
    r, K, _ = evaluate(item, x, tangent=True)
    assert np.allclose(K, K.T, atol=1e-12)
    smooth, _, _ = evaluate(pair(mesh, per_side=2), x)
    assert max(balance(mesh, x, r)) < 1e-13
    assert np.abs(r - smooth).max() > 1e-3
    if not slips:
        columns = [3 * k + i for k in np.unique(item.surfaces.nodes) for i in range(3)]
        K_fd = np.array([difference_column(item, x, i, item.start())[0] for i in columns]).T
        assert np.allclose(K[:, columns], K_fd, atol=0.03 * np.abs(K).max())


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
        contact.contact_reports(build_problem(model, [Step("press", case)], Extras(items=(item,))), i)["touch"]
        for i in solution.increments
    ]
    assert np.allclose([r.force for r in reports], [[-0.005, 0.0, 0.025], [-0.01, 0.0, 0.05]], atol=1e-7)
    assert max(r.relative_penetration for r in reports) <= 1e-3
    assert {c.name for c in solution.checks} == {"equilibrium_force", "equilibrium_moment"}
