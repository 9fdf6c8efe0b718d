"""Points in elements and on surfaces: round trips and closed forms."""

import numpy as np
import pytest

from spinefix.errors import MeshError
from spinefix.mesh import generate
from spinefix.mesh.core import CellBlock, Mesh
from spinefix.mesh.elements import shape
from spinefix.mesh.locate import locate, project


def wavy_shell():
    """A shell 0.4 mm thick on a curved grid with warped facets (a cortical layer)."""
    mesh = generate.box((40.0, 30.0, 0.4), (12, 9, 1))
    p = mesh.points.copy()
    p[:, 2] += 4.0 * np.sin(p[:, 0] / 9.0) * np.cos(p[:, 1] / 8.0)
    p[:, 0] += 0.3 * p[:, 2]
    return Mesh(p, mesh.blocks)


@pytest.mark.parametrize(
    "mesh",
    [
        wavy_shell(),
        generate.tube(20.0, 20.4, np.linspace(0, 30, 7), n_around=40, n_radial=1),
        generate.box((1.0, 2.0, 3.0), (4, 4, 4), kind="tet4"),
        generate.box((1.0, 2.0, 3.0), (4, 4, 4), kind="tet10"),
    ],
    ids=["wavy_shell", "thin_tube", "tet4", "tet10"],
)
def test_round_trip(mesh):
    rng = np.random.default_rng(3)
    block = mesh.blocks[0]
    element = rng.integers(0, len(block), 2000)
    inside = rng.uniform(-0.999, 0.999, (2000, 3)) if block.kind == "hex8" else rng.dirichlet(np.ones(4), 2000)[:, :3]
    x = np.einsum("pm,pmi->pi", shape(block.kind, inside), mesh.points[block.conn[element]])
    found = locate(mesh, np.arange(mesh.n_cells), x)
    np.testing.assert_array_equal(found.cell, element)
    np.testing.assert_allclose(found.xi, inside, atol=1e-9)
    np.testing.assert_allclose(np.einsum("pm,pmi->pi", found.weights, mesh.points[found.nodes]), x, atol=1e-11)


def test_outside_and_tolerance():
    mesh = generate.box((1.0, 1.0, 1.0), (2, 2, 2))
    x = np.array([[0.5, 0.5, 1.05], [0.5, 0.5, 5.0], [1.0, 1.0, 1.0]])
    tight = locate(mesh, np.arange(8), x)
    np.testing.assert_array_equal(tight.found, [False, False, True])
    assert tight.weights[0].sum() == 0.0
    wide = locate(mesh, np.arange(8), x, tolerance=0.1)
    np.testing.assert_array_equal(wide.found, [True, False, True])
    assert wide.distance[0] == pytest.approx(0.05)
    only_lower = locate(mesh, mesh.cells["block"][::2], np.array([[0.25, 0.25, 0.75]]))
    assert not only_lower.found[0]


def test_hosts_of_two_kinds():
    hexes = generate.box((1.0, 1.0, 1.0), (1, 1, 1))
    tets = generate.box((1.0, 1.0, 1.0), (1, 1, 1), origin=(1.0, 0, 0), kind="tet4")
    mesh = Mesh(
        np.concatenate([hexes.points, tets.points]),
        (hexes.blocks[0], CellBlock("tet4", tets.blocks[0].conn + 8)),
    )
    x = np.array([[0.5, 0.4, 0.3], [1.5, 0.4, 0.3]])
    found = locate(mesh, np.arange(mesh.n_cells), x)
    assert found.cell[0] == 0 and found.cell[1] > 0
    np.testing.assert_allclose(np.einsum("pm,pmi->pi", found.weights, mesh.points[found.nodes]), x, atol=1e-12)
    with pytest.raises(MeshError, match="beam2"):
        locate(generate.polyline(x, 1.0), np.array([0]), x)


@pytest.mark.parametrize("kind", ["hex8", "tet4"])
def test_projection_onto_a_plane_and_past_its_edge(kind):
    mesh = generate.box((4.0, 3.0, 1.0), (4, 3, 1), kind=kind)
    x = np.array([[1.2, 1.7, 1.8], [5.0, 1.5, 2.0], [1.2, 1.7, 0.5]])
    near = project(mesh, mesh.facets["block.zmax"], x)
    np.testing.assert_allclose(near.foot, [[1.2, 1.7, 1.0], [4.0, 1.5, 1.0], [1.2, 1.7, 1.0]], atol=1e-9)
    np.testing.assert_allclose(near.distance, [0.8, np.sqrt(2.0), 0.5])
    np.testing.assert_allclose(near.normal, [[0, 0, 1]] * 3, atol=1e-12)
    np.testing.assert_allclose(near.weights.sum(axis=1), 1.0)


def test_projection_finds_the_closest_of_all_facets():
    """Against brute force over a fine sampling of each warped facet."""
    mesh = wavy_shell()
    facets = np.array([(e, 5) for e in range(mesh.n_cells)])
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.uniform(-5, 45, 60), rng.uniform(-5, 35, 60), rng.uniform(-8, 12, 60)])
    near = project(mesh, facets, x)
    s = np.linspace(-1, 1, 41)
    uv = np.stack(np.meshgrid(s, s), axis=-1).reshape(-1, 2)
    corners = mesh.blocks[0].conn[:, [4, 5, 6, 7]]
    samples = np.einsum("qm,fmi->fqi", shape("quad4", uv), mesh.points[corners]).reshape(-1, 3)
    brute = np.array([np.linalg.norm(samples - p, axis=1).min() for p in x])
    assert (near.distance <= brute + 1e-9).all()
    np.testing.assert_allclose(near.distance, brute, atol=0.06)
    np.testing.assert_allclose(np.linalg.norm(x - near.foot, axis=1), near.distance, atol=1e-9)
