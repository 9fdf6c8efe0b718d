"""Promises of every finite-strain element: energy, force, tangent, patch test, rigid motion, threads."""

import numpy as np
import pytest
import scipy.linalg
from cases import CASES, rotation
from finitetools import ALL, Body, distorted, group, mesh_of

from spinefix import materials
from spinefix.errors import MaterialError
from spinefix.fem import voigt
from spinefix.fem.assembly import SolidGroup, assemble
from spinefix.fem.finite import (
    ElementFailure,
    FiniteState,
    InvertedElement,
    assemble_finite,
    finite_stress,
    internal_force,
)
from spinefix.fem.pattern import BlockPattern
from spinefix.mesh.elements import ELEMENTS


def random_displacement(points, size=0.08, seed=2):
    """A homogeneous deformation and a turn, roughened."""
    rng = np.random.default_rng(seed)
    F = rotation(5) @ (np.eye(3) + size * rng.uniform(-1, 1, (3, 3)))
    return points @ (F - np.eye(3)).T + 0.5 * size * rng.uniform(-1, 1, points.shape)


@pytest.mark.parametrize(("kind", "formulation"), ALL)
def test_rigid_motion_costs_nothing_and_nothing_else_is_free(kind, formulation):
    """A single element, but a block of quadratic ones with mean dilatation (see FINITE_FORMULATIONS on their modes)."""
    alone = formulation not in ("mean_dilatation", "corotational_bbar") or kind not in ("hex20", "tet10")
    points, conn = distorted(kind, divisions=(1,) * 3 if alone else (2,) * 3, amount=0.1 if alone else 0.05)
    conn = conn[:1] if alone else conn
    body = Body(points, group(kind, formulation, conn))
    nodes = np.unique(conn)
    dofs = (3 * nodes[:, None] + np.arange(3)).ravel()
    u = points @ (rotation(3) - np.eye(3)).T + [5.0, -3.0, 2.0]
    K, force = body(u)
    values = scipy.linalg.eigvalsh(K[dofs][:, dofs].toarray())
    np.testing.assert_allclose(force, 0.0, atol=1e-13 * values[-1])
    assert np.abs(values[:6]).max() < 1e-12 * values[-1]
    assert values[6] > 1e-4 * values[-1]


@pytest.mark.parametrize(("kind", "formulation"), ALL)
def test_small_strain_is_the_linear_element(kind, formulation):
    points, conn = distorted(kind)
    K, _ = Body(points, group(kind, formulation, conn, "saint_venant_kirchhoff"))(np.zeros_like(points))
    linear = {"standard": "standard", "mean_dilatation": "bbar", "corotational_bbar": "bbar"}.get(
        formulation, "standard"
    )
    if (kind, formulation) == ("hex8", "corotational"):
        linear = "incompatible"
    if formulation == "enhanced":
        pytest.skip("see test_enhanced.py: three modes more than the linear element")
    if (kind, formulation) == ("tet10", "mean_dilatation"):
        pytest.skip("the linear core does not offer B-bar for tet10")
    D = materials.elasticity("isotropic", CASES["saint_venant_kirchhoff"])
    n = len(conn)
    scale = np.ones((n, ELEMENTS[kind].n_points))
    g = SolidGroup(kind, linear, np.arange(n), conn, D, np.zeros(n, np.int32), scale)
    expected = assemble(points, [g], [], np.full(len(points), -1, np.int32)).tocsr()
    assert abs(K - expected).max() < 1e-12 * abs(expected).max()


@pytest.mark.parametrize(("kind", "formulation"), ALL)
def test_cauchy_stress_balances_the_nodal_forces(kind, formulation):
    """f_a = int sigma grad N_a dv over the current volume; co-rotational stress does so for small strain only."""
    points, conn = distorted(kind)
    corotational = formulation.startswith("corotational")
    size = 1e-6 if corotational else 0.08
    u = random_displacement(points, size)
    body = Body(points, group(kind, formulation, conn))
    force = body(u)[1]
    sigma = voigt.stress_tensor(finite_stress(points, body.group, u, body.state))
    dN, w = ELEMENTS[kind].dN, ELEMENTS[kind].weights
    J = np.einsum("qmd,emi->eqdi", dN, (points + u)[conn])
    g = np.einsum("eqid,qmd->eqmi", np.linalg.inv(J), dN)
    sums = np.zeros_like(points)
    np.add.at(sums, conn, np.einsum("eqij,eqmj,eq->emi", sigma, g, np.linalg.det(J) * w))
    if formulation in ("enhanced", "corotational_bbar") or (kind, formulation) == ("hex8", "corotational"):
        # B-bar replaces gradients and incompatible modes add some: only sums over the body are the same.
        sums, force = np.cross(points + u, sums).sum(axis=0), np.cross(points + u, force).sum(axis=0)
        np.testing.assert_allclose(force, 0.0, atol=1e-9 * size)
        return
    if formulation == "mean_dilatation":
        J_mean = np.linalg.det(J) * w
        g_mean = np.einsum("eqmi,eq->emi", g, J_mean) / J_mean.sum(axis=1)[:, None, None]
        pressure = np.einsum("eqii->eq", sigma)[..., None, None] / 3
        extra = np.einsum("eqmi,eq->emi", pressure * (g_mean[:, None] - g), J_mean)
        np.add.at(sums, conn, extra)
    np.testing.assert_allclose(sums, force, atol=(1e-5 if corotational else 1e-12) * np.abs(force).max())


