import re

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from spinefix import library
from spinefix.errors import UsageError
from spinefix.implants import CONSTRUCTS, Construct
from spinefix.implants.prosthesis import Footprint, footprint_area
from spinefix.implants.rods import Rods, rod_curve
from spinefix.implants.screws import PedicleScrews
from spinefix.mesh import quality
from spinefix.mesh.locate import project

GRAMMAR = re.compile(r"implant\.(rod|screw|crosslink|prosthesis|plate|body_screw)(\.[a-z0-9]+|\.[LTCS]\d+)*$")

POSTERIOR = {"kind": "posterior", "screws": {"levels": ["L2", "L3", "L4"]}}
ANTERIOR = {"kind": "anterior", "resect": ["L3"], "prosthesis": {"footprint": {"wall_mm": None}}}
COMBINED = {"kind": "combined", "resect": ["L3"], "plate": {"kind": "plate"}, "crosslinks": [{}]}


def build(data, segment):
    spec = TypeAdapter(Construct).validate_python(data)
    return CONSTRUCTS[type(spec)](spec, segment)


def nodes_of(mesh, region):
    """Nodes of a beam region in order along it."""
    start = mesh.offsets[-2]
    conn = mesh.blocks[-1].conn[mesh.cells[region] - start]
    return np.concatenate([conn[:1, 0], conn[:, 1]])


@pytest.mark.parametrize("data", [POSTERIOR, ANTERIOR, COMBINED, {**ANTERIOR, "kind": "posterior_prosthesis"}])
def test_every_part_is_named_and_complete(data, segment):
    out = build(data, segment)
    mesh = out.mesh
    assert all(GRAMMAR.match(name) for name in (*mesh.cells, *mesh.nodes, *mesh.facets))
    for table, wanted in ((out.materials, mesh.n_cells), (out.sections, len(mesh.blocks[-1]))):
        covered = np.concatenate([mesh.select(region) for region in table])
        assert len(covered) == len(np.unique(covered)) == wanted
    for material in out.materials.values():
        assert library.implant_material(material)["E"].internal > 0
    for region, section in out.sections.items():
        assert section.round or np.linalg.norm(out.orientations[region]) == pytest.approx(1.0)
    for request in out.embeddings:
        assert len(mesh.select(request.beams)) and len(segment.mesh.select(*request.hosts))
    for tie in out.ties:
        gap = project(segment.mesh, segment.mesh.facets[tie.facets], mesh.points[mesh.nodes[tie.nodes]]).distance
        assert gap.max() < 0.1
    if out.remove:
        assert len(segment.mesh.select(*out.remove))


def test_a_prosthesis_is_tied_or_stands_on_the_endplates(segment):
    def joined(**prosthesis):
        return build({**ANTERIOR, "prosthesis": prosthesis}, segment)

    bonded, smooth, rough = joined(), joined(interface="no_tension"), joined(interface="friction")
    own = joined(interface="friction", friction_1=0.3)
    assert len(bonded.ties) == 2 and not bonded.contacts
    assert [c.friction for c in smooth.contacts] == [0.0, 0.0]
    assert [c.friction for c in own.contacts] == [0.3, 0.3] and not own.assumed
    library_value = library.prosthesis_interface()["friction"]
    assert [c.friction for c in rough.contacts] == [library_value.internal] * 2
    assert library_value.assumed and len(rough.assumed) == 1 and "friction" in rough.assumed[0]
    for out in (smooth, rough):
        assert not out.ties
        assert [(c.facets, c.onto) for c in out.contacts] == [
            ("implant.prosthesis.superior", "L2.endplate.inferior"),
            ("implant.prosthesis.inferior", "L4.endplate.superior"),
        ]


def test_references_are_empty(segment):
    for kind in ("intact", "untreated"):
        out = build({"kind": kind}, segment)
        assert out.mesh.n_points == 0 and not out.remove


def test_left_and_right_are_mirror_images(segment):
    mesh = build({**POSTERIOR, "crosslinks": [{"between": ["L2", "L3"]}]}, segment).mesh
    for part in ("screw.L2", "screw.L4", "rod"):
        left, right = (mesh.points[nodes_of(mesh, f"implant.{part}.{side}")] for side in ("left", "right"))
        np.testing.assert_allclose(left, right * [1, -1, 1], atol=1e-9)
        assert (left[:, 1] > 0).all()


