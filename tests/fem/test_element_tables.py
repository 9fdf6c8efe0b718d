"""The element catalogue: shape functions, quadrature, facets."""

import numpy as np
import pytest

from spinefix.mesh.core import NODES_PER_KIND
from spinefix.mesh.elements import (
    EDGES,
    ELEMENTS,
    FACET_ELEMENTS,
    FACET_KIND,
    FACETS,
    gradient,
    shape,
)

EVERY = {**ELEMENTS, **FACET_ELEMENTS}
SOLIDS = [k for k, f in FACETS.items() if f]
CENTROID = {"tet4": 1 / 4, "tet10": 1 / 4, "tri3": 1 / 3, "tri6": 1 / 3}


@pytest.mark.parametrize("kind", EVERY)
def test_shape_functions(kind):
    element = EVERY[kind]
    np.testing.assert_allclose(shape(kind, element.nodes), np.eye(element.n_nodes), atol=1e-14)
    np.testing.assert_allclose(element.N.sum(axis=1), 1.0, atol=1e-14)
    h = 1e-6
    for d in range(element.dN.shape[2]):
        step = np.zeros(element.dN.shape[2])
        step[d] = h
        difference = (shape(kind, element.points + step) - shape(kind, element.points - step)) / (2 * h)
        np.testing.assert_allclose(gradient(kind, element.points)[..., d], difference, atol=1e-8)


@pytest.mark.parametrize("kind", SOLIDS)
def test_counts(kind):
    assert ELEMENTS[kind].n_nodes == NODES_PER_KIND[kind]
    assert max(max(e) for e in EDGES[kind]) < ELEMENTS[kind].n_nodes


def monomials(degree, dim):
    grid = np.stack(np.meshgrid(*[np.arange(degree + 1)] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    return grid[grid.sum(axis=1) <= degree]


@pytest.mark.parametrize(
    ("kind", "degree"),
    [("hex8", 3), ("hex20", 5), ("tet4", 1), ("tet10", 2), ("tri3", 2), ("tri6", 4), ("quad4", 3), ("quad8", 5)],
)
def test_quadrature_degree(kind, degree):
    element = EVERY[kind]
    from math import factorial

    for powers in monomials(degree, element.points.shape[1]):
        value = element.weights @ np.prod(element.points**powers, axis=1)
        if kind[:3] in ("hex", "qua"):
            exact = np.prod([0.0 if p % 2 else 2.0 / (p + 1) for p in powers])
        else:
            exact = np.prod([factorial(p) for p in powers]) / factorial(sum(powers) + len(powers))
        assert value == pytest.approx(exact, abs=1e-14)


@pytest.mark.parametrize("kind", SOLIDS)
def test_facets_are_a_closed_outward_surface(kind):
    """The divergence theorem on x / 3 gives the volume only if each facet is there once and faces outward."""
    element = ELEMENTS[kind]
    centre = element.nodes.mean(axis=0)
    flux, area_vector = 0.0, np.zeros(3)
    for local in FACETS[kind]:
        facet = FACET_ELEMENTS[FACET_KIND[len(local)]]
        X = element.nodes[list(local)]
        tangents = np.einsum("qmd,mi->qdi", facet.dN, X)
        normal = np.cross(tangents[:, 0], tangents[:, 1])
        x = facet.N @ X
        assert (((x - centre) * normal).sum(axis=1) > 0).all()
        flux += np.einsum("q,qi,qi->", facet.weights, x, normal) / 3
        area_vector += facet.weights @ normal
    assert flux == pytest.approx(element.weights.sum(), rel=1e-13)
    np.testing.assert_allclose(area_vector, 0.0, atol=1e-13)


@pytest.mark.parametrize("kind", ["hex20", "tet10"])
def test_midside_nodes_lie_on_their_edges(kind):
    nodes = ELEMENTS[kind].nodes
    corners = len(nodes) - len(EDGES[kind])
    for i, (a, b) in enumerate(EDGES[kind]):
        np.testing.assert_array_equal(nodes[corners + i], (nodes[a] + nodes[b]) / 2)
    for local in FACETS[kind]:
        n = len(local) // 2
        for i in range(n):
            middle = (nodes[local[i]] + nodes[local[(i + 1) % n]]) / 2
            np.testing.assert_array_equal(nodes[local[n + i]], middle)
