from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from spinefix import library
from spinefix.anatomy.builder import ONE_WAY, SUPPORTED, build_segment, stack
from spinefix.anatomy.measure import (
    concavities,
    disc_heights,
    facet_gaps,
    lordosis,
    measure_segment,
    nucleus_area,
    scaled_jacobians,
    symmetry_error,
)
from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError
from spinefix.mesh.topology import boundary_facets, connected_components, facet_corners

RANGES = [SUPPORTED[a:b] for a, b in combinations(range(len(SUPPORTED) + 1), 2)]


@pytest.fixture(scope="module")
def whole() -> Segment:
    return build_segment(SUPPORTED, 2)


@pytest.fixture(scope="module", params=[2, 3], ids=["coarse", "middle"])
def pair(request: pytest.FixtureRequest) -> Segment:
    return build_segment(["L3", "L4"], request.param)


def test_measured_dimensions_are_those_asked(whole: Segment) -> None:
    rows = measure_segment(whole)
    assert {r.level for r in rows} == {*SUPPORTED, *whole.discs()}
    assert len(rows) == 5 * 12 + 4 * 4
    off = [r for r in rows if r.relative_error > (0.05 if r.name.startswith("nucleus") else 0.02)]
    assert not off


@pytest.mark.parametrize("n", [2, 3])
def test_endplates_are_as_hollow_as_published_at_every_level(n: int) -> None:
    rows = concavities(build_segment(SUPPORTED, n))
    assert [(r.level, r.side) for r in rows] == [(k, side) for k in SUPPORTED for side in ("superior", "inferior")]
    for row in rows:
        assert row.published == {"superior": 0.7, "inferior": 1.5}[row.side]
        assert row.sagittal == pytest.approx(row.published, abs=0.02)
        assert row.frontal == pytest.approx(row.published, abs=0.02)
        assert 0.0 < row.crest < 2.0


def test_middle_height_of_discs_follows_from_concavities_and_rims(whole: Segment) -> None:
    """Heights in front and behind lie between outer edges, above which the rims stand."""
    depth = {(r.level, r.side): r for r in concavities(whole)}
    for name in whole.discs():
        upper, lower = (depth[k] for k in zip(name.split("-"), ("inferior", "superior"), strict=True))
        height = disc_heights(whole, name)
        edges = (height["anterior"] + height["posterior"]) / 2.0
        assert height["middle"] - edges == pytest.approx(
            upper.sagittal + lower.sagittal - upper.crest - lower.crest, abs=0.1
        )


def test_a_high_disc_makes_its_endplates_deeper() -> None:
    segment = build_segment(["L3", "L4"], 2, dimensions={"L3-L4.height_middle_mm": 13.6})
    rows = {(r.level, r.side): r for r in concavities(segment)}
    upper, lower = rows["L3", "inferior"], rows["L4", "superior"]
    assert max(upper.crest, lower.crest) < 1e-12
    assert upper.sagittal / lower.sagittal == pytest.approx(1.5 / 0.7, rel=0.02)
    assert upper.sagittal + lower.sagittal == pytest.approx(13.6 - 10.35, abs=0.05)
    assert disc_heights(segment, "L3-L4")["middle"] == pytest.approx(13.6, rel=0.005)


def test_disc_heights_are_exact_at_the_rims() -> None:
    floor, ceiling = np.array([[17.0, 13.0], [-18.0, 11.5]]), np.array([[16.5, -12.0], [-17.5, -11.0]])
    s = stack(floor, ceiling, 12.5, 8.2)
    turn = np.array([[np.cos(s.tilt), -np.sin(s.tilt)], [np.sin(s.tilt), np.cos(s.tilt)]])
    placed = ceiling @ turn.T + s.shift
    assert np.linalg.norm(placed - floor, axis=1) == pytest.approx([12.5, 8.2], rel=1e-12)
    assert s.wedge == pytest.approx(np.arctan2(12.5 - 8.2, 35.0), rel=0.01)