@pytest.mark.parametrize(
    "formulation", ["standard", "mean_dilatation", "enhanced", "corotational", "corotational_bbar"]
)
def test_bits_do_not_depend_on_the_number_of_threads(formulation):
    points, conn = distorted("hex8", divisions=(5, 4, 9), amount=0.02)
    u = random_displacement(points, 0.02)
    out = []
    for threads in (1, 2, 3):
        g = group("hex8", formulation, conn, "plastic_j2")
        body = Body(points, g, threads)
        K, force = body(u)
        alone = np.empty_like(force)
        internal_force(points, [g], u, [body.state], body.pattern, alone)
        np.testing.assert_array_equal(force, alone)
        out.append((K.data, force, body.state.new.copy()))
    for other in out[1:]:
        for a, b in zip(out[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_groups_share_a_pattern_and_can_be_added():
    points, conn = distorted("hex8", divisions=(2, 1, 1), amount=0.02)
    u = random_displacement(points, 0.02)
    parts = [group("hex8", "standard", conn[:1]), group("hex8", "corotational", conn[1:], "hencky")]
    spring = np.array([[0, len(points) - 1]], np.int32)
    pattern = BlockPattern.build(len(points), [spring, *(g.conn for g in parts)])
    states = [FiniteState.virgin(g) for g in parts]
    data, force = np.empty((len(pattern.indices), 3, 3)), np.empty((len(points), 3))
    assemble_finite(points, parts, u, states, pattern, data, force, tables=[1, 2])
    singles = [np.empty_like(force), np.empty_like(force)]
    one = np.zeros_like(data)
    both = np.zeros_like(force)
    for i, g in enumerate(parts):
        internal_force(points, [g], u, [states[i]], pattern, singles[i], tables=[i + 1])
        assemble_finite(points, [g], u, [states[i]], pattern, one, both, tables=[i + 1], add=True)
    np.testing.assert_allclose(force, singles[0] + singles[1], atol=1e-15)
    np.testing.assert_allclose(one, data, rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(both, force)


@pytest.mark.parametrize(("kind", "formulation"), ALL)
def test_an_inverted_element_is_named(kind, formulation):
    points, conn = mesh_of(kind, (2.0, 1.0, 1.0), (2, 1, 1))
    g = group(kind, formulation, conn)
    object.__setattr__(g, "cells", g.cells + 100)
    u = np.zeros_like(points)
    u[:, 0] = np.where(points[:, 0] > 1.0, 3.0 - 3.0 * points[:, 0], 0.0)  # the right half is mirrored and stretched
    body = Body(points, g)
    with pytest.raises(InvertedElement, match="inside out") as caught:
        body(u)
    bad = caught.value.element - 100
    assert points[conn[bad], 0].min() == 1.0
    assert caught.value.kind == kind


def test_a_law_without_answer_is_named():
    points, conn = mesh_of("hex8", (2.0, 1.0, 1.0), (2, 1, 1))
    stiff = {**CASES["fibres_exponential"], "k2": 5000.0}
    axes = np.tile([[[1.0, 0.0, 0.0]]], (2, 1, 1))
    body = Body(points, group("hex8", "standard", conn, "fibres_exponential", stiff, axes=axes))
    u = np.zeros_like(points)
    u[points[:, 0] > 1.5, 0] = 1.0
    with pytest.raises(ElementFailure, match="no finite stress") as caught:
        body(u)
    assert caught.value.element == 1
    assert not isinstance(caught.value, InvertedElement)


def test_unusable_groups_are_refused():
    points, conn = mesh_of("hex8")
    with pytest.raises(ValueError, match="no formulation"):
        group("tet4", "mean_dilatation", mesh_of("tet4")[1])
    with pytest.raises(MaterialError, match="at least 2 reference directions"):
        group("hex8", "standard", conn, "orthotropic_saint_venant_kirchhoff", axes=np.zeros((1, 0, 3)))
    with pytest.raises(MaterialError, match="unit length"):
        group("hex8", "standard", conn, "fibres_exponential", axes=np.full((1, 2, 3), 0.3))
