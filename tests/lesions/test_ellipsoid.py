from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial import cKDTree

from spinefix.anatomy.builder import build_segment
from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError
from spinefix.lesions import LESIONS, EllipsoidalLesion, lesion_scale
from spinefix.mesh import quality
from spinefix.mesh.elements import ELEMENTS
from spinefix.mesh.topology import boundary_facets

MODULI = {"body.cancellous": 200.0, "body.cortical": 12000.0, "endplate": 1000.0, "pedicle": 3500.0}


@pytest.fixture(scope="module", params=[2, 3], ids=["coarse", "middle"])
def segment(request: pytest.FixtureRequest) -> Segment:
    return build_segment(["L2", "L3", "L4"], request.param)


def point_volumes(segment: Segment) -> np.ndarray:
    """Volume of each integration point (n_cells, 8), independent of the lesion's own sampling."""
    return quality.jacobians(segment.mesh)[0] * ELEMENTS["hex8"].weights


def diseased_fraction(segment: Segment, coverage: np.ndarray, level: str) -> float:
    body = segment.mesh.select(f"{level}.body", f"{level}.endplate")
    volume = point_volumes(segment)[body]
    return float((coverage[body] * volume).sum() / volume.sum())


@pytest.mark.parametrize("volume_pct", [0.1, 2.0, 10.0, 35.0, 70.0])
@pytest.mark.parametrize("centre_pct", [(50.0, 50.0, 50.0), (15.0, 80.0, 30.0)], ids=["centre", "corner"])
def test_volume_is_met_within_one_per_cent(
    segment: Segment, volume_pct: float, centre_pct: tuple[float, float, float]
) -> None:
    lesion = EllipsoidalLesion(level="L3", volume_pct=volume_pct, centre_pct=centre_pct)
    field = lesion_scale(segment, [lesion], MODULI)
    reached = diseased_fraction(segment, field.coverage, "L3")
    assert reached == pytest.approx(volume_pct / 100.0, rel=0.01)
    assert field.reports[0].volume_fraction == pytest.approx(reached, rel=1e-9)


def test_volume_is_that_of_the_ellipsoid() -> None:
    """A small lesion inside cancellous bone is a whole ellipsoid: its volume follows from its semi-axes."""
    segment = build_segment(["L3"], 5)
    lesion = EllipsoidalLesion(level="L3", volume_pct=12.0, radii_ratio_1=(1.0, 0.6, 0.8))
    report = lesion_scale(segment, [lesion], MODULI).reports[0]
    assert report.volume == pytest.approx(4.0 / 3.0 * np.pi * np.prod(report.radii), rel=0.01)


def test_lesion_stays_in_the_cancellous_bone_of_its_level(segment: Segment) -> None:
    field = lesion_scale(segment, [EllipsoidalLesion(level="L3", volume_pct=60.0)], MODULI)
    touched = np.flatnonzero((field.scale != 1.0).any(axis=1))
    assert len(touched) and np.isin(touched, segment.mesh.select("L3.body.cancellous")).all()
    assert field.scale.shape == (segment.mesh.n_cells, 8)
    assert (field.scale > 0.0).all() and (field.scale <= 1.0).all()


def test_centre_and_scale_of_the_points(segment: Segment) -> None:
    """Points well inside have the tissue's modulus, points well outside are healthy, in the solver's point order."""
    lesion = EllipsoidalLesion(level="L3", volume_pct=30.0, centre_pct=(50.0, 60.0, 50.0), E_MPa=2.0)
    field = lesion_scale(segment, [lesion], MODULI)
    cells = segment.mesh.select("L3.body.cancellous")
    x = np.einsum("qn,eni->eqi", ELEMENTS["hex8"].N, segment.mesh.points[segment.mesh.blocks[0].conn[cells]])
    report = field.reports[0]
    local = (x - np.array(report.centre)) @ segment.vertebrae["L3"].frame.axes
    rho = np.linalg.norm(local / np.array(report.radii), axis=2)
    scale = field.scale[cells]
    assert np.allclose(scale[rho < 0.5], 2.0 / 200.0)
    assert np.allclose(scale[rho > 1.6], 1.0)
    assert np.corrcoef(rho[rho < 1.5], scale[rho < 1.5])[0, 1] > 0.7