@pytest.mark.parametrize("levels", RANGES, ids="-".join)
def test_every_range_of_levels_builds(levels: tuple[str, ...]) -> None:
    segment = build_segment(levels, 2)
    assert segment.levels == levels
    assert connected_components(segment.mesh)[0] == 1
    assert len(segment.facet_joints) == 2 * (len(levels) - 1)
    # The middle vertebra carries the global frame.
    middle = segment.vertebrae[levels[len(levels) // 2]].frame
    assert np.allclose(middle.origin, 0.0) and np.allclose(middle.axes, np.eye(3))


def test_a_vertebra_is_the_same_in_every_segment(whole: Segment) -> None:
    alone = build_segment(["L2"], 2)
    ids = whole.mesh.cell_nodes(whole.mesh.select("L2"))
    in_place = whole.vertebrae["L2"].frame.to_local(whole.mesh.points[ids])
    assert np.allclose(in_place, alone.mesh.points, atol=1e-9)


def test_left_and_right_agree_to_round_off(whole: Segment) -> None:
    assert symmetry_error(whole) < 1e-10
    bundles = {b.name: b for b in whole.ligaments}
    flip = np.array([1.0, -1.0, 1.0])
    for name, bundle in bundles.items():
        swap = {"left": "right", "right": "left"}
        other = bundles[".".join(swap.get(word, word) for word in name.split("."))]
        ends, mirrored = whole.mesh.points[bundle.nodes], whole.mesh.points[other.nodes] * flip
        rows = np.column_stack([ends.reshape(-1, 6), bundle.stiffness])
        partners = np.column_stack([mirrored.reshape(-1, 6), other.stiffness])
        for row in rows:
            assert np.abs(partners - row).max(axis=1).min() < 1e-9


def test_discs_share_nodes_with_both_endplates(whole: Segment) -> None:
    mesh = whole.mesh
    for name in whole.discs():
        upper, lower = name.split("-")
        nodes = mesh.cell_nodes(mesh.select(f"{name}.disc"))
        for endplate in (f"{upper}.endplate.inferior", f"{lower}.endplate.superior"):
            assert np.isin(mesh.nodes[endplate], nodes).all()
    # Nothing of an endplate between two vertebrae is on the surface but its rim.
    outside = np.unique(facet_corners(mesh, boundary_facets(mesh)))
    inner = mesh.nodes["L3.endplate.inferior"]
    assert np.isin(inner, outside).mean() < 0.25


@pytest.mark.parametrize("n", [2, 3])
def test_no_element_is_flat_or_inside_out(n: int) -> None:
    segment = build_segment(SUPPORTED, n)
    quality = scaled_jacobians(segment)
    assert quality[""].negative == 0
    assert quality[""].minimum > 0.15
    assert min(q.minimum for name, q in quality.items() if ".disc." in name) > 0.5


@pytest.mark.parametrize(("name", "size"), [("coarse", 2_000), ("middle", 6_000), ("fine", 30_000)])
def test_meshes_have_the_promised_size(name: str, size: int) -> None:
    segment = build_segment(["L3", "L4"], name)
    assert len(segment.mesh.select("L4", "L3-L4.disc")) == pytest.approx(size, rel=0.07)
    assert segment.mesh.n_cells == 2 * len(segment.mesh.select("L4")) + len(segment.mesh.select("L3-L4.disc"))


def test_every_cell_has_exactly_one_region(whole: Segment) -> None:
    count = np.zeros(whole.mesh.n_cells, int)
    for ids in whole.mesh.cells.values():
        count[ids] += 1
    assert (count == 1).all()


def test_lordosis_is_near_the_published_angles(whole: Segment) -> None:
    rows = {a.name: a for a in lordosis(whole)}
    assert set(rows) == {*whole.discs(), "L1-L5"}
    for name in whole.discs():
        assert abs(rows[name].measured - rows[name].published) < np.deg2rad(7.0)
    assert np.deg2rad(35.0) < rows["L1-L5"].measured < np.deg2rad(60.0)


def test_fibres_are_unit_tangential_and_steeper_behind(pair: Segment) -> None:
    mesh = pair.mesh
    annulus = mesh.select("L3-L4.disc.annulus")
    rest = np.setdiff1d(np.arange(mesh.n_cells), annulus)
    assert not pair.fibres[rest].any()
    f = pair.fibres[annulus]
    assert np.abs(np.linalg.norm(f, axis=2) - 1.0).max() < 1e-12
    corners = mesh.points[mesh.blocks[0].conn[annulus]]
    centre = mesh.points[mesh.cell_nodes(mesh.select("L3-L4.disc.nucleus"))].mean(axis=0)
    arm = corners.mean(axis=1) - centre
    radial = arm / np.linalg.norm(arm, axis=1)[:, None]
    # Rings are not circles: the mean out-of-surface part stays small all the same.
    assert np.abs((f * radial[:, None]).sum(axis=2)).mean() < 0.3
    up = pair.vertebrae["L4"].frame.axes[:, 2]
    rise = np.degrees(np.arcsin(np.abs(f @ up).mean(axis=1)))
    angle = np.abs(np.arctan2(arm[:, 1], arm[:, 0]))
    ventral, dorsal = rise[angle < 0.3], rise[angle > np.pi - 0.3]
    assert ventral.mean() == pytest.approx(23.2, abs=4.0)
    assert dorsal.mean() == pytest.approx(46.6, abs=4.0)
    # The two families cross: one rises where the other falls.
    assert ((f[:, 0] @ up) * (f[:, 1] @ up) < 0.0).all()


def test_seven_ligaments_with_plausible_stiffness(whole: Segment) -> None:
    paired = ("facet_capsule", "intertransverse")
    for disc in whole.discs():
        total: dict[str, float] = {}
        for bundle in whole.ligaments:
            if bundle.name.startswith(disc + "."):
                _, _, name, *side = bundle.name.split(".")
                assert bool(side) == (name in paired)
                assert len(bundle.nodes) >= 2 and (bundle.stiffness > 0.0).all()
                total[name] = bundle.stiffness.sum() / ONE_WAY
        assert set(total) == {
            "anterior_longitudinal",
            "posterior_longitudinal",
            "flavum",
            "facet_capsule",
            "intertransverse",
            "interspinous",
            "supraspinous",
        }
        for name, stiffness in total.items():
            measured = library.ligament(name).get("stiffness")
            if measured is not None:  # bone-ligament-bone, Pintar 1992: another source than the moduli used
                assert measured.value / 4.0 < stiffness < 4.0 * measured.value


def test_ligaments_hardly_depend_on_the_mesh() -> None:
    coarse, fine = (build_segment(["L3", "L4"], n) for n in (2, 5))
    for a, b in zip(coarse.ligaments, fine.ligaments, strict=True):
        assert a.name == b.name
        assert a.stiffness.sum() == pytest.approx(b.stiffness.sum(), rel=0.35)
        ends_a, ends_b = (s.mesh.points[x.nodes].mean(axis=0) for s, x in ((coarse, a), (fine, b)))
        assert np.linalg.norm(ends_a - ends_b, axis=1).max() < 4.0


def test_strands_join_the_right_vertebrae(whole: Segment) -> None:
    mesh = whole.mesh
    for bundle in whole.ligaments:
        upper, lower = bundle.name.split(".")[0].split("-")
        for level, nodes in ((upper, bundle.nodes[:, 0]), (lower, bundle.nodes[:, 1])):
            assert np.isin(nodes, mesh.cell_nodes(mesh.select(level))).all()


def test_facet_joints_face_each_other_at_a_small_gap(pair: Segment) -> None:
    gaps = facet_gaps(pair)
    assert len(gaps) == 2
    for gap in gaps:
        assert 0.3 < gap.least <= gap.mean <= gap.most < 3.5
        assert gap.facing > 0.9
        assert gap.overlap > 0.6
    joint = pair.facet_joints[0]
    assert 1.0 < joint.stiffness_normal < 40.0 and joint.stiffness_tangential == 0.0


def test_nucleus_covers_its_share(pair: Segment) -> None:
    assert nucleus_area(pair, "L3-L4") == pytest.approx(0.40, rel=0.05)


def test_dimensions_can_be_changed() -> None:
    asked = {"L3.PDW_mm": 9.0, "L3-L4.height_anterior_mm": 9.0, "L3-L4.height_middle_mm": 8.2}
    segment = build_segment(["L3", "L4"], 2, dimensions={**asked, "L3-L4.height_posterior_mm": 6.0})
    rows = {f"{r.level}.{r.name}": r for r in measure_segment(segment)}
    for key, value in asked.items():
        assert rows[key].asked == value and rows[key].relative_error < 0.02


@pytest.mark.parametrize(
    ("levels", "n", "dimensions", "words"),
    [
        (["L2", "L4"], 2, {}, "did you mean L2, L3, L4"),
        (["L4", "L3"], 2, {}, "did you mean L3, L4"),
        (["L9"], 2, {}, "unknown level 'L9'"),
        ([], 2, {}, "at least one level"),
        (["L3"], "medium", {}, "coarse, middle, fine"),
        (["L3"], 2, {"L3.PDX_mm": 1.0}, "PDW_mm"),
        (["L3"], 2, {"L3.PDW_mm": 99.0}, "plausible range"),
        (["L3", "L4"], 2, {"L3-L4.height_middle_mm": 7.0}, "all three heights"),
    ],
)
def test_wrong_requests_say_how_to_repair(levels: list[str], n: int | str, dimensions: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build_segment(levels, n, dimensions=dimensions)


def test_shares_of_the_linear_law_scale_springs_alone(pair: Segment) -> None:
    n = 2 if len(pair.mesh.select("L3-L4.disc")) < 1000 else 3
    other = build_segment(["L3", "L4"], n, ligament_share=0.9, facet_share=0.25)
    assert np.array_equal(other.mesh.points, pair.mesh.points)
    for a, b in zip(other.ligaments, pair.ligaments, strict=True):
        assert a.stiffness == pytest.approx(0.9 / ONE_WAY * b.stiffness)
    normal = pair.facet_joints[0].stiffness_normal
    assert other.facet_joints[0].stiffness_normal == pytest.approx(0.25 / ONE_WAY * normal)
    with pytest.raises(UsageError, match="ligament_share"):
        build_segment(["L3", "L4"], n, ligament_share=0.0)
