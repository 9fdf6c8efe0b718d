"""What a viewer must be able to see, read from the pixels."""

from __future__ import annotations

import colorsys

import matplotlib
import numpy as np
import pytest
from runfolder import PEAK

LESION = (4.0, 6.0, 13.0)


def pixel(drawn: dict[str, np.ndarray], name: str, point: tuple[float, float, float], size: int = 2) -> np.ndarray:
    """Mean colour (3,) in 0..255 around the projection of a point [mm]."""
    *axes, origin = drawn[name + ".map"]
    column, row = np.rint(origin + np.asarray(point) @ np.array(axes)).astype(int)
    return drawn[name][row - size : row + size + 1, column - size : column + size + 1].reshape(-1, 3).mean(axis=0)


def hue(colour: np.ndarray) -> float:
    return colorsys.rgb_to_hsv(*(np.asarray(colour)[:3] / 255.0))[0]


def test_bone_is_there_and_translucent(drawn):
    # depth peeling together with multi-sampling drops translucent surfaces without a word
    name = "posterior.axial_left.lateral"
    bone = pixel(drawn, name, (12.0, 0.0, 60.0))
    assert bone.max() < 250 and bone[0] > bone[2] + 8, "bone is missing"
    bare = pixel(drawn, name, (-22.0, 12.0, 13.0))
    through = pixel(drawn, name, (-12.0, 12.0, 13.0))
    assert np.abs(through - bone).max() > 40, "the screw is not visible through the bone"
    assert np.abs(through - bare).max() > 20, "the bone in front of the screw is missing"


def test_lesion_shows_only_where_there_is_one(drawn):
    with_lesion = pixel(drawn, "posterior.axial_left.posterior", (-17.0, 0.0, 13.0))
    without = pixel(drawn, "intact.axial_left.posterior", (-17.0, 0.0, 13.0))
    assert with_lesion[0] > 1.8 * with_lesion[1] and with_lesion[0] > 1.8 * with_lesion[2]
    assert without[1] > 0.85 * without[0]


@pytest.mark.parametrize("direction", ["flexion", "axial_left"])
def test_one_colour_range_for_all_pictures(drawn, direction):
    # the highest cell of the right rod carries the peak of its load case; its hue is that of the common range
    share = min(1.0, PEAK["posterior", direction] / float(drawn["top"]))
    expected = matplotlib.colormaps["viridis"](share)
    found = pixel(drawn, f"posterior.{direction}.posterior", (-30.0, 12.0, 56.0), size=1)
    assert hue(found) == pytest.approx(hue(np.array(expected) * 255), abs=0.02)


def test_rods_are_behind_and_on_both_sides(drawn):
    lateral = drawn["posterior.axial_left.lateral"].astype(int)
    extra = np.abs(lateral - drawn["anterior.axial_left.lateral"]).max(axis=2) > 60
    columns = np.flatnonzero(extra.any(axis=0))
    assert columns.max() > 0.85 * lateral.shape[1], "seen from the left, behind is on the right"
    left = pixel(drawn, "posterior.flexion.posterior", (-30.0, 12.0, 40.0))
    *axes, origin = drawn["posterior.flexion.posterior.map"]
    assert (origin + np.array([0, 12.0, 0]) @ np.array(axes))[0] < origin[0], "seen from behind, left is on the left"
    assert left.min() < 200


def test_the_shape_is_the_same_from_every_side(drawn):
    # a filter may hand out its input; deforming in place would then deform once more for each picture
    for name in ("intact.flexion", "posterior.flexion"):
        rows = [np.flatnonzero((drawn[f"{name}.{view}"] < 245).any(axis=(1, 2))) for view in ("lateral", "posterior")]
        assert abs(int(rows[0][0]) - int(rows[1][0])) <= 1 and abs(int(rows[0][-1]) - int(rows[1][-1])) <= 1


def test_the_same_frame_for_all_arms(drawn):
    shapes = {k.split(".", 2)[2]: v.shape for k, v in drawn.items() if k.endswith(("lateral", "posterior"))}
    for name, image in drawn.items():
        if name.endswith(("lateral", "posterior")):
            assert image.shape == shapes[name.split(".", 2)[2]]
    maps = [v for k, v in drawn.items() if k.endswith("lateral.map")]
    assert all(np.array_equal(m, maps[0]) for m in maps)