def test_field_grows_smoothly_with_volume(segment: Segment) -> None:
    mean = [
        lesion_scale(segment, [EllipsoidalLesion(level="L3", volume_pct=v)], MODULI).scale.sum()
        for v in (20.0, 20.5, 21.0)
    ]
    assert mean[0] > mean[1] > mean[2]
    assert (mean[0] - mean[1]) == pytest.approx(mean[1] - mean[2], rel=0.5)


@pytest.mark.parametrize("side", ["anterior", "posterior", "left", "right", "superior", "inferior"])
def test_breach_reaches_the_surface_of_that_wall_only(segment: Segment, side: str) -> None:
    field = lesion_scale(segment, [EllipsoidalLesion(level="L3", volume_pct=15.0, cortical_breach=(side,))], MODULI)
    mesh = segment.mesh
    shell = mesh.select("L3.body.cortical", "L3.endplate")
    broken = shell[(field.coverage[shell] > 0.99).any(axis=1)]
    assert len(broken)
    frame = segment.vertebrae["L3"].frame
    centre = frame.to_local(mesh.points[mesh.blocks[0].conn[broken]].mean(axis=1)).mean(axis=0)
    axis, sign = {"anterior": (0, 1), "posterior": (0, -1), "left": (1, 1), "right": (1, -1)}.get(
        side, (2, 1 if side == "superior" else -1)
    )
    assert sign * centre[axis] > 5.0
    # It opens to the outside: a facet of a replaced element lies on the surface of the bone, not of the whole segment.
    own = mesh.select("L3.body", "L3.endplate")
    outer = boundary_facets(mesh, own)
    assert np.isin(broken, outer[:, 0]).any()
    assert field.reports[0].breach[side] >= 0.04
    assert diseased_fraction(segment, field.coverage, "L3") == pytest.approx(0.15, rel=0.01)


def test_opposite_walls_are_breached_by_stretching(segment: Segment) -> None:
    lesion = EllipsoidalLesion(level="L3", volume_pct=40.0, cortical_breach=("left", "right"))
    report = lesion_scale(segment, [lesion], MODULI).reports[0]
    assert min(report.breach.values()) > 0.03
    middle = segment.vertebrae["L3"].frame.to_local(np.array(report.centre))
    assert abs(middle[1]) < 1e-6


def test_mirrored_lesions_give_mirrored_fields(segment: Segment) -> None:
    fields = [
        lesion_scale(segment, [EllipsoidalLesion(level="L3", volume_pct=10.0, centre_pct=(50.0, y, 50.0))], MODULI)
        for y in (20.0, 80.0)
    ]
    mesh = segment.mesh
    centroid = mesh.points[mesh.blocks[0].conn].mean(axis=1)
    lost = [1.0 - f.scale.mean(axis=1) for f in fields]
    moments = [lo @ centroid / lo.sum() for lo in lost]
    assert moments[0] * [1, -1, 1] == pytest.approx(moments[1], abs=0.02)
    assert moments[1][1] > 5.0


@pytest.mark.parametrize("volume_pct", [20.0, 40.0, 50.0])
def test_a_lesion_in_the_middle_is_symmetric(segment: Segment, volume_pct: float) -> None:
    """Samples left and right of the midplane are equally far from the centre but for round-off."""
    lesion = EllipsoidalLesion(level="L3", volume_pct=volume_pct, pedicle="both")
    scale = lesion_scale(segment, [lesion], MODULI).scale.mean(axis=1)
    centre = segment.mesh.points[segment.mesh.blocks[0].conn].mean(axis=1)
    _, partner = cKDTree(centre).query(centre * [1.0, -1.0, 1.0])
    assert (scale != 1.0).any()
    assert scale == pytest.approx(scale[partner], rel=1e-12)