def test_screw_lies_on_the_pedicle_axis(segment):
    mesh = build({**POSTERIOR, "screws": {"levels": ["L2", "L4"], "length_mm": 45}}, segment).mesh
    for side in ("left", "right"):
        vertebra = segment.vertebrae["L2"]
        entry, axis = vertebra.landmarks[f"pedicle.{side}.entry"], vertebra.directions[f"pedicle.{side}.axis"]
        points = mesh.points[nodes_of(mesh, f"implant.screw.L2.{side}")]
        along = (points - entry) @ axis
        np.testing.assert_allclose(points, entry + along[:, None] * axis, atol=1e-9)
        assert along[0] == pytest.approx(-11.0) and along[-1] == pytest.approx(45.0)
        assert np.isclose(along, 0.0, atol=1e-9).any(), "a node at the entry separates neck and shaft"


def test_rods_share_the_nodes_of_the_heads_and_bend_smoothly(segment):
    mesh = build(POSTERIOR, segment).mesh
    rod = nodes_of(mesh, "implant.rod.left")
    for level in ("L2", "L3", "L4"):
        assert nodes_of(mesh, f"implant.screw.{level}.left")[0] in rod
    steps = np.diff(mesh.points[rod], axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    turn = np.degrees(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(axis=1), -1, 1)))
    assert turn.max() < 3.0, "no kink at a head"
    assert turn[0] == pytest.approx(0.0, abs=1e-6), "the free end is straight"


def test_natural_spline_is_straight_through_two_heads_and_follows_an_arc():
    curve, knots = rod_curve(np.array([[0.0, 1, 50], [10, 2, 0]]))
    np.testing.assert_allclose(curve(knots[1] / 2), [5, 1.5, 25])
    angles = np.radians([20, 10, 0, -10, -20])
    curve, knots = rod_curve(np.column_stack([150 * np.cos(angles), 0 * angles, 150 * np.sin(angles)]))
    assert np.linalg.norm(curve((knots[1] + knots[2]) / 2)) == pytest.approx(150, abs=0.05)


def test_trajectory_turns_and_shifts_as_named(segment):
    base = build(POSTERIOR, segment)
    data = {"levels": ["L2", "L3", "L4"], "convergence_deg": 5, "cranial_tilt_deg": 4, "lateral_shift_mm": 1}
    turned = build({**POSTERIOR, "screws": data}, segment)
    frame = segment.vertebrae["L3"].frame
    for side, sign in (("left", 1), ("right", -1)):
        tips = [
            frame.to_local(out.mesh.points[nodes_of(out.mesh, f"implant.screw.L3.{side}")]) for out in (base, turned)
        ]
        directions = [(t[-1] - t[0]) / np.linalg.norm(t[-1] - t[0]) for t in tips]
        assert np.degrees(np.arcsin(directions[1][2] - directions[0][2])) == pytest.approx(4.0, abs=0.05)
        key = f"screw.L3.{side}.convergence_deg"
        assert turned.measures[key] - base.measures[key] == pytest.approx(5.0, abs=0.05)
        entry = [out.mesh.points[nodes_of(out.mesh, f"implant.screw.L3.{side}.neck")][-1] for out in (base, turned)]
        np.testing.assert_allclose(entry[1] - entry[0], frame.vector_to_global(np.array([0, sign, 0])), atol=1e-9)


def test_crosslink_joins_both_rods_where_asked(segment):
    mesh = build({**POSTERIOR, "crosslinks": [{"between": ["L2", "L3"], "fraction_1": 0.5}, {}]}, segment).mesh
    link = nodes_of(mesh, "implant.crosslink.1")
    left, right = nodes_of(mesh, "implant.rod.left"), nodes_of(mesh, "implant.rod.right")
    assert link[0] in left and link[-1] in right
    heads = [mesh.points[nodes_of(mesh, f"implant.screw.{level}.left")[0]] for level in ("L2", "L3")]
    distances = [np.linalg.norm(mesh.points[link[0]] - h) for h in heads]
    assert distances[0] == pytest.approx(distances[1], rel=0.01)
    middle = nodes_of(mesh, "implant.crosslink.2")[0]
    assert middle == nodes_of(mesh, "implant.screw.L3.left")[0], "midway of L2 to L4 is the head at L3"


