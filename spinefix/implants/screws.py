"""Screws in bone: a chain of beams from the head to the tip, held by bone over its thread.

The shaft bends as its core does, so the beam section is that of the core (minor) diameter. Bone fills the thread and
moves with it: screw and bone meet on the cylinder through the thread crests, so the interface radius is half of the
outer (major) diameter. The head (tulip) is not modelled apart: the neck between head and bone has the core section,
which is also where pedicle screws break.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from spinefix import library
from spinefix.anatomy.segment import Segment, Vertebra
from spinefix.errors import UsageError
from spinefix.implants.assembly import Assembly
from spinefix.implants.base import EmbeddingRequest
from spinefix.implants.geometry import crossings, gap_between_segments, rotate, surface, unit
from spinefix.implants.levels import in_order
from spinefix.implants.sections import round_section
from spinefix.mesh.core import F64
from spinefix.spec import Spec
from spinefix.units import to_internal, to_surface

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")

BEAM_MM = 2.5
"""Greatest length of a screw beam: a third of the outer diameter or so, finer than the hosting hexahedra."""

_SKIN = 1.0
"""The entry lies on the bone surface up to this [mm]: crossings nearer are the entry itself."""

DEPTH_FRACTION = 0.85
"""Share of the way to the far cortex that an automatic length may use. Assumed (practice: 70 to 85 %)."""


class BoneScrew(Spec):
    """What pedicle screws and vertebral body screws have in common."""

    diameter_mm: Annotated[float, Field(gt=2.0, lt=10.0, json_schema_extra={"plausible": [4.5, 7.5]})] = 6.5
    """Outer (thread) diameter."""
    core_diameter_mm: Annotated[float | None, Field(gt=1.0, lt=10.0, json_schema_extra={"plausible": [2.8, 6.0]})] = (
        None
    )
    """Core (root) diameter; left out: outer diameter times the ratio of the library."""
    length_mm: Annotated[float, Field(gt=5.0, lt=80.0, json_schema_extra={"plausible": [25, 55]})] | Literal["auto"] = (
        "auto"
    )
    """Length in bone, from entry to tip; auto: the longest catalogue length that ends before 85 % of the depth."""
    material: str = "ti6al4v"
    """Implant material of the library."""
    interface: str = "normal"
    """Screw-bone interface of the library: normal, osteopenic, osteoporotic, loose or bonded."""
    interface_normal_N_per_mm3: Annotated[float | None, Field(gt=0.0, json_schema_extra={"plausible": [5, 2000]})] = (
        None
    )
    """Radial stiffness per area of thread; left out: that of `interface`."""
    interface_tangential_N_per_mm3: Annotated[
        float | None, Field(gt=0.0, json_schema_extra={"plausible": [2, 2000]})
    ] = None
    """Stiffness along the thread surface per area; left out: that of `interface`."""

    @model_validator(mode="after")
    def _core_within_thread(self) -> Self:
        if self.core_diameter_mm is not None and self.core_diameter_mm >= self.diameter_mm:
            raise ValueError(
                f"core_diameter_mm {self.core_diameter_mm:g} must be less than diameter_mm {self.diameter_mm:g}"
            )
        return self


class PedicleScrews(BoneScrew):
    """Pedicle screws, one on each side at each level."""

    levels: tuple[str, ...] | None = None
    """Instrumented levels; left out: the neighbours of the resected bodies."""
    leave_out: tuple[str, ...] = ()
    """Screws that are not placed, e.g. `[L3.left]` where a tumour has destroyed the pedicle; the rod passes by."""
    head_offset_mm: Annotated[float, Field(gt=0.0, lt=30.0, json_schema_extra={"plausible": [5, 15]})] = 11.0
    """Free length between bone and rod axis."""
    convergence_deg: Annotated[float, Field(ge=-30.0, le=30.0, json_schema_extra={"plausible": [-10, 15]})] = 0.0
    """Turn of the tip towards the midline, from the pedicle axis, about the entry."""
    cranial_tilt_deg: Annotated[float, Field(ge=-30.0, le=30.0, json_schema_extra={"plausible": [-10, 10]})] = 0.0
    """Turn of the tip towards the upper endplate, from the pedicle axis, about the entry."""
    lateral_shift_mm: Annotated[float, Field(ge=-10.0, le=10.0, json_schema_extra={"plausible": [-3, 3]})] = 0.0
    """Shift of the entry away from the midline."""
    cranial_shift_mm: Annotated[float, Field(ge=-10.0, le=10.0, json_schema_extra={"plausible": [-3, 3]})] = 0.0
    """Shift of the entry upwards."""


@dataclass(frozen=True, slots=True)
class Screw:
    """A placed screw: name of its region, head node, its straight line in bone, and its radii [mm]."""

    region: str
    head: int
    entry: F64
    tip: F64
    radius: float
    core_radius: float


def place_screw(
    assembly: Assembly,
    segment: Segment,
    spec: BoneScrew,
    *,
    region: str,
    level: str,
    head: int,
    entry: F64,
    axis: F64,
    parts: Sequence[str] = (),
) -> Screw:
    """Add one screw from node `head` over `entry` (3,) [mm] into the bone of `level` along the unit `axis`.

    The tip must stay in `parts` of the level, e.g. ``body``; left out, in any of its bone.

    Regions: `region` with ``.neck`` (head to bone) and ``.shaft`` (in bone, embedded).

    Raises
    ------
    UsageError
        The line misses the bone or the tip breaks out.
    """
    length = _length_in_bone(assembly, segment, spec, region, level, entry, axis, parts)
    tip = entry + length * axis
    start = assembly.node(entry)
    assembly.chain((region, f"{region}.neck"), [head, start], BEAM_MM)
    assembly.chain((region, f"{region}.shaft"), [start, assembly.node(tip)], BEAM_MM)
    core = core_diameter(spec)
    assembly.beam_part(region, spec.material, round_section(f"core {core:.2f} mm", core))
    assembly.embed(_hold(spec, region, level))
    name = region.removeprefix("implant.")
    assembly.record(f"{name}.length_mm", length)
    assembly.record(f"{name}.core_diameter_mm", core)
    assembly.record(f"{name}.neck_mm", float(np.linalg.norm(entry - assembly.point(head))))
    return Screw(region, head, entry, tip, spec.diameter_mm / 2, core / 2)


def place_pedicle_screws(
    assembly: Assembly, segment: Segment, spec: PedicleScrews, levels: Mapping[Side, tuple[str, ...]]
) -> dict[Side, list[Screw]]:
    """Add pedicle screws at the `levels` of each side; return them by side, in that order.

    Regions ``implant.screw.<level>.<side>``.
    """
    return {side: [_pedicle_screw(assembly, segment, spec, level, side) for level in levels[side]] for side in levels}


def levels_by_side(
    segment: Segment, spec: PedicleScrews, levels: Sequence[str], sides: Sequence[Side]
) -> dict[Side, tuple[str, ...]]:
    """Return the levels that get a screw on each side, from cranial to caudal.

    Raises
    ------
    UsageError
        A level is unknown, a screw to be left out is none of those asked for, or a side keeps less than two.
    """
    levels = in_order(segment, levels, "levels")
    if len(levels) < 2:
        raise UsageError(f"a rod needs at least two levels, got {', '.join(levels) or 'none'}", key=("levels",))
    for i, name in enumerate(spec.leave_out):
        level, _, side = name.partition(".")
        if level not in levels or side not in sides:
            there = ", ".join(f"{level}.{side}" for level in levels for side in sides)
            raise UsageError(f"{name} is none of the screws ({there})", key=("leave_out", i))
    out = {side: tuple(x for x in levels if f"{x}.{side}" not in spec.leave_out) for side in sides}
    for side, kept in out.items():
        if len(kept) < 2:
            raise UsageError(
                f"a rod needs at least two levels, the {side} one keeps {', '.join(kept) or 'none'}", key=("leave_out",)
            )
    return out


def trajectory(vertebra: Vertebra, side: Side, spec: PedicleScrews) -> tuple[F64, F64]:
    """Entry (3,) [mm] and unit direction (3,) of a pedicle screw: the pedicle axis, shifted and turned as asked.

    Raises
    ------
    UsageError
        The vertebra has no pedicle axis.
    """
    try:
        entry = vertebra.landmarks[f"pedicle.{side}.entry"]
        axis = unit(vertebra.directions[f"pedicle.{side}.axis"])
    except KeyError as missing:
        raise UsageError(f"{vertebra.level} has no landmark {missing} to place a pedicle screw") from None
    frame, outward = vertebra.frame, 1.0 if side == "left" else -1.0
    entry = entry + frame.vector_to_global(np.array([0.0, outward * spec.lateral_shift_mm, spec.cranial_shift_mm]))
    # From the entry towards the front: a negative turn about y raises the tip; on the left, a negative one about z
    # brings it to the midline.
    tilt = to_internal("cranial_tilt_deg", spec.cranial_tilt_deg)
    converge = to_internal("convergence_deg", spec.convergence_deg)
    axis = rotate(axis, frame.axes[:, 1], -tilt)
    return entry, rotate(axis, frame.axes[:, 2], -outward * converge)


def core_diameter(spec: BoneScrew) -> float:
    """Core diameter [mm]: as given, or from the library's ratio of core to outer diameter."""
    if spec.core_diameter_mm is None:
        return library.screw_core_diameter(spec.diameter_mm)
    if spec.core_diameter_mm >= spec.diameter_mm:
        raise UsageError(
            f"{spec.core_diameter_mm:g} must be less than diameter_mm = {spec.diameter_mm:g}",
            key=("core_diameter_mm",),
        )
    return spec.core_diameter_mm