def test_pedicle_is_filled_from_the_body_backwards(segment: Segment) -> None:
    lesion = EllipsoidalLesion(level="L3", volume_pct=20.0, pedicle="left", pedicle_pct=40.0)
    field = lesion_scale(segment, [lesion], MODULI)
    mesh = segment.mesh
    left, right = mesh.select("L3.pedicle.left"), mesh.select("L3.pedicle.right")
    assert not field.coverage[right].any()
    volume = point_volumes(segment)[left]
    assert (field.coverage[left] * volume).sum() / volume.sum() == pytest.approx(0.4, rel=0.01)
    along = (
        mesh.points[mesh.blocks[0].conn[left]].mean(axis=1) @ segment.vertebrae["L3"].directions["pedicle.left.axis"]
    )
    part = field.coverage[left].mean(axis=1)
    assert along[part > 0.9].min() > along[part < 0.1].max() - 3.0


def test_blastic_bone_is_stiffer_but_never_stiffer_than_cortex(segment: Segment) -> None:
    lesion = EllipsoidalLesion(level="L3", kind="blastic", volume_pct=30.0, cortical_breach=("anterior",))
    field = lesion_scale(segment, [lesion], MODULI)
    assert field.scale.min() == 1.0
    assert field.scale[segment.mesh.select("L3.body.cortical")].max() == 1.0
    assert field.scale[segment.mesh.select("L3.body.cancellous")].max() == pytest.approx(4.0)


def test_several_lesions_on_several_levels(segment: Segment) -> None:
    lesions = [
        EllipsoidalLesion(level="L2", volume_pct=10.0),
        EllipsoidalLesion(level="L3", volume_pct=8.0, centre_pct=(30.0, 25.0, 50.0)),
        EllipsoidalLesion(level="L3", volume_pct=8.0, centre_pct=(60.0, 80.0, 50.0)),
    ]
    field = lesion_scale(segment, lesions, MODULI)
    assert diseased_fraction(segment, field.coverage, "L2") == pytest.approx(0.10, rel=0.01)
    assert diseased_fraction(segment, field.coverage, "L3") == pytest.approx(0.16, rel=0.01)
    assert diseased_fraction(segment, field.coverage, "L4") == 0.0
    assert [u.lesions for u in field.unions] == [(0,), (1, 2)]
    assert [u.warning() for u in field.unions] == [None, None]


HALF = {"level": "L3", "volume_pct": 20.0, "E_MPa": 20.0}
SHIFTED = {"level": "L3", "volume_pct": 15.0, "centre_pct": (50.0, 65.0, 50.0), "E_MPa": 2.0}


def test_overlapping_lesions_are_their_union_whatever_their_order(segment: Segment) -> None:
    first, second = EllipsoidalLesion(**HALF), EllipsoidalLesion(**SHIFTED)
    field, turned = (lesion_scale(segment, pair, MODULI) for pair in ([first, second], [second, first]))
    assert np.array_equal(field.scale, turned.scale) and np.array_equal(field.coverage, turned.coverage)
    for report, asked in zip(field.reports, (0.20, 0.15), strict=True):
        assert report.volume_fraction == pytest.approx(asked, rel=0.01)
    (union,) = field.unions
    assert union.part == "L3.body" and union.overlapping == (0, 1)
    assert union.volume_fraction == pytest.approx(diseased_fraction(segment, field.coverage, "L3"), rel=1e-9)
    assert union.volume_fraction + union.overlap_fraction == pytest.approx(0.35, rel=0.01)
    assert 0.02 < union.overlap_fraction < 0.15
    text = f"lesions[0] and lesions[1] overlap in {100 * union.overlap_fraction:.1f} % of L3.body"
    assert str(union.warning()).startswith(text)


