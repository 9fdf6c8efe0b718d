import numpy as np
import pytest

from spinefix.anatomy.blocks import build_f1717_blocks, f1717_closed_form
from spinefix.errors import UsageError
from spinefix.implants import CONSTRUCTS
from spinefix.implants.posterior import Posterior
from spinefix.mesh import quality


def test_posterior_construct_fits_the_blocks():
    blocks = build_f1717_blocks()
    spec = Posterior.model_validate({"screws": {"levels": ["upper", "lower"], "length_mm": 35}})
    out = CONSTRUCTS[Posterior](spec, blocks)
    assert not out.warnings
    first = out.mesh.offsets[-2]
    for side, y in (("left", 20.0), ("right", -20.0)):
        rod = out.mesh.blocks[-1].conn[out.mesh.cells[f"implant.rod.{side}"] - first]
        points = out.mesh.points[np.unique(rod)]
        np.testing.assert_allclose(points[:, :2], [[-51.0, y]] * len(points), atol=1e-12)
        heads = [
            out.mesh.points[out.mesh.blocks[-1].conn[out.mesh.cells[f"implant.screw.{level}.{side}"][0] - first, 0]]
            for level in ("upper", "lower")
        ]
        assert heads[0][2] - heads[1][2] == pytest.approx(76.0)
    assert all(len(blocks.mesh.select(*e.hosts)) for e in out.embeddings)


def test_blocks_hang_on_pins_on_the_load_line():
    blocks = build_f1717_blocks(active_length_mm=376.0, element_size_mm=7.0)
    assert blocks.hinged and quality.scaled_jacobian(blocks.mesh).min() == pytest.approx(1.0)
    for region, z in ((blocks.loaded_region, 188.0), (blocks.held_region, -188.0)):
        pin = blocks.mesh.points[blocks.mesh.nodes[region]]
        np.testing.assert_allclose(pin[:, [0, 2]], [[0.0, z]] * len(pin), atol=1e-12)
        assert np.ptp(pin[:, 1]) == pytest.approx(60.0)
    assert quality.volumes(blocks.mesh).sum() == pytest.approx(2 * 55 * 60 * 30)


@pytest.mark.parametrize("d, E, k", [(5.5, 110e3, 37.3), (6.0, 110e3, 47.8), (6.35, 110e3, 55.4), (5.5, 230e3, 61.1)])
def test_closed_form_by_integrating_the_energy(d, E, k):
    data = {"arm": 51.0, "free_length": 76.0, "rod_diameter": d, "E_rod": E}
    screw = {"screw_free_length": 11.0, "screw_core": 5.0, "E_screw": 110e3}
    stiffness = f1717_closed_form(**data, **screw)
    assert stiffness == pytest.approx(k, abs=0.06)
    inertia, core = np.pi * d**4 / 64, np.pi * 5.0**4 / 64
    x = np.linspace(40.0, 51.0, 2001)
    energy = 2 * (0.5 * 51.0) ** 2 * 76.0 / (2 * E * inertia) + 2 * 0.25 * 76.0 / (2 * E * np.pi * d**2 / 4)
    energy += 4 * np.trapezoid((0.5 * x) ** 2 / (2 * 110e3 * core), x)
    assert stiffness == pytest.approx(1.0 / (2.0 * energy), rel=1e-6)


def test_impossible_blocks_are_told():
    with pytest.raises(UsageError, match="blocks meet"):
        build_f1717_blocks(active_length_mm=25.0)
    with pytest.raises(UsageError, match="within the block, 60 wide"):
        build_f1717_blocks(screw_spacing_mm=70.0)
