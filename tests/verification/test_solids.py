"""Solids against beam theory, an exact thick-walled cylinder, and Cook's membrane near incompressibility."""

import numpy as np
import pytest
from femtools import boundary, group, isotropic, mesh_of, solve, stiffness

from spinefix.fem import recover
from spinefix.mesh.elements import ELEMENTS, FACET_ELEMENTS, FACET_KIND, FACETS

LENGTH, DEPTH, E = 10.0, 1.0, 1000.0


def face_load(points, conn, kind, on_face, traction):
    """Consistent nodal forces of a traction (callable of points -> (q, 3)) on facets whose nodes are all `on_face`."""
    load = np.zeros_like(points)
    for local in FACETS[kind]:
        facet = FACET_ELEMENTS[FACET_KIND[len(local)]]
        nodes = conn[:, list(local)]
        nodes = nodes[on_face[nodes].all(axis=1)]
        X = points[nodes]
        t = np.einsum("qmd,emi->eqdi", facet.dN, X)
        area = np.linalg.norm(np.cross(t[:, :, 0], t[:, :, 1]), axis=-1) * facet.weights
        x = np.einsum("qm,emi->eqi", facet.N, X)
        np.add.at(load, nodes, np.einsum("eq,qm,eqi->emi", area, facet.N, traction(x)))
    return load


def pure_bending(kind, formulation, divisions):
    """Relative error of the tip deflection of a bar in pure bending, nu = 0.3, supports that leave it free to contract.

    Exact (Saint-Venant): sigma_xx = -M z / I, u_z = M x^2 / (2 E I) at z = 0.
    """
    points, conn = mesh_of(kind, (LENGTH, DEPTH, DEPTH), divisions)
    points = points - [0, DEPTH / 2, DEPTH / 2]
    moment, inertia = 5.0, DEPTH**4 / 12
    end = points[:, 0] > LENGTH - 1e-9
    load = face_load(points, conn, kind, end, lambda x: -moment / inertia * x[..., 2:] * np.array([1.0, 0, 0]))
    fixed = np.zeros(points.shape, bool)
    root = points[:, 0] < 1e-9
    fixed[root, 0] = True
    fixed[root & (np.abs(points[:, 1]) < 1e-9), 1] = True
    fixed[root & (np.abs(points[:, 1]) < 1e-9) & (np.abs(points[:, 2]) < 1e-9), 2] = True
    g = group(kind, formulation, conn, isotropic(E, 0.3))
    u = solve(stiffness(points, g), fixed, np.zeros_like(points), load)
    axis = end & (np.abs(points[:, 1]) < 1e-9) & (np.abs(points[:, 2]) < 1e-9)
    exact = moment * LENGTH**2 / (2 * E * inertia)
    return u[axis, 2].item() / exact - 1.0, recover.stress(points, g, u)


def test_incompatible_modes_bend_exactly_on_rectangles():
    """Bricks of any aspect ratio; plain hex8 would lock."""
    error, stress = pure_bending("hex8", "incompatible", (2, 2, 2))
    assert abs(error) < 1e-9
    assert recover.von_mises(stress).max() == pytest.approx(5.0 * 12 / DEPTH**3 * 0.25 * (1 + 1 / np.sqrt(3)), rel=1e-9)
    error, _ = pure_bending("hex8", "standard", (2, 2, 2))
    assert error < -0.5


@pytest.mark.parametrize(("kind", "formulation"), [("tet10", "standard"), ("hex20", "standard")])
def test_quadratic_elements_bend_exactly(kind, formulation):
    """The solution is quadratic, so elements with straight edges hold it."""
    error, _ = pure_bending(kind, formulation, (4, 2, 2))
    assert abs(error) < 1e-9


