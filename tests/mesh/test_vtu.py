"""VTU and PVD files, read back with VTK itself."""

import numpy as np
import pytest

from spinefix.errors import MeshError
from spinefix.mesh import generate
from spinefix.mesh.core import merge
from spinefix.mesh.vtu import write_pvd, write_vtu

pv = pytest.importorskip("pyvista")


@pytest.fixture
def mixed():
    parts = [
        generate.box((1, 1, 1), (2, 2, 2)),
        generate.box((1, 1, 1), (1, 1, 1), origin=(2, 0, 0), kind="tet10"),
        generate.polyline(np.array([[0.0, 0, 2], [3, 0, 2]]), 1.0),
    ]
    return merge(parts)[0]


def test_round_trip(mixed, tmp_path):
    rng = np.random.default_rng(0)
    displacement = rng.normal(size=(mixed.n_points, 3))
    stress = rng.normal(size=(mixed.n_cells, 3, 3))
    region = np.arange(mixed.n_cells)
    path = write_vtu(
        tmp_path / "a b.vtu", mixed, {"displacement <mm>": displacement}, {"stress": stress, "region": region}
    )
    grid = pv.read(path)
    np.testing.assert_array_equal(grid.points, mixed.points)
    assert grid.celltypes.tolist() == [12] * 8 + [24] * 6 + [3] * 3
    np.testing.assert_array_equal(grid.cell_connectivity, np.concatenate([b.conn.ravel() for b in mixed.blocks]))
    np.testing.assert_allclose(grid.point_data["displacement <mm>"], displacement, rtol=1e-6)
    np.testing.assert_allclose(grid.cell_data["stress"], stress.reshape(-1, 9), rtol=1e-6)
    np.testing.assert_array_equal(grid.cell_data["region"], region)


def test_arrays_larger_than_one_compressed_block(tmp_path):
    mesh = generate.box((1, 1, 1), (25, 25, 25))
    values = np.random.default_rng(0).normal(size=(mesh.n_cells, 30))  # 1.9 MB
    grid = pv.read(write_vtu(tmp_path / "a.vtu", mesh, cell_data={"v": values}))
    np.testing.assert_allclose(grid.cell_data["v"], values, rtol=1e-6)


def test_series(mixed, tmp_path):
    frames = []
    for factor in (0.5, 1.0):
        u = np.full((mixed.n_points, 3), factor)
        frames.append((factor, write_vtu(tmp_path / f"step{factor}.vtu", mixed, {"u": u})))
    reader = pv.get_reader(write_pvd(tmp_path / "series.pvd", frames))
    assert reader.time_values == [0.5, 1.0]
    reader.set_active_time_value(1.0)
    assert reader.read()[0].point_data["u"].max() == 1.0


def test_wrong_length_is_named(mixed, tmp_path):
    with pytest.raises(MeshError, match="'u' has 3 rows"):
        write_vtu(tmp_path / "a.vtu", mixed, {"u": np.zeros((3, 3))})
