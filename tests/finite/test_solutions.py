"""Boundary value problems with known answers."""

import numpy as np
import pytest
from finitetools import Body, group, mesh_of

from spinefix.fem.finite import finite_stress
from spinefix.mesh.elements import ELEMENTS
from spinefix.verification.rungs.bending import elastica


def bar_supports(points):
    """Symmetry planes x = y = z = 0 and a prescribed end x = max; the sides are free."""
    fixed = points == 0.0
    end = points[:, 0] == points[:, 0].max()
    fixed[end, 0] = True
    return fixed, end


def pull(body, stretches, length):
    """Nominal stress of a bar of unit section at each of several stretches, one after the other."""
    fixed, end = bar_supports(body.points)
    u, out = np.zeros_like(body.points), []
    for stretch in stretches:
        values = np.zeros_like(u)
        values[end, 0] = (stretch - 1.0) * length
        u = body.solve(fixed, values, u=u, steps=2)
        out.append(body(u)[1][end, 0].sum())
    return np.array(out), u


@pytest.mark.parametrize(("stretch", "formulation"), [(1.6, "standard"), (0.6, "mean_dilatation")])
def test_neo_hookean_bar(stretch, formulation):
    """Nominal stress mu (l - 1 / l^2) of an incompressible bar, approached as 1 / K."""
    points, conn = mesh_of("hex8", (2.0, 1.0, 1.0), (2, 1, 1))
    exact = 2.0 * (stretch - stretch**-2)
    errors = []
    for K in (1e3, 1e4):
        body = Body(points, group("hex8", formulation, conn, parameters={"mu_MPa": 2.0, "K_MPa": K}))
        errors.append(abs(pull(body, [stretch], 2.0)[0][0] / exact - 1.0))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(10.0, rel=0.1)


def squeeze(formulation, K, n=3, kind="hex8", depth=0.2):
    """A cube bonded to plates, squeezed by a fifth: force, volume ratio and pressures of each element."""
    points, conn = mesh_of(kind, divisions=(n, n, n))
    body = Body(points, group(kind, formulation, conn, parameters={"mu_MPa": 2.0, "K_MPa": K}))
    low, high = points[:, 2] == 0.0, points[:, 2] == 1.0
    fixed = np.repeat((low | high)[:, None], 3, axis=1)
    values = np.zeros_like(points)
    values[high, 2] = -depth
    u = body.solve(fixed, values, steps=4)
    J = [
        (np.linalg.det(np.einsum("qmd,emi->eqdi", ELEMENTS[kind].dN, x[conn])) @ ELEMENTS[kind].weights)
        for x in (points + u, points)
    ]
    pressure = finite_stress(points, body.group, u, body.state)[..., :3].mean(axis=2)
    return body(u)[1][high, 2].sum(), J[0] / J[1], pressure


def test_incompressible_cube_changes_volume_as_one_over_bulk_modulus():
    force, change = [], []
    for K in (1e3, 1e4):
        f, theta, pressure = squeeze("mean_dilatation", K)
        np.testing.assert_allclose(pressure[:, 0], K / 2 * (theta - 1 / theta), rtol=1e-6)
        assert np.ptp(pressure, axis=1).max() < 1e-9 * abs(pressure).max()
        force.append(f)
        change.append(theta.mean() - 1.0)
    assert change[0] / change[1] == pytest.approx(10.0, rel=0.02)
    assert force[1] / force[0] == pytest.approx(1.0, abs=0.01)  # no locking: the force stays
    locked = squeeze("standard", 1e4)[0]
    assert locked < 1.5 * force[1] < 0.0


@pytest.mark.parametrize(
    ("kind", "formulation", "n"),
    [
        ("tet10", "mean_dilatation", 2),
        ("wedge6", "mean_dilatation", 3),
        ("hex20", "mean_dilatation", 2),
        ("hex8", "enhanced", 3),
    ],
)
def test_every_kind_but_tet4_has_a_cure_for_incompressibility(kind, formulation, n):
    """The force hardly grows as the bulk modulus does, and is that of mean dilatation on finer hex8."""
    reference = squeeze("mean_dilatation", 1e4, 4, depth=0.08)[0]
    force = [squeeze(formulation, K, n, kind, 0.08)[0] for K in (1e3, 1e4)]
    assert force[1] / force[0] == pytest.approx(1.0, abs=0.02)
    assert force[1] == pytest.approx(reference, rel=0.2)
    if kind != "tet10":  # linear and eight-node faces lock without the cure; plain P2 tetrahedra do so mildly
        assert squeeze("standard", 1e4, n, kind, 0.08)[0] < 1.4 * force[1] < 0.0


