"""Every construct on the parametric lumbar spine: it fits, and tells where it does not."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from spinefix.anatomy.builder import build_segment
from spinefix.errors import UsageError
from spinefix.implants import CONSTRUCTS, Construct
from spinefix.mesh import quality
from spinefix.mesh.locate import locate, project


@pytest.fixture(scope="module")
def lumbar():
    return build_segment(("L1", "L2", "L3", "L4", "L5"), 2)


def build(data, segment):
    spec = TypeAdapter(Construct).validate_python(data)
    return CONSTRUCTS[type(spec)](spec, segment)


def test_screws_run_through_pedicle_into_body(lumbar):
    out = build({"kind": "posterior", "screws": {"levels": list(lumbar.levels)}}, lumbar)
    assert not out.warnings
    mesh = out.mesh
    for level in lumbar.levels:
        for side in ("left", "right"):
            shaft = mesh.blocks[-1].conn[mesh.cells[f"implant.screw.{level}.{side}.shaft"] - mesh.offsets[-2]]
            points = mesh.points[shaft].mean(axis=1)
            pedicle = locate(lumbar.mesh, lumbar.mesh.select(f"{level}.pedicle.{side}"), points).found
            body = locate(lumbar.mesh, lumbar.mesh.select(f"{level}.body"), points).found
            bone = locate(lumbar.mesh, lumbar.mesh.select(level), points).found
            assert pedicle.sum() >= 2 and body.sum() >= 5 and body[-1]
            assert bone[1:].all(), "the shaft stays in bone of its own level"
            assert out.measures[f"screw.{level}.{side}.pedicle_wall_mm"] > 0
            assert 30 <= out.measures[f"screw.{level}.{side}.length_mm"] <= 50
    assert out.measures["rod.left.clearance_mm"] == pytest.approx(out.measures["rod.right.clearance_mm"], abs=1e-6)


@pytest.mark.parametrize("resect", [["L2"], ["L3"], ["L4"], ["L2", "L3"], ["L3", "L4"]])
@pytest.mark.parametrize("kind", ["plate", "rods"])
def test_prosthesis_seats_on_both_endplates(resect, kind, lumbar):
    out = build({"kind": "combined", "resect": resect, "plate": {"kind": kind}}, lumbar)
    cells = out.mesh.cells["implant.prosthesis"]
    assert quality.scaled_jacobian(out.mesh)[cells].min() > 0.2
    for tie in out.ties:
        nodes = out.mesh.points[out.mesh.nodes[tie.nodes]]
        assert project(lumbar.mesh, lumbar.mesh.facets[tie.facets], nodes).distance.max() < 0.05
    keep = np.setdiff1d(np.arange(lumbar.mesh.n_cells), lumbar.mesh.select(*out.remove)).astype(np.int32)
    inside = locate(lumbar.mesh, keep, out.mesh.points[out.mesh.cell_nodes(cells)], tolerance=-1e-3)
    assert inside.found.mean() < 0.3, "only end faces touch what is left"
    device = out.mesh.points[out.mesh.cell_nodes(out.mesh.select("implant.plate"))]
    assert not locate(lumbar.mesh, keep, device).found.any(), "plate and rods stay outside the bone"


@pytest.mark.parametrize("side", ["left", "anterior"])
def test_body_screws_end_inside_the_body(side, lumbar):
    """From the front the line of a screw goes on through the canal into the arch: that is no bone for it."""
    plate = {"kind": "plate", "side": side}
    out = build({"kind": "anterior", "resect": ["L3"], "plate": plate}, lumbar)
    assert not out.warnings
    mesh = out.mesh
    for level in ("L2", "L4"):
        for n in (1, 2):
            name = f"body_screw.{level}.{n}"
            shaft = mesh.blocks[-1].conn[mesh.cells[f"implant.{name}.shaft"] - mesh.offsets[-2]]
            points = mesh.points[shaft[1:]].mean(axis=1)
            assert locate(lumbar.mesh, lumbar.mesh.select(f"{level}.body", f"{level}.endplate"), points).found.all()
            assert out.measures[f"{name}.depth_fraction_1"] <= 0.85
    with pytest.raises(UsageError, match=r"length 60 mm breaks out of L2.body, whose far wall is \d\d\.\d mm"):
        build({"kind": "anterior", "resect": ["L3"], "plate": {**plate, "screws": {"length_mm": 60}}}, lumbar)
