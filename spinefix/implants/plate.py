"""Anterior fixation: a plate or a pair of rods on the side or the front of the bodies, held by body screws.

The longitudinal members are straight and stand off the bone: they lie on the most prominent bone of each vertebra
beneath them (the endplate rims), half of their thickness out. Screws cross the gap to the waist of the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError, under
from spinefix.implants.assembly import Assembly
from spinefix.implants.geometry import crossings, surface, unit
from spinefix.implants.rods import BEAM_MM, place_crosslinks, place_rod
from spinefix.implants.screws import BoneScrew, Screw, place_screw
from spinefix.implants.sections import rectangular_section
from spinefix.mesh.core import F64
from spinefix.spec import Spec

REGION = "implant.plate"

BODY = ("body", "endplate")
"""Parts of a vertebra that a body screw may lie in: behind them is the canal."""

OVERHANG_MM = 6.0
"""Plate beyond its outermost screws. Assumed; it carries no load."""

COUPLERS = (1.0 / 3.0, 2.0 / 3.0)
"""Places of the two transverse couplers between the screws of anterior rods."""

Face = Literal["left", "right", "anterior"]

_OUTWARD: dict[Face, F64] = {
    "left": np.array([0.0, 1.0, 0.0]),
    "right": np.array([0.0, -1.0, 0.0]),
    "anterior": np.array([1.0, 0.0, 0.0]),
}
_ACROSS: dict[Face, F64] = {
    "left": np.array([1.0, 0.0, 0.0]),
    "right": np.array([1.0, 0.0, 0.0]),
    "anterior": np.array([0.0, 1.0, 0.0]),
}


class BodyScrews(BoneScrew):
    """Screws in the vertebral body, two side by side, square to the face that carries the device."""

    spacing_mm: Annotated[float, Field(gt=0.0, lt=40.0, json_schema_extra={"plausible": [8, 20]})] = 13.0
    """Distance between the two screws of a vertebra. Assumed."""
    cranial_shift_mm: Annotated[float, Field(ge=-15.0, le=15.0, json_schema_extra={"plausible": [-8, 8]})] = -6.5
    """Height over the middle of the body; below it, the screws pass beneath pedicle screws. Assumed."""


class AnteriorFixation(Spec):
    """What a plate and anterior rods have in common."""

    side: Face = "left"
    """Face of the bodies that carries it; lumbar and thoracolumbar approaches come from the left."""
    material: str = "ti6al4v"
    """Implant material of the library."""
    screws: BodyScrews = BodyScrews()
    """Body screws."""


class Plate(AnteriorFixation):
    """One flat plate with two screws in each vertebra."""

    kind: Literal["plate"] = "plate"
    """Kind of anterior fixation."""
    width_mm: Annotated[float, Field(gt=5.0, lt=40.0, json_schema_extra={"plausible": [16, 25]})] = 20.0
    """Along the bone. Assumed."""
    thickness_mm: Annotated[float, Field(gt=1.0, lt=10.0, json_schema_extra={"plausible": [2, 6]})] = 4.5
    """Away from the bone. Assumed."""


class AnteriorRods(AnteriorFixation):
    """Two rods with one screw each in each vertebra and two couplers between them (Kaneda type)."""

    kind: Literal["rods"] = "rods"
    """Kind of anterior fixation."""
    diameter_mm: Annotated[float, Field(gt=2.0, lt=12.0, json_schema_extra={"plausible": [4.75, 6.35]})] = 6.35
    """Of each rod."""


@dataclass(frozen=True, slots=True)
class _Bed:
    """Where the device lies: `axis` upwards, `outward` from the bone, `across` its face; unit, orthogonal."""

    origin: F64
    axis: F64
    outward: F64
    across: F64


def fix_anterior(
    assembly: Assembly, segment: Segment, spec: Plate | AnteriorRods, above: str, below: str
) -> dict[str, list[Screw]]:
    """Add a plate or rods from `above` to `below` with two screws in each; return the screws by level.

    Regions: ``implant.plate.bar`` and ``implant.plate.arm.<level>.<n>``, or ``implant.plate.rod.<n>`` and
    ``implant.plate.coupler.<n>``; ``implant.body_screw.<level>.<n>``, n from the back (or the right) forwards.

    Raises
    ------
    UsageError
        A screw misses the body.
    """
    levels = (above, below)
    bed = _bed(segment, spec.side, above, below)
    places = [(n - 0.5) * spec.screws.spacing_mm for n in (0, 1)]
    entries = {
        level: [_entry(segment, bed, level, place, spec.screws.cranial_shift_mm) for place in places]
        for level in levels
    }
    if isinstance(spec, Plate):
        half, reach, lanes = spec.thickness_mm / 2, spec.width_mm / 2, [0.0]
    else:
        half, reach, lanes = spec.diameter_mm / 2, spec.diameter_mm / 2, places
    rise = _rise(segment, bed, entries, lanes, reach)
    heads = {
        level: [
            assembly.node(entry + (rise[level] + half - (entry - bed.origin) @ bed.outward) * bed.outward)
            for entry in entries[level]
        ]
        for level in levels
    }
    if isinstance(spec, Plate):
        _place_plate(assembly, spec, bed, heads)
    else:
        _place_rods(assembly, spec, heads)
    with under("screws"):
        return {
            level: [
                place_screw(
                    assembly,
                    segment,
                    spec.screws,
                    region=f"implant.body_screw.{level}.{n + 1}",
                    level=level,
                    head=heads[level][n],
                    entry=entry,
                    axis=-bed.outward,
                    parts=BODY,
                )
                for n, entry in enumerate(entries[level])
            ]
            for level in levels
        }


def _bed(segment: Segment, side: Face, above: str, below: str) -> _Bed:
    """The middle of the chosen face of both bodies, and the directions there."""
    top, bottom = (segment.vertebrae[level].frame for level in (above, below))
    outward = top.vector_to_global(_OUTWARD[side]) + bottom.vector_to_global(_OUTWARD[side])
    axis = unit(top.origin - bottom.origin)
    outward = unit(outward - (outward @ axis) * axis)
    across = np.cross(axis, outward)
    sign = 1.0 if across @ top.vector_to_global(_ACROSS[side]) > 0 else -1.0
    return _Bed((top.origin + bottom.origin) / 2, axis, outward, sign * across)


def _entry(segment: Segment, bed: _Bed, level: str, place: float, shift: float) -> F64:
    """Where the line of a body screw, `place` [mm] across and `shift` [mm] above the middle, meets the outside."""
    frame = segment.vertebrae[level].frame
    inside = frame.origin + place * bed.across + shift * frame.axes[:, 2]
    walls = crossings(inside, bed.outward, surface(segment.mesh, *(f"{level}.{part}" for part in BODY)))
    if not len(walls):
        raise UsageError(
            f"a body screw {abs(place):.1f} mm across and {shift:.1f} mm above the middle of {level} misses the "
            "body; reduce spacing_mm or cranial_shift_mm",
            key=("screws",),
        )
    return np.asarray(inside + walls[-1] * bed.outward, np.float64)


def _rise(
    segment: Segment, bed: _Bed, entries: dict[str, list[F64]], lanes: Sequence[float], reach: float
) -> dict[str, float]:
    """Outward height [mm] over `bed.origin`, at the screws of each level, of a straight line that rests on the bone.

    The line touches the most prominent bone of either vertebra; where bone between still stands above it, it is lifted
    as a whole. Bone counts within `reach` [mm] of the `lanes` and between the ends of plate or rods.
    """
    heights = {level: float(np.mean([(e - bed.origin) @ bed.axis for e in here])) for level, here in entries.items()}
    bone = {}
    for level in entries:
        parts = [f"{level}.{part}" for part in ("body", "endplate", "pedicle")]
        mesh_points = surface(segment.mesh, *parts).reshape(-1, 3)
        local = (np.concatenate([mesh_points, entries[level]]) - bed.origin) @ np.column_stack(
            [bed.axis, bed.across, bed.outward]
        )
        first, last = min(heights.values()) - OVERHANG_MM, max(heights.values()) + OVERHANG_MM
        between = (local[:, 0] > first) & (local[:, 0] < last)
        beneath = np.any([np.abs(local[:, 1] - lane) < reach for lane in lanes], axis=0)
        own = np.arange(len(local)) >= len(mesh_points)
        bone[level] = local[(between & beneath) | own][:, [0, 2]]
    rise = {level: float(points[:, 1].max()) for level, points in bone.items()}
    (low, low_rise), (high, high_rise) = sorted((heights[level], rise[level]) for level in entries)
    along, outward = np.concatenate(list(bone.values())).T
    line = low_rise + (high_rise - low_rise) * (along - low) / (high - low)
    lift = max(0.0, float((outward - line).max()))
    return {level: height + lift for level, height in rise.items()}


def _place_plate(assembly: Assembly, spec: Plate, bed: _Bed, heads: dict[str, list[int]]) -> None:
    """A straight bar along the middle, and arms of the same section from it to the screw heads."""
    section = rectangular_section(
        f"plate {spec.width_mm:g} x {spec.thickness_mm:g} mm", spec.thickness_mm, spec.width_mm
    )
    middles = {
        level: assembly.node(np.mean([assembly.point(h) for h in pair], axis=0)) for level, pair in heads.items()
    }
    above, below = middles.values()
    upwards = unit(assembly.point(above) - assembly.point(below))
    ends = [assembly.point(above) + OVERHANG_MM * upwards, assembly.point(below) - OVERHANG_MM * upwards]
    chain = [assembly.node(ends[0]), above, below, assembly.node(ends[1])]
    assembly.chain((f"{REGION}.bar",), chain, BEAM_MM)
    names = [f"{REGION}.bar"]
    for level, pair in heads.items():
        for n, head in enumerate(pair):
            names.append(f"{REGION}.arm.{level}.{n + 1}")
            assembly.chain((names[-1],), [middles[level], head], BEAM_MM)
    for name in names:
        assembly.beam_part(name, spec.material, section, bed.outward)
    assembly.record("plate.length_mm", float(np.linalg.norm(ends[0] - ends[1])))


def _place_rods(assembly: Assembly, spec: AnteriorRods, heads: dict[str, list[int]]) -> None:
    rods = [
        place_rod(
            assembly,
            f"{REGION}.rod.{n + 1}",
            [pair[n] for pair in heads.values()],
            diameter=spec.diameter_mm,
            material=spec.material,
            stations=[(0, place) for place in COUPLERS],
        )
        for n in (0, 1)
    ]
    place_crosslinks(assembly, f"{REGION}.coupler", rods, [(spec.diameter_mm, spec.material)] * len(COUPLERS))
