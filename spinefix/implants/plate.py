"""Anterior fixation: a plate or a pair of rods on the side or the front of the bodies, held by body screws.

The longitudinal members are straight and stand off the bone: they are shifted outwards, parallel to themselves, until
they clear the most prominent bone beneath them (the endplate rims) by half of their thickness. Screws cross the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError
from spinefix.implants.assembly import Assembly
from spinefix.implants.geometry import crossings, surface, unit
from spinefix.implants.rods import BEAM_MM, place_crosslinks, place_rod
from spinefix.implants.screws import BoneScrew, Screw, place_screw
from spinefix.implants.sections import rectangular_section
from spinefix.mesh.core import F64
from spinefix.spec import Spec

REGION = "implant.plate"

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
    """Screws in the vertebral body, side by side at mid-height, square to the plate."""

    spacing_mm: Annotated[float, Field(gt=0.0, lt=40.0, json_schema_extra={"plausible": [8, 20]})] = 13.0
    """Distance between the two screws of a vertebra. Assumed."""


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
    entries = {level: [_entry(segment, bed, level, place) for place in places] for level in levels}
    half, reach = (spec.thickness_mm / 2, spec.width_mm / 2) if isinstance(spec, Plate) else (spec.diameter_mm / 2,) * 2
    lanes = [0.0] if isinstance(spec, Plate) else places
    rise = half + max(_prominence(segment, bed, levels, entries, lane, reach) for lane in lanes)
    heads = {level: [assembly.node(_onto(bed, entry, rise)) for entry in entries[level]] for level in levels}
    if isinstance(spec, Plate):
        _place_plate(assembly, spec, bed, heads)
    else:
        _place_rods(assembly, spec, heads)
    assembly.record("plate.rise_mm", rise)
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


def _entry(segment: Segment, bed: _Bed, level: str, place: float) -> F64:
    """Where the line of a body screw, at mid-height and `place` [mm] across, meets the outside of the body."""
    centre = segment.vertebrae[level].frame.origin + place * bed.across
    walls = crossings(centre, bed.outward, surface(segment.mesh, f"{level}.body", f"{level}.endplate"))
    if not len(walls):
        raise UsageError(
            f"plate: a body screw {abs(place):.1f} mm from the middle of {level} misses the body; reduce spacing_mm"
        )
    return np.asarray(centre + walls[-1] * bed.outward, np.float64)


def _prominence(
    segment: Segment, bed: _Bed, levels: Sequence[str], entries: dict[str, list[F64]], lane: float, reach: float
) -> float:
    """Outward height [mm] over `bed.origin` of the most prominent bone beneath the device."""
    tops = [float((e - bed.origin) @ bed.axis) for level in levels for e in entries[level]]
    highest = max(float((e - bed.origin) @ bed.outward) for level in levels for e in entries[level])
    for level in levels:
        corners = surface(segment.mesh, f"{level}.body", f"{level}.endplate").reshape(-1, 3) - bed.origin
        along, aside = corners @ bed.axis, corners @ bed.across - lane
        beneath = (along > min(tops)) & (along < max(tops)) & (np.abs(aside) < reach)
        if beneath.any():
            highest = max(highest, float((corners[beneath] @ bed.outward).max()))
    return highest


def _onto(bed: _Bed, entry: F64, rise: float) -> F64:
    """Move a point outwards to the height of the device."""
    return np.asarray(entry + (rise - (entry - bed.origin) @ bed.outward) * bed.outward)


def _place_plate(assembly: Assembly, spec: Plate, bed: _Bed, heads: dict[str, list[int]]) -> None:
    """A straight bar along the middle, and arms of the same section from it to the screw heads."""
    section = rectangular_section(
        f"plate {spec.width_mm:g} x {spec.thickness_mm:g} mm", spec.thickness_mm, spec.width_mm
    )
    middles = {
        level: assembly.node(np.mean([assembly.point(h) for h in pair], axis=0)) for level, pair in heads.items()
    }
    above, below = middles.values()
    ends = [assembly.point(above) + OVERHANG_MM * bed.axis, assembly.point(below) - OVERHANG_MM * bed.axis]
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