def check_crossing(assembly: Assembly, screws: Mapping[str, list[Screw]]) -> None:
    """Look for screws in the same vertebra that meet; `screws` by level. Threads that cut into each other: a warning.

    Raises
    ------
    UsageError
        Two cores would have to be in the same place.
    """
    for level, here in screws.items():
        for i, a in enumerate(here):
            for b in here[:i]:
                distance = gap_between_segments(a.entry, a.tip, b.entry, b.tip)
                overlap = a.radius + b.radius - distance
                if overlap <= 0.0:
                    continue
                names = f"{a.region.removeprefix('implant.')} and {b.region.removeprefix('implant.')}"
                problem = f"{names} overlap by {overlap:.1f} mm inside {level}"
                if distance < a.core_radius + b.core_radius:
                    raise UsageError(f"{problem}, core in core: move, turn or shorten one of them", key=("screws",))
                assembly.warn(f"{problem}: move or shorten one of them")


def _pedicle_screw(assembly: Assembly, segment: Segment, spec: PedicleScrews, level: str, side: Side) -> Screw:
    vertebra = segment.vertebrae[level]
    entry, axis = trajectory(vertebra, side, spec)
    head = assembly.node(entry - spec.head_offset_mm * axis)
    region = f"implant.screw.{level}.{side}"
    screw = place_screw(assembly, segment, spec, region=region, level=level, head=head, entry=entry, axis=axis)
    local = axis @ vertebra.frame.axes
    outward = 1.0 if side == "left" else -1.0
    name = f"screw.{level}.{side}"
    convergence = float(np.arctan2(-outward * local[1], local[0])) + 0.0  # no negative zero
    assembly.record(f"{name}.convergence_deg", to_surface("convergence_deg", convergence))
    _check_pedicle(assembly, vertebra, spec, side, entry, axis)
    return screw


