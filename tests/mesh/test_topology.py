"""Boundary, facet geometry, neighbours and parts."""

import numpy as np
import pytest

from spinefix.errors import MeshError
from spinefix.mesh import generate, topology
from spinefix.mesh.core import CellBlock, Mesh, merge


@pytest.mark.parametrize(
    "mesh",
    [
        generate.cylinder(3.0, np.linspace(0.0, 5.0, 3)),
        generate.box((1.0, 2.0, 3.0), (2, 2, 2), kind="tet10"),
    ],
    ids=["hex8", "tet10"],
)
def test_closed_surface_has_no_net_area_and_encloses_the_volume(mesh):
    from spinefix.mesh.quality import volumes

    p = topology.facet_points(mesh, topology.boundary_facets(mesh))
    np.testing.assert_allclose((p.normal * p.area[:, None]).sum(axis=0), 0.0, atol=1e-10)
    by_divergence = np.einsum("pi,pi,p->", p.position, p.normal, p.area) / 3.0
    assert by_divergence == pytest.approx(volumes(mesh).sum())


def test_boundary_of_a_subset_includes_the_cut():
    mesh = generate.box((2.0, 1.0, 1.0), (2, 1, 1))
    assert len(topology.boundary_facets(mesh)) == 10
    assert len(topology.boundary_facets(mesh, np.array([0], np.int32))) == 6


def test_facet_shared_by_three_elements_is_an_error():
    conn = np.array([[0, 1, 2, 3], [0, 2, 1, 4], [0, 1, 2, 5]])
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1], [1, 1, 1]], float)
    with pytest.raises(MeshError, match="shared by 3"):
        topology.boundary_facets(Mesh(points, (CellBlock("tet4", conn),)))


def test_connected_components_and_node_elements():
    near = generate.box((1, 1, 1), (2, 2, 2))
    far = generate.box((1, 1, 1), (1, 1, 1), origin=(5, 0, 0))
    mesh, offsets, cells = merge([near, far])
    count, label = topology.connected_components(mesh)
    assert count == 2
    np.testing.assert_array_equal(label, [0] * 8 + [1])
    table = topology.node_elements(mesh)
    assert table[[13]].nnz == 8  # the middle node
    assert table[[offsets[1]]].indices.tolist() == [cells[1]]