def test_a_single_screw_can_be_left_out_and_the_rod_passes_by(segment):
    screws = {"levels": ["L2", "L3", "L4"], "leave_out": ["L3.left"]}
    links = [{"between": ["L2", "L4"]}]
    out = build({**POSTERIOR, "screws": screws, "crosslinks": links}, segment)
    mesh = out.mesh
    found = {name.removeprefix("implant.screw.") for name in mesh.cells if name.count(".") == 3 and ".screw." in name}
    assert found == {"L2.left", "L4.left", "L2.right", "L3.right", "L4.right"}
    whole = build({**POSTERIOR, "screws": {"levels": ["L2", "L3", "L4"]}}, segment)
    assert out.measures["rod.right.length_mm"] == whole.measures["rod.right.length_mm"]
    assert out.measures["rod.left.length_mm"] < whole.measures["rod.left.length_mm"], "straight past L3"
    ends = nodes_of(mesh, "implant.crosslink.1")
    assert ends[-1] == nodes_of(mesh, "implant.screw.L3.right")[0] and ends[0] in nodes_of(mesh, "implant.rod.left")
    for wrong, message, key in (
        (["L5.left"], r"L5.left is none of the screws \(L2.left, L2.right, L3.left", ("screws", "leave_out", 0)),
        (["L2.left", "L3"], "L3 is none of the screws", ("screws", "leave_out", 1)),
        (["L2.left", "L3.left"], "the left one keeps L4", ("screws", "leave_out")),
    ):
        with pytest.raises(UsageError, match=message) as error:
            build({**POSTERIOR, "screws": {**screws, "leave_out": wrong}}, segment)
        assert error.value.key == key
    with pytest.raises(UsageError, match="L3 has no screw"):
        build({**POSTERIOR, "screws": screws, "crosslinks": [{"between": ["L2", "L3"]}]}, segment)


def test_screw_problems_are_told_with_numbers(segment):
    with pytest.raises(UsageError, match=r"breaks out of L2, whose far wall is 5\d\.\d mm"):
        build({**POSTERIOR, "screws": {"levels": ["L2", "L4"], "length_mm": 70}}, segment)
    with pytest.raises(UsageError, match=r"'L6' is not in the segment \(L1, L2"):
        build({**POSTERIOR, "screws": {"levels": ["L2", "L6"]}}, segment)
    with pytest.raises(UsageError, match="at least two levels, got L2"):
        build({**POSTERIOR, "screws": {"levels": ["L2"]}}, segment)
    with pytest.raises(UsageError, match="levels"):
        build({"kind": "posterior"}, segment)
    with pytest.raises(UsageError, match="sides is left"):
        build({**POSTERIOR, "sides": "left", "crosslinks": [{}]}, segment)
    with pytest.raises(UsageError, match="body of L3 is resected"):
        build({"kind": "posterior_prosthesis", "resect": ["L3"], "screws": {"levels": ["L2", "L3"]}}, segment)
    with pytest.raises(ValidationError, match="diametre_mm"):
        build({**POSTERIOR, "rods": {"diametre_mm": 5.5}}, segment)
    out = build({**POSTERIOR, "screws": {"levels": ["L2", "L4"], "diameter_mm": 7.5}}, segment)
    assert any("94 % of the pedicle width 8.0 mm" in w for w in out.warnings)
    out = build({**POSTERIOR, "screws": {"levels": ["L2", "L4"], "lateral_shift_mm": 6}}, segment)
    assert any("breaches the pedicle wall" in w for w in out.warnings)
    out = build(
        {**POSTERIOR, "screws": {"levels": ["L2", "L4"], "head_offset_mm": 0.5, "cranial_shift_mm": 0}}, segment
    )
    assert any("cuts" in w and "head_offset_mm" in w for w in out.warnings)


def test_automatic_length_is_the_longest_on_the_shelf(segment):
    out = build(POSTERIOR, segment)
    length, depth = (out.measures[f"screw.L2.left.{k}_mm"] for k in ("length", "bone_depth"))
    assert length in library.catalogue("screw_length_mm")
    assert length <= 0.85 * depth < length + 5.0
    assert depth == pytest.approx(54.0 / np.cos(np.radians(5)), rel=1e-6)


@pytest.mark.parametrize("footprint", [{"wall_mm": None}, {"width_mm": 30, "wall_mm": None}, {}, {"anterior_mm": 2}])
@pytest.mark.parametrize("resect", [["L3"], ["L2", "L3"]])
def test_prosthesis_fills_the_gap(resect, footprint, segment):
    size = {"width_mm": 22.0, "depth_mm": 22.0, "wall_mm": 1.5} | footprint
    out = build({"kind": "anterior", "resect": resect, "prosthesis": {"footprint": size}}, segment)
    cells = out.mesh.cells["implant.prosthesis"]
    volume = quality.volumes(out.mesh)[cells].sum()
    m = out.measures
    analytic = footprint_area(Footprint(**size)) * m["prosthesis.height_mean_mm"]
    assert volume == pytest.approx(analytic, rel=0.05)
    assert m["prosthesis.height_mean_mm"] == pytest.approx(28.0 * len(resect) + 10 * (len(resect) + 1) + 2, abs=1.5)
    assert quality.scaled_jacobian(out.mesh)[cells].min() > 0.2
    above, below = ("L2", "L4") if resect == ["L3"] else ("L1", "L4")
    assert {t.facets for t in out.ties} == {f"{above}.endplate.inferior", f"{below}.endplate.superior"}
    top, bottom = (out.mesh.points[out.mesh.nodes[f"implant.prosthesis.{s}"]] for s in ("superior", "inferior"))
    assert top[:, 2].min() > bottom[:, 2].max()