def test_the_softer_of_overlapping_lytic_lesions_counts_everywhere(segment: Segment) -> None:
    """The union is nowhere stiffer than either lesion alone, and a weaker lesion inside a stronger adds nothing."""
    pair = [EllipsoidalLesion(**HALF), EllipsoidalLesion(**SHIFTED)]
    both = lesion_scale(segment, pair, MODULI).scale
    alone = [lesion_scale(segment, [lesion], MODULI).scale for lesion in pair]
    assert (both <= np.minimum(*alone) + 1e-12).all()
    small = EllipsoidalLesion(**{**HALF, "volume_pct": 5.0, "E_MPa": 100.0})
    assert np.array_equal(lesion_scale(segment, [pair[0], small], MODULI).scale, alone[0])


def test_lytic_tissue_wins_over_blastic(segment: Segment) -> None:
    lytic = EllipsoidalLesion(level="L3", volume_pct=10.0, E_MPa=2.0)
    blastic = EllipsoidalLesion(level="L3", kind="blastic", volume_pct=30.0, stiffness_scale_1=3.0)
    scale = lesion_scale(segment, [lytic, blastic], MODULI).scale
    core = lesion_scale(segment, [lytic], MODULI).coverage > 1.0 - 1e-9
    shell = lesion_scale(segment, [blastic], MODULI).coverage > 1.0 - 1e-9
    shell &= lesion_scale(segment, [lytic], MODULI).coverage == 0.0
    assert core.sum() > 10 and np.allclose(scale[core], 0.01)
    assert shell.sum() > 10 and np.allclose(scale[shell], 3.0)


def test_lesions_that_grow_into_the_same_pedicle_overlap_there(segment: Segment) -> None:
    into = {"level": "L3", "volume_pct": 4.0, "pedicle": "left"}
    lesions = [
        EllipsoidalLesion(**into, centre_pct=(50.0, y, 50.0), pedicle_pct=p) for y, p in ((15.0, 30.0), (85.0, 60.0))
    ]
    unions = {u.part: u for u in lesion_scale(segment, lesions, MODULI).unions}
    assert unions["L3.body"].overlapping == ()
    assert unions["L3.pedicle.left"].volume_fraction == pytest.approx(0.6, rel=0.01)
    assert unions["L3.pedicle.left"].overlap_fraction == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize(
    ("lesion", "words"),
    [
        ({"level": "L5", "volume_pct": 10.0}, r"^\[0\]\.level: 'L5' is not .* its levels are L2, L3, L4"),
        ({"level": "L3", "volume_pct": 96.0}, r"^\[0\]\.volume_pct: 96: .* ask for less or breach more"),
        (
            {"level": "L3", "volume_pct": 1.0, "cortical_breach": ("left", "right", "superior", "inferior")},
            "does not reach",
        ),
    ],
)
def test_impossible_lesions_say_why(segment: Segment, lesion: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        lesion_scale(segment, [EllipsoidalLesion(**lesion)], MODULI)


def test_missing_modulus_is_named(segment: Segment) -> None:
    with pytest.raises(UsageError, match="L3 has no modulus"):
        lesion_scale(segment, [EllipsoidalLesion(level="L3", volume_pct=10.0)], {"pedicle": 1.0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"E_MPa": 1.0, "stiffness_scale_1": 0.5},
        {"stiffness_scale_1": 2.0},
        {"kind": "blastic", "stiffness_scale_1": 0.5},
        {"centre_pct": (50.0, 50.0, 101.0)},
        {"volume_pct": 0.0},
        {"volume_pct": 1e-300},
        {"radii_ratio_1": (1e-300, 1.0, 1.0)},
        {"radii_ratio_1": (1.0, 1.0, 1e200)},
        {"radii_ratio_1": (1.0, 0.0, 1.0)},
        {"radii_ratio_1": (1.0, -1.0, 1.0)},
        {"pedicle_pct": 1e-12},
        {"E_MPa": 1e-300},
        {"kind": "blastic", "stiffness_scale_1": 1e300},
        {"cortical_breach": ("top",)},
        {"radius_mm": 3.0},
    ],
)
def test_contradictions_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        EllipsoidalLesion(**{"level": "L3", "volume_pct": 10.0, **wrong})


def test_registry_is_literal() -> None:
    assert EllipsoidalLesion in LESIONS