def _check_pedicle(
    assembly: Assembly, vertebra: Vertebra, spec: PedicleScrews, side: Side, entry: F64, axis: F64
) -> None:
    """Record how the screw lies in the pedicle at its isthmus; warn when it is wide for it or breaches its wall."""
    width = vertebra.dimensions.get("PDW")
    centre = vertebra.landmarks.get(f"pedicle.{side}.centre")
    if width is None or centre is None:
        return
    name = f"screw.{vertebra.level}.{side}"
    to_isthmus = centre - entry
    offset = to_isthmus - (to_isthmus @ axis) * axis
    sideways = abs(float(offset @ vertebra.frame.axes[:, 1]))
    ratio, customary = spec.diameter_mm / width, library.implant_sizes()["screw_to_pedicle"].internal
    wall = width / 2 - sideways - spec.diameter_mm / 2
    assembly.record(f"{name}.pedicle_ratio_1", ratio)
    assembly.record(f"{name}.pedicle_wall_mm", wall)
    if ratio > customary:
        assembly.warn(
            f"{name}: diameter {spec.diameter_mm:g} mm is {100 * ratio:.0f} % of the pedicle width {width:.1f} mm "
            f"(customary up to {100 * customary:.0f} %)"
        )
    if wall < 0.0:
        assembly.warn(f"{name}: the thread breaches the pedicle wall by {-wall:.1f} mm at the isthmus")