def cantilever(formulation, divisions=(20, 1, 1), length=20.0, E=1.0e4):
    points, conn = mesh_of("hex8", (length, 1.0, 1.0), divisions)
    points -= [0.0, 0.5, 0.5]
    law = "hencky" if formulation.startswith("corotational") else "saint_venant_kirchhoff"
    return Body(points, group("hex8", formulation, conn, law, {"E_MPa": E, "nu": 0.0}))


@pytest.mark.parametrize(
    ("formulation", "elements", "error"),
    [("enhanced", 12, 0.01), ("enhanced", 6, 0.06)],
)
def test_elastica_by_elements_that_bend(formulation, elements, error):
    """Deflection of four fifths of the length under a dead tip load, one hex8 over the thickness."""
    body = cantilever(formulation, (elements, 1, 1), 24.0)
    points = body.points
    EI, L, alpha2 = 1.0e4 / 12.0, 24.0, 10.0
    tip = points[:, 0] == L
    load = np.zeros_like(points)
    load[tip, 2] = alpha2 * EI / L**2 / tip.sum()
    fixed = np.repeat((points[:, 0] == 0.0)[:, None], 3, axis=1)
    u = body.solve(fixed, np.zeros_like(points), load, steps=8)
    along, deflection = elastica(alpha2)
    assert deflection == pytest.approx(0.8106, abs=1e-4)  # the formula itself, against the literature
    assert u[tip, 2].mean() / L == pytest.approx(deflection, rel=error)
    assert 1 + u[tip, 0].mean() / L == pytest.approx(along, rel=2.0 * error)


@pytest.mark.parametrize("formulation", ["corotational", "enhanced"])
def test_pure_bending_to_a_half_circle(formulation):
    """End sections turned rigidly onto an arc: bending moment E I theta / L, no axial force."""
    body = cantilever(formulation)
    points, L, theta = body.points, 20.0, np.pi
    fixed = np.repeat(((points[:, 0] == 0.0) | (points[:, 0] == L))[:, None], 3, axis=1)
    end = points[:, 0] == L
    u = np.zeros_like(points)
    for angle in np.linspace(0.0, theta, 13)[1:]:
        radius, values = L / angle, np.zeros_like(points)
        s, z = points[:, 0] / L * angle, points[:, 2]
        arc = np.column_stack([(radius - z) * np.sin(s), points[:, 1], radius - (radius - z) * np.cos(s)]) - points
        values[end] = arc[end]
        u = body.solve(fixed, values, u=u)
    np.testing.assert_allclose(u, arc, atol=2e-3 * L)
    force = body(u)[1]
    x = points + u
    # The end section lies at x = 0, top of the circle; its moment about y through its centre.
    moment = np.cross(x[end] - x[end].mean(axis=0), force[end]).sum(axis=0)[1]
    assert abs(moment) == pytest.approx(1.0e4 / 12.0 * theta / L, rel=0.02)
    assert np.abs(force[end].sum(axis=0)).max() < 0.01 * abs(moment)


def test_strong_compression_stays_stable():
    """P = E (l - 1) for the co-rotational bar and ln(l) E / l for Hencky, where Saint Venant-Kirchhoff gives in."""
    points, conn = mesh_of("hex8", (2.0, 1.0, 1.0), (2, 1, 1))
    p = {"E_MPa": 10.0, "nu": 0.0}
    stretches = [0.8, 0.5]
    turned = pull(Body(points, group("hex8", "corotational", conn, "hencky", p)), stretches, 2.0)[0]
    np.testing.assert_allclose(turned, [-2.0, -5.0], rtol=1e-9)
    hencky = pull(Body(points, group("hex8", "standard", conn, "hencky", p)), stretches, 2.0)[0]
    np.testing.assert_allclose(hencky, 10.0 * np.log(stretches) / stretches, rtol=1e-9)
    body = Body(points, group("hex8", "standard", conn, "saint_venant_kirchhoff", p))
    u = np.zeros_like(points)
    fixed, _ = bar_supports(points)
    free = np.flatnonzero(~fixed.ravel())
    u[:, 0] = (0.5 - 1.0) * points[:, 0]
    assert np.linalg.eigvalsh(body(u)[0][free][:, free].toarray()).min() < 0.0
    for formulation, law in (("corotational", "hencky"), ("standard", "hencky")):
        K = Body(points, group("hex8", formulation, conn, law, p))(u)[0]
        assert np.linalg.eigvalsh(K[free][:, free].toarray()).min() > 0.0
