"""Pedicle screws and rods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError, under
from spinefix.implants.assembly import Assembly
from spinefix.implants.base import BuildResult
from spinefix.implants.rods import CrossLink, Rods, link_station, place_crosslinks, place_rod
from spinefix.implants.screws import (
    SIDES,
    PedicleScrews,
    Screw,
    Side,
    check_crossing,
    levels_by_side,
    place_pedicle_screws,
)
from spinefix.mesh.core import I32
from spinefix.mesh.locate import locate, project
from spinefix.mesh.topology import boundary_facets
from spinefix.spec import Spec


class PosteriorInstrumentation(Spec):
    """Pedicle screws, rods and cross-links."""

    screws: PedicleScrews = PedicleScrews()
    """Pedicle screws."""
    rods: Rods = Rods()
    """Rods through the screw heads."""
    crosslinks: tuple[CrossLink, ...] = ()
    """Transverse connectors between the rods."""
    sides: Literal["both", "left", "right"] = "both"
    """Instrumented sides."""


class Posterior(PosteriorInstrumentation):
    """Screws and rods from behind; the diseased body stays."""

    kind: Literal["posterior"] = "posterior"
    """Kind of construct."""


def build(spec: Posterior, segment: Segment) -> BuildResult:
    """Build posterior screws and rods on `segment`.

    Raises
    ------
    UsageError
        Levels are missing or not in the segment, or a screw cannot be placed.
    """
    if spec.screws.levels is None:
        raise UsageError(f"give levels, e.g. [{segment.levels[0]}, {segment.levels[-1]}]", key=("screws",))
    assembly = Assembly()
    check_crossing(assembly, instrument(assembly, segment, spec, spec.screws.levels))
    return assembly.result()


def instrument(
    assembly: Assembly, segment: Segment, spec: PosteriorInstrumentation, levels: tuple[str, ...]
) -> dict[str, list[Screw]]:
    """Add screws at `levels`, rods through their heads and cross-links; return the screws by level.

    Regions ``implant.screw.<level>.<side>``, ``implant.rod.<side>``, ``implant.crosslink.<n>``.
    """
    sides: tuple[Side, ...] = SIDES if spec.sides == "both" else (spec.sides,)
    with under("screws"):
        held = levels_by_side(segment, spec.screws, levels, sides)
    if spec.crosslinks and len(sides) < 2:
        raise UsageError(f"they join two rods, but sides is {spec.sides}; set sides: both", key=("crosslinks",))
    with under("screws"):
        screws = place_pedicle_screws(assembly, segment, spec.screws, held)
    stations: dict[Side, list[tuple[int, float]]] = {side: [] for side in sides}
    for i, link in enumerate(spec.crosslinks):
        with under("crosslinks", i):
            for side in sides:
                stations[side].append(link_station(link, held[side]))
    rods = [
        place_rod(
            assembly,
            f"implant.rod.{side}",
            [screw.head for screw in screws[side]],
            diameter=spec.rods.diameter_mm,
            material=spec.rods.material,
            stations=stations[side],
        )
        for side in sides
    ]
    bone = boundary_facets(segment.mesh)
    for side, rod in zip(sides, rods, strict=True):
        _check_clearance(assembly, segment, bone, f"rod.{side}", rod.nodes, spec.rods.diameter_mm / 2)
    links = [(link.diameter_mm, link.material) for link in spec.crosslinks]
    for i, nodes in enumerate(place_crosslinks(assembly, "implant.crosslink", rods, links)):
        _check_clearance(assembly, segment, bone, f"crosslink.{i + 1}", nodes, links[i][0] / 2)
    out: dict[str, list[Screw]] = {}
    for side in sides:
        for level, screw in zip(held[side], screws[side], strict=True):
            out.setdefault(level, []).append(screw)
    return out


def _check_clearance(
    assembly: Assembly, segment: Segment, bone: I32, name: str, nodes: Sequence[int], radius: float
) -> None:
    """Record the least distance between a round bar and bone (at its nodes); warn where it cuts into bone."""
    mesh = segment.mesh
    points = np.array([assembly.point(n) for n in nodes])
    distance = project(mesh, bone, points).distance
    inside = locate(mesh, np.arange(mesh.n_cells, dtype=np.int32), points).found
    gaps = np.where(inside, -distance, distance) - radius
    worst = int(gaps.argmin())
    assembly.record(f"{name}.clearance_mm", float(gaps[worst]))
    if gaps[worst] < 0.0:
        x, y, z = points[worst]
        cure = (
            "raise head_offset_mm"
            if name.startswith("rod")
            else "it is not joined to it, but a surgeon trims the bone or moves it (fraction_1)"
        )
        assembly.warn(f"{name}: cuts {-gaps[worst]:.1f} mm into bone near ({x:.0f}, {y:.0f}, {z:.0f}) mm; {cure}")
