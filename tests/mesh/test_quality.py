"""Quality measures against hand values."""

import numpy as np
import pytest

from spinefix.errors import MeshError
from spinefix.mesh import generate, quality
from spinefix.mesh.core import CellBlock, Mesh


def cube(moved=None):
    mesh = generate.box((1.0, 1.0, 1.0), (1, 1, 1))
    points = mesh.points.copy()
    if moved is not None:
        corner = int(np.flatnonzero((points == 1.0).all(axis=1))[0])
        points[corner] = moved
    return Mesh(points, mesh.blocks, {"L3.body.cancellous": np.array([0])})


def test_scaled_jacobian_of_a_distorted_cube():
    # Corner (1, 1, 1) pulled in to (a, a, a). Its edges are (-a, b, b), (b, -a, b), (b, b, -a) with b = 1 - a. The
    # eigenvalues of that matrix are 2 b - a and twice -(a + b) = -1, so |det| = a - 2 b.
    a = 0.8
    length = np.sqrt(a**2 + 2 * (1 - a) ** 2)
    at_corner = (a - 2 * (1 - a)) / length**3
    value = quality.scaled_jacobian(cube((a, a, a)))[0]
    assert value == pytest.approx(at_corner, rel=1e-12)
    assert quality.scaled_jacobian(cube())[0] == pytest.approx(1.0)


def test_check_names_region_and_element():
    quality.check(cube())
    with pytest.raises(MeshError, match=r"element 0 \(L3\.body\.cancellous\).*det J"):
        quality.check(cube((0.2, 0.2, 0.2)))
    nodes = generate.box((1, 1, 1), (1, 1, 1)).blocks[0].conn[:, [4, 5, 6, 7, 0, 1, 2, 3]]
    with pytest.raises(MeshError, match="inside out"):
        quality.check(Mesh(cube().points, (CellBlock("hex8", nodes),)))


def test_regular_tetrahedron_is_ideal():
    points = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)
    mesh = Mesh(points, (CellBlock("tet4", [[0, 2, 1, 3]]),))
    assert quality.scaled_jacobian(mesh)[0] == pytest.approx(1.0)
    assert quality.volumes(mesh)[0] == pytest.approx(8.0 / 3.0)


def test_summary_counts_by_region():
    mesh = generate.box((2, 1, 1), (2, 1, 1))
    mesh = mesh.with_regions(cells={"left": np.array([0])})
    summary = quality.summary(mesh)
    assert summary["left"].elements == 1
    assert summary["left"].volume_mm3 == pytest.approx(1.0)
    assert summary[""].minimum == pytest.approx(1.0)
    assert summary[""].negative == 0