def test_gap_height_is_endplate_to_endplate(segment):
    out = build({**ANTERIOR, "prosthesis": {"footprint": {"width_mm": 8, "depth_mm": 8, "wall_mm": None}}}, segment)
    top = segment.vertebrae["L2"].landmarks["endplate.inferior.centre"]
    bottom = segment.vertebrae["L4"].landmarks["endplate.superior.centre"]
    assert out.measures["prosthesis.height_mean_mm"] == pytest.approx(np.linalg.norm(top - bottom), abs=0.2)


def test_resection_takes_bodies_and_discs_but_leaves_pedicles(segment):
    out = build({**ANTERIOR, "resect": ["L3", "L2"]}, segment)
    assert set(out.remove) == {
        *("L2.body", "L2.endplate", "L3.body", "L3.endplate"),
        *("L1-L2.disc", "L2-L3.disc", "L3-L4.disc"),
    }
    gone = segment.mesh.select(*out.remove)
    assert not np.isin(segment.mesh.select("L2.pedicle", "L3.pedicle", "L1", "L4", "L4-L5.disc"), gone).any()


def test_impossible_resections_are_told(segment):
    for resect, message in (
        (["L1"], "L1 has no neighbour on both sides"),
        (["L2", "L4"], "L2, L4 are not consecutive"),
        (["L9"], "'L9' is not in the segment"),
        (["L3", "L3"], "named twice"),
    ):
        with pytest.raises(UsageError, match=message):
            build({**ANTERIOR, "resect": resect}, segment)
    with pytest.raises(
        UsageError, match=r"overhangs L2.endplate.inferior by \d\.\d mm; the endplate is 3[34]\.\d mm deep"
    ):
        build({**ANTERIOR, "prosthesis": {"footprint": {"depth_mm": 40, "wall_mm": None}}}, segment)
    with pytest.raises(UsageError, match="leaves no hollow"):
        build({**ANTERIOR, "prosthesis": {"footprint": {"depth_mm": 12, "wall_mm": 6}}}, segment)


@pytest.mark.parametrize("side", ["left", "right", "anterior"])
@pytest.mark.parametrize("kind", ["plate", "rods"])
def test_anterior_device_stands_off_the_bone_and_joins_its_screws(kind, side, segment):
    out = build({**ANTERIOR, "plate": {"kind": kind, "side": side}}, segment)
    mesh = out.mesh
    outward = {"left": [0, 1, 0], "right": [0, -1, 0], "anterior": [1, 0, 0]}[side]
    device = np.unique(mesh.blocks[-1].conn[mesh.select("implant.plate") - mesh.offsets[-2]])
    for level in ("L2", "L4"):
        for n in (1, 2):
            screw = nodes_of(mesh, f"implant.body_screw.{level}.{n}")
            assert screw[0] in device, "screw head and device share a node"
            direction = mesh.points[screw[-1]] - mesh.points[screw[0]]
            assert direction @ outward < 0
    neck = [v for k, v in out.measures.items() if k.startswith("body_screw") and k.endswith("neck_mm")]
    thickness = 4.5 if kind == "plate" else 6.35
    assert len(neck) == 4 and min(neck) >= thickness / 2 - 1e-9
    if side != "anterior":
        # Bodies are 48 mm wide: the device lies on them, half its thickness out.
        np.testing.assert_allclose(np.abs(mesh.points[device, 1]), 24 + thickness / 2, atol=1e-6)


def test_screws_that_meet_in_a_body_are_told(segment):
    plate = {"kind": "plate", "screws": {"spacing_mm": 5.0}}
    out = build({**ANTERIOR, "plate": plate}, segment)
    assert any("overlap by 1.5 mm inside L2" in w for w in out.warnings)


def test_two_screws_in_the_same_place_are_a_mistake(segment):
    plate = {"kind": "plate", "screws": {"spacing_mm": 4.0}}
    with pytest.raises(UsageError, match=r"overlap by 2\.5 mm inside L2, core in core") as error:
        build({**ANTERIOR, "plate": plate}, segment)
    assert error.value.key == ("plate", "screws")
    with pytest.raises(UsageError, match=r"screw.L2.right and screw.L2.left overlap by .* inside L2") as error:
        build({**POSTERIOR, "screws": {"levels": ["L2", "L4"], "convergence_deg": 20}}, segment)
    assert error.value.key == ("screws",)


def test_defaults_are_the_sizes_of_the_library():
    sizes = {k: d.internal for k, d in library.implant_sizes().items()}
    screws = PedicleScrews()
    assert (screws.diameter_mm, screws.head_offset_mm) == (sizes["screw_diameter"], sizes["tulip_offset"])
    assert Rods().diameter_mm == sizes["rod_diameter"]