def tip_deflection(kind, formulation, n):
    """Cantilever with a shear load at its tip and a clamped root, n elements in depth, nu = 0."""
    points, conn = mesh_of(kind, (LENGTH, DEPTH, DEPTH), (5 * n, n, n))
    end = points[:, 0] > LENGTH - 1e-9
    load = face_load(points, conn, kind, end, lambda x: np.broadcast_to([0, 0, 1.0], x.shape))
    fixed = np.repeat((points[:, 0] < 1e-9)[:, None], 3, axis=1)
    g = group(kind, formulation, conn, isotropic(E, 0.0))
    u = solve(stiffness(points, g), fixed, np.zeros_like(points), load)
    return float(np.sum(u * load) / load.sum())


@pytest.mark.parametrize(
    ("kind", "formulation"), [("hex8", "incompatible"), ("tet10", "standard"), ("hex20", "standard")]
)
def test_cantilever_converges_to_timoshenko(kind, formulation):
    """Without Poisson's ratio a clamped root disturbs beam theory by no more than its warping."""
    beam = LENGTH**3 / (3 * E / 12) + LENGTH / (5 / 6 * E / 2)
    error = [tip_deflection(kind, formulation, n) / beam - 1.0 for n in (1, 2, 4)[: 3 if kind == "hex8" else 2]]
    assert abs(error[-1]) < 0.002
    assert abs(error[-1]) < 0.5 * abs(error[0])


def strain_error(kind, formulation, n):
    """Energy error for the displacement (sin ky, sin kz, sin kx) under the body force that belongs to it."""
    points, conn = mesh_of(kind, (1.0, 1.0, 1.0), (n, n, n))
    D = isotropic(E, 0.3)
    shear = D[0, 3, 3]
    k = np.pi / 2
    exact = np.stack([np.sin(k * points[:, 1]), np.sin(k * points[:, 2]), np.sin(k * points[:, 0])], axis=1)
    element = ELEMENTS[kind]
    J = np.einsum("qmd,emi->eqdi", element.dN, points[conn])
    dv = np.linalg.det(J) * element.weights
    x = np.einsum("qm,emi->eqi", element.N, points[conn])
    s, c = np.sin(k * x), np.cos(k * x)
    body = shear * k**2 * s[..., [1, 2, 0]]  # the field is free of dilatation
    load = np.zeros_like(points)
    np.add.at(load, conn, np.einsum("eq,qm,eqi->emi", dv, element.N, body))
    fixed = np.repeat(boundary(points)[:, None], 3, axis=1)
    g = group(kind, formulation, conn, D)
    u = solve(stiffness(points, g), fixed, exact, load)
    strain = np.zeros((*dv.shape, 6))
    strain[..., 3], strain[..., 4], strain[..., 5] = k * c[..., 1], k * c[..., 2], k * c[..., 0]
    difference = recover.strain(points, g, u) - strain
    return float(np.sqrt(np.einsum("eqi,ij,eqj,eq->", difference, D[0], difference, dv)))


@pytest.mark.parametrize(
    ("kind", "formulation", "sizes", "order"),
    [
        ("hex8", "standard", (4, 8), 1.0),
        ("hex8", "bbar", (4, 8), 1.0),
        ("hex8", "incompatible", (4, 8), 1.0),
        ("wedge6", "standard", (4, 8), 1.0),
        ("tet4", "standard", (4, 8), 1.0),
        ("tet10", "standard", (2, 4), 2.0),
        ("hex20", "standard", (2, 4), 2.0),
    ],
)
def test_energy_error_falls_with_the_order_of_the_element(kind, formulation, sizes, order):
    """At Gauss points some elements are better than theory; none may be worse."""
    coarse, fine = (strain_error(kind, formulation, n) for n in sizes)
    assert np.log2(coarse / fine) > order - 0.15


