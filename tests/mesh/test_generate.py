"""Generated meshes: volumes, surfaces and regions against closed forms."""

import numpy as np
import pytest

from spinefix.errors import MeshError
from spinefix.mesh import generate, quality, topology


@pytest.mark.parametrize("kind", ["hex8", "tet4", "tet10"])
def test_box_fills_its_volume_and_names_its_sides(kind):
    mesh = generate.box((2.0, 3.0, 4.0), (2, 3, 2), origin=(1.0, 0.0, -1.0), kind=kind)
    quality.check(mesh)
    assert quality.volumes(mesh).sum() == pytest.approx(24.0)
    expected = {"xmin": 12.0, "xmax": 12.0, "ymin": 8.0, "ymax": 8.0, "zmin": 6.0, "zmax": 6.0}
    for side, area in expected.items():
        assert topology.facet_areas(mesh, mesh.facets[f"block.{side}"]).sum() == pytest.approx(area)
    np.testing.assert_allclose(mesh.points[mesh.nodes["block.xmin"], 0], 1.0)
    np.testing.assert_allclose(topology.facet_normals(mesh, mesh.facets["block.zmax"]), [[0, 0, 1]] * len(
        mesh.facets["block.zmax"]), atol=1e-12)  # fmt: skip
    # Conforming: the boundary is exactly the six sides.
    assert len(topology.boundary_facets(mesh)) == sum(len(f) for f in mesh.facets.values())


def test_graded_coordinates():
    x = generate.graded(0.0, 7.0, 3, ratio=4.0)
    np.testing.assert_allclose(np.diff(x), [1.0, 2.0, 4.0])
    with pytest.raises(MeshError, match="must increase"):
        generate.grid(np.array([0.0, 1.0, 0.5]), x, x)


def test_cylinder_and_tube_converge_to_round():
    z = np.linspace(0.0, 10.0, 4)
    for mesh, exact in (
        (generate.cylinder(3.0, z, n_core=8), np.pi * 9 * 10),
        (generate.tube(2.0, 3.0, z, n_around=32), np.pi * 5 * 10),
    ):
        polygon = 32 / (2 * np.pi) * np.sin(2 * np.pi / 32)
        assert quality.volumes(mesh).sum() == pytest.approx(exact * polygon, rel=1e-9)
        assert quality.scaled_jacobian(mesh).min() > 0.7
        name = next(iter(mesh.cells))
        outer = mesh.points[mesh.nodes[f"{name}.outer"]]
        np.testing.assert_allclose(np.hypot(outer[:, 0], outer[:, 1]), 3.0)
        normals = topology.facet_normals(mesh, mesh.facets[f"{name}.outer"])
        centres = mesh.points[topology.facet_corners(mesh, mesh.facets[f"{name}.outer"])].mean(axis=1)
        assert (np.einsum("ki,ki->k", normals[:, :2], centres[:, :2]) > 0).all()


def test_tube_inner_side_faces_the_axis():
    mesh = generate.tube(2.0, 3.0, np.linspace(0.0, 1.0, 2), n_around=16)
    inner = mesh.nodes["tube.inner"]
    np.testing.assert_allclose(np.linalg.norm(mesh.points[inner, :2], axis=1), 2.0)
    assert len(topology.boundary_facets(mesh)) == sum(len(f) for f in mesh.facets.values())


def test_polyline_keeps_corners():
    corners = np.array([[0.0, 0, 0], [10, 0, 0], [10, 5, 0]])
    mesh = generate.polyline(corners, 2.0)
    assert len(mesh.blocks[0]) == 8
    for corner in corners:
        assert (mesh.points == corner).all(axis=1).any()
