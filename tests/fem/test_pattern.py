"""Block pattern and scatter against SciPy's triplet assembly."""

import numpy as np
import pytest
import scipy.sparse as sp

from spinefix.errors import MaterialError
from spinefix.fem.assembly import SolidGroup, assemble, build_pattern, formulation_of, point_scale
from spinefix.fem.kernels_pattern import scatter_blocks
from spinefix.fem.pattern import BlockPattern
from spinefix.materials import elasticity
from spinefix.mesh.elements import ELEMENTS
from spinefix.mesh.generate import box


def test_pattern_and_map_against_triplets():
    rng = np.random.default_rng(0)
    tables = [rng.integers(0, 40, (30, s)).astype(np.int32) for s in (8, 4, 2)]
    pattern = BlockPattern.build(45, tables, threads=3)  # five rows that no clique touches keep their diagonal
    blocks = [rng.normal(size=(len(t), t.shape[1], t.shape[1], 3, 3)) for t in tables]
    data = np.zeros((len(pattern.indices), 3, 3))
    rows, cols, values = [], [], []
    for t, m, b in zip(tables, pattern.maps, blocks, strict=True):
        scatter_blocks(b, m, data)
        i = 3 * t[:, :, None, None, None] + np.arange(3)[:, None]
        j = 3 * t[:, None, :, None, None] + np.arange(3)
        rows.append(np.broadcast_to(i, b.shape).ravel())
        cols.append(np.broadcast_to(j, b.shape).ravel())
        values.append(b.ravel())
    expected = sp.coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))), shape=(135, 135))
    K = sp.bsr_array((data, pattern.indices, pattern.indptr), shape=(135, 135))
    assert np.abs(K.toarray() - expected.toarray()).max() < 1e-13
    for r in range(45):
        row = pattern.indices[pattern.indptr[r] : pattern.indptr[r + 1]]
        assert (np.diff(row) > 0).all()
        assert r in row


def test_an_extra_table_couples_blocks_and_bad_blocks_are_refused():
    pattern = BlockPattern.build(4, [np.array([[0, 1], [1, 3]], np.int32)])
    assert pattern.indptr.tolist() == [0, 2, 5, 6, 8]
    with pytest.raises(ValueError, match="block 4 of 4"):
        BlockPattern.build(4, [np.array([[0, 4]], np.int32)])


def cube(formulation):
    mesh = box((1.0, 1.0, 1.0), (5, 4, 3))
    rng = np.random.default_rng(1)
    points = mesh.points + 0.03 * rng.uniform(-1, 1, mesh.points.shape)
    conn = mesh.blocks[0].conn
    D = elasticity("isotropic", {"E_MPa": 10.0, "nu": 0.3})
    scale = rng.uniform(0.2, 1.0, (len(conn), 8))
    return points, SolidGroup("hex8", formulation, np.arange(60), conn, D, np.zeros(60, np.int32), scale)


@pytest.mark.parametrize("formulation", ["standard", "bbar", "incompatible"])
def test_bitwise_equal_for_any_number_of_threads_and_exactly_symmetric(formulation):
    points, group = cube(formulation)
    index = np.full(len(points), -1, np.int32)
    one, *others = (
        assemble(points, [group], [], index, pattern=build_pattern(len(points), [group], [], index, threads=t))
        for t in (1, 2, 5)
    )
    for other in others:
        assert np.array_equal(one.data, other.data)
    full = one.toarray()
    assert np.array_equal(full, full.T)


def test_group_refuses_what_it_cannot_use():
    _, group = cube("bbar")
    fields = {f: getattr(group, f) for f in ("kind", "formulation", "cells", "conn", "D", "d_id", "scale")}
    with pytest.raises(MaterialError, match="element 7"):
        scale = group.scale.copy()
        scale[7, 3] = 0.0
        SolidGroup(**{**fields, "scale": scale})
    with pytest.raises(ValueError, match="scale has shape"):
        SolidGroup(**{**fields, "scale": group.scale[:, :4]})
    with pytest.raises(ValueError, match="no formulation"):
        SolidGroup(**{**fields, "kind": "tet4", "formulation": "incompatible"})
    assert formulation_of("tet4", "incompatible") == "standard"
    assert formulation_of("hex8", "bbar") == "bbar"


def test_scale_at_points_of_other_kinds():
    eight = np.arange(8.0)[None]
    np.testing.assert_array_equal(point_scale("tet10", eight), eight[:, :4])
    twenty = point_scale("hex20", eight)
    assert twenty.shape == (1, ELEMENTS["hex20"].n_points)
    corners, face = ELEMENTS["hex20"].points[:8], ELEMENTS["hex20"].points[8:]
    field = point_scale("hex20", (2.0 + corners @ [0.1, 0.2, 0.3])[None])[0, 8:]
    centred = 2.0 + face / np.abs(face).max() * np.abs(corners[0, 0]) @ [0.1, 0.2, 0.3]
    np.testing.assert_allclose(field, centred, rtol=1e-12)