def cook(kind, formulation, n, nu):
    """Vertical tip displacement of Cook's membrane in plane strain, one element thick."""
    points, conn = mesh_of(kind, (1.0, 1.0, 1.0), (n, n, 1))
    s, t = points[:, 0].copy(), points[:, 1].copy()
    points[:, 0] = 48 * s
    points[:, 1] = 44 * s * (1 - t) + (44 + 16 * s) * t
    load = face_load(points, conn, kind, s > 1 - 1e-9, lambda x: np.broadcast_to([0, 1 / 16, 0], x.shape))
    fixed = np.zeros(points.shape, bool)
    fixed[:, 2] = True
    fixed[s < 1e-9] = True
    g = group(kind, formulation, conn, isotropic(1.0, nu))
    u = solve(stiffness(points, g), fixed, np.zeros_like(points), load)
    return u[(s > 1 - 1e-9) & (t > 1 - 1e-9), 1].mean()


def test_cook_membrane_nearly_incompressible():
    """Plane strain, nu = 0.4999: bounds from below (hex8, B-bar) and above (hex20 with one pressure) meet.

    The corner at the clamp is singular, so convergence is slow; Aitken's extrapolation of both sequences must agree,
    and an unrelated formulation must give the same on the same mesh. Plain hex8 locks.
    """

    def limit(v):
        return v[2] - (v[2] - v[1]) ** 2 / ((v[2] - v[1]) - (v[1] - v[0]))

    below = [cook("hex8", "bbar", n, 0.4999) for n in (4, 8, 16)]
    above = [cook("hex20", "bbar", n, 0.4999) for n in (2, 4, 8)]
    assert below[0] < below[1] < below[2] < above[2] < above[1] < above[0]
    assert limit(below) == pytest.approx(limit(above), rel=0.01)
    assert below[2] == pytest.approx(limit(below), rel=0.025)
    assert cook("hex8", "incompatible", 16, 0.4999) == pytest.approx(below[2], rel=0.003)
    assert cook("hex8", "standard", 16, 0.4999) < 0.35 * below[2]


@pytest.mark.parametrize(("formulation", "nu", "tolerance"), [("incompatible", 0.3, 0.004), ("bbar", 0.4999, 0.01)])
def test_thick_cylinder_under_inner_pressure(formulation, nu, tolerance):
    """Lame's solution in plane strain: u_r and the hoop stress, a quarter of a tube."""
    inner, outer, pressure, n = 10.0, 20.0, 3.0, 8
    points, conn = mesh_of("hex8", (1.0, 1.0, 1.0), (n, 2 * n, 1))
    r, angle = inner + (outer - inner) * points[:, 0], np.pi / 2 * points[:, 1]
    points = np.column_stack([r * np.cos(angle), r * np.sin(angle), points[:, 2]])

    def push(x):
        radial = x * [1, 1, 0]
        return pressure * radial / np.linalg.norm(radial, axis=-1, keepdims=True)

    load = face_load(points, conn, "hex8", r < inner + 1e-9, push)
    fixed = np.zeros(points.shape, bool)
    fixed[:, 2] = True
    fixed[:, 0] = points[:, 0] < 1e-9
    fixed[:, 1] = points[:, 1] < 1e-9
    g = group("hex8", formulation, conn, isotropic(E, nu))
    u = solve(stiffness(points, g), fixed, np.zeros_like(points), load)
    radial = np.hypot(u[:, 0], u[:, 1])[r < inner + 1e-9]
    a2, b2 = inner**2, outer**2
    factor = pressure * a2 / (b2 - a2)
    exact = (1 + nu) / E * factor * ((1 - 2 * nu) * inner + b2 / inner)
    np.testing.assert_allclose(radial, exact, rtol=tolerance)
    stress = recover.stress(points, g, u)
    volume = recover.volumes(points, g)
    energy = recover.strain_energy(points, g, u).sum()
    assert energy == pytest.approx(0.5 * np.sum(load * u), rel=1e-9)
    inner_ring = np.hypot(*points[conn].mean(axis=1)[:, :2].T) < inner + (outer - inner) / n
    hoop = (recover.principal(stress)[inner_ring, :, 0] * volume[inner_ring]).sum() / volume[inner_ring].sum()
    middle = inner + (outer - inner) / (2 * n)
    assert hoop == pytest.approx(factor * (1 + b2 / middle**2), rel=0.02)