def _length_in_bone(
    assembly: Assembly,
    segment: Segment,
    spec: BoneScrew,
    region: str,
    level: str,
    entry: F64,
    axis: F64,
    parts: Sequence[str],
) -> float:
    """Resolve the length [mm] against the bone on the line of the screw."""
    name = region.removeprefix("implant.")
    bone = [f"{level}.{part}" for part in parts] or [level]
    walls = crossings(entry, axis, surface(segment.mesh, *bone), after=_SKIN)
    if not len(walls):
        raise UsageError(f"{name}: the line from its entry misses the bone of {level}; check trajectory and shifts")
    depth = float(walls[-1])
    length = _longest(depth, name) if spec.length_mm == "auto" else float(spec.length_mm)
    if length >= depth:
        raise UsageError(
            f"{name}: length {length:g} mm breaks out of {bone[0]}, whose far wall is {depth:.1f} mm from the entry; "
            f"use length_mm: auto or at most {DEPTH_FRACTION * depth:.0f}",
            key=("length_mm",),
        )
    if np.count_nonzero(walls < length):
        assembly.warn(f"{name}: leaves the bone of {level} after {walls[0]:.1f} mm of {length:g} mm")
    assembly.record(f"{name}.bone_depth_mm", depth)
    assembly.record(f"{name}.depth_fraction_1", length / depth)
    return length


def _longest(depth: float, name: str) -> float:
    lengths = [x for x in library.catalogue("screw_length_mm") if x <= DEPTH_FRACTION * depth]
    if not lengths:
        raise UsageError(
            f"{name}: no catalogue length fits the bone depth of {depth:.1f} mm; give length_mm", key=("length_mm",)
        )
    return max(lengths)


def _hold(spec: BoneScrew, region: str, level: str) -> EmbeddingRequest:
    """All bone of the level may hold the shaft: body, pedicle, pars, lamina, whatever the line passes."""
    interface = library.screw_interface(spec.interface)
    given = (spec.interface_normal_N_per_mm3, spec.interface_tangential_N_per_mm3)
    normal, tangential = (
        interface[name].internal if value is None else value
        for name, value in zip(("normal", "tangential"), given, strict=True)
    )
    return EmbeddingRequest(
        beams=f"{region}.shaft",
        hosts=(level,),
        radius=spec.diameter_mm / 2,
        stiffness_normal=normal,
        stiffness_tangential=tangential,
        source="given in the scenario"
        if None not in given
        else library.citations(datum.source for datum in interface.values())[0],
    )
