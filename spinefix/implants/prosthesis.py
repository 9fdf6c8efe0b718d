"""Replacement of one or two vertebral bodies: what is resected, and the solid that fills the gap.

Resected are the whole bodies with their endplates, the discs above, between and below; pedicles, arches and their
joints stay. In surgery a thin shell of the body is often left in place; it carries little once it is opened.

The prosthesis is a straight prism of constant section, oval or annular, whose axis joins the centres of the two
endplates that face the gap. Its end faces are projected along the axis onto those endplates, so that its height at each
place is exactly the distance from bone to bone (a trimmed cage or a cement filling; a flat metal endplate would touch
at the rim first).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from spinefix import library
from spinefix.anatomy.segment import Frame, Segment
from spinefix.errors import UsageError
from spinefix.implants.assembly import Assembly
from spinefix.implants.base import ContactRequest, TieRequest
from spinefix.implants.geometry import along, triangles, unit
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.generate import cylinder, tube
from spinefix.mesh.topology import facet_areas, facet_corners
from spinefix.spec import Spec

REGION = "implant.prosthesis"

RINGS_IN_WALL = 2
"""Elements through the wall of a hollow prosthesis."""

FIT_MM = 0.5
"""Gaps and overlaps at rest of up to this count as touching: end faces fit the endplates, facets do not quite."""


class Footprint(Spec):
    """Cross-section of a prosthesis: an oval, hollow where `wall_mm` is given."""

    width_mm: Annotated[float, Field(gt=4.0, lt=70.0, json_schema_extra={"plausible": [16, 40]})] = 24.0
    """Left to right."""
    depth_mm: Annotated[float, Field(gt=4.0, lt=50.0, json_schema_extra={"plausible": [16, 30]})] = 24.0
    """Front to back."""
    wall_mm: Annotated[float | None, Field(gt=0.2, lt=20.0, json_schema_extra={"plausible": [1.0, 4.0]})] = None
    """Wall thickness of a mesh cage, on all sides; left out: solid."""
    anterior_mm: Annotated[float, Field(ge=-20.0, le=20.0, json_schema_extra={"plausible": [-5, 5]})] = 0.0
    """Shift of the axis forwards from the endplate centres."""
    left_mm: Annotated[float, Field(ge=-20.0, le=20.0, json_schema_extra={"plausible": [-5, 5]})] = 0.0
    """Shift of the axis to the left of the endplate centres."""


class Prosthesis(Spec):
    """A vertebral body replacement."""

    material: str = "titanium_mesh"
    """Implant material of the library; ``titanium_mesh`` is the perforated wall of a mesh cage as a continuum."""
    footprint: Footprint = Footprint(width_mm=22.0, depth_mm=22.0, wall_mm=1.5)
    """Section and place; the default is a mesh cage."""
    interface: Literal["bonded", "no_tension", "friction"] = "bonded"
    """Prosthesis on endplate: grown together; or it only presses, and slides freely or with friction. The last two need
    nonlinear analysis."""
    friction_1: Annotated[float | None, Field(gt=0.0, le=3.0, json_schema_extra={"plausible": [0.2, 1.0]})] = None
    """Coefficient of Coulomb friction, with `interface: friction` only; left out: that of the library."""

    @model_validator(mode="after")
    def _friction_where_there_is_some(self) -> Self:
        if self.friction_1 is not None and self.interface != "friction":
            raise ValueError(f"friction_1 has no meaning with interface {self.interface!r}; set interface: friction")
        return self


def resected_regions(segment: Segment, resected: Sequence[str]) -> tuple[str, ...]:
    """Cell regions removed in a corpectomy of consecutive levels: bodies, endplates, all discs that touch them."""
    bodies = [f"{level}.{part}" for level in resected for part in ("body", "endplate")]
    discs = [f"{disc}.disc" for disc in segment.discs() if set(disc.split("-")) & set(resected)]
    return (*bodies, *discs)


def place_prosthesis(assembly: Assembly, segment: Segment, spec: Prosthesis, above: str, below: str) -> None:
    """Add the prosthesis between the lower endplate of `above` and the upper endplate of `below`, joined to both.

    Regions: cells ``implant.prosthesis``, nodes and facets ``implant.prosthesis.superior`` and ``.inferior``.

    Raises
    ------
    UsageError
        The footprint overhangs an endplate.
    """
    faces = {
        "superior": segment.mesh.facets[f"{above}.endplate.inferior"],
        "inferior": segment.mesh.facets[f"{below}.endplate.superior"],
    }
    frame, height = gap_frame(segment, above, below)
    size = min(element_size(segment.mesh, f) for f in faces.values())
    prism = _section_prism(spec.footprint, size, max(2, round(height / size)))
    section = prism.points[:, :2] + [spec.footprint.anterior_mm, spec.footprint.left_mm]
    ends = {
        side: _project(segment.mesh, faces[side], frame, section, f"{level}.endplate.{other}")
        for side, level, other in (("superior", above, "inferior"), ("inferior", below, "superior"))
    }
    t = prism.points[:, 2]
    z = (1.0 - t) * ends["inferior"] + t * ends["superior"]
    names = {"p.top": f"{REGION}.superior", "p.bottom": f"{REGION}.inferior"}
    mesh = Mesh(
        frame.to_global(np.column_stack([section, z])),
        prism.blocks,
        {REGION: prism.cells["p"]},
        {new: prism.facets[old] for old, new in names.items()},
        {new: prism.nodes[old] for old, new in names.items()},
    )
    assembly.solid_part(REGION, mesh, spec.material)
    _join(assembly, spec, f"{REGION}.superior", f"{above}.endplate.inferior")
    _join(assembly, spec, f"{REGION}.inferior", f"{below}.endplate.superior")
    heights = ends["superior"] - ends["inferior"]
    assembly.record("prosthesis.height_mean_mm", float(heights.mean()))
    assembly.record("prosthesis.height_max_mm", float(heights.max()))
    assembly.record("prosthesis.height_min_mm", float(heights.min()))
    assembly.record("prosthesis.area_mm2", footprint_area(spec.footprint))
    assembly.record("prosthesis.element_size_mm", size)


def _join(assembly: Assembly, spec: Prosthesis, face: str, endplate: str) -> None:
    """Tie one end face to an endplate, or let it stand there."""
    if spec.interface == "bonded":
        assembly.tie(TieRequest(face, endplate))
        return
    friction, source = 0.0, "given in the scenario"
    if spec.interface == "friction":
        friction, source = _friction(assembly, spec)
        assembly.record("prosthesis.friction_1", friction)
    assembly.contact(ContactRequest(face, endplate, friction, FIT_MM, source))


def _friction(assembly: Assembly, spec: Prosthesis) -> tuple[float, str]:
    """Coefficient of friction [1] and where it is from."""
    if spec.friction_1 is not None:
        return spec.friction_1, "given in the scenario"
    data = library.prosthesis_interface()
    datum = data["friction"]
    assembly.cite(*library.sources(data))
    if datum.assumed:
        assembly.assume(f"prosthesis on endplate friction = {datum.value:g} {datum.unit}")
    return datum.internal, library.sources(data)[0]


def footprint_area(spec: Footprint) -> float:
    """Area [mm^2] of an oval or of an oval ring."""
    area = math.pi / 4 * spec.width_mm * spec.depth_mm
    if spec.wall_mm is not None:
        area -= math.pi / 4 * (spec.width_mm - 2 * spec.wall_mm) * (spec.depth_mm - 2 * spec.wall_mm)
    return area


def gap_frame(segment: Segment, above: str, below: str) -> tuple[Frame, float]:
    """Frame of the gap, and its height [mm] from endplate centre to endplate centre.

    Origin midway between the centres, z from the lower to the upper one, y to the left (mean of both vertebrae).
    """
    top = segment.vertebrae[above].landmarks["endplate.inferior.centre"]
    bottom = segment.vertebrae[below].landmarks["endplate.superior.centre"]
    z = unit(top - bottom)
    left = segment.vertebrae[above].frame.axes[:, 1] + segment.vertebrae[below].frame.axes[:, 1]
    x = unit(np.cross(left, z))
    frame = Frame((top + bottom) / 2, np.column_stack([x, np.cross(z, x), z]))
    return frame, float(np.linalg.norm(top - bottom))


def element_size(mesh: Mesh, facets: I32) -> float:
    """Typical edge length [mm] of a facet region: the root of the mean facet area, so that both sides match."""
    return math.sqrt(float(facet_areas(mesh, facets).mean()))


def _section_prism(spec: Footprint, size: float, layers: int) -> Mesh:
    """A prism of unit height whose x is depth and y is width [mm]."""
    z = np.linspace(0.0, 1.0, layers + 1)
    half = np.array([spec.depth_mm, spec.width_mm]) / 2
    girth = 2 * math.pi * math.sqrt(float(half @ half) / 2)
    sector = max(2, round(girth / size / 4))
    if spec.wall_mm is None:
        rings = max(2, round(half.min() / size / 2))
        mesh = cylinder(1.0, z, n_core=sector, n_radial=rings, name="p")
        return _moved(mesh, mesh.points[:, :2] * half)
    inner = half - spec.wall_mm
    if inner.min() <= 0.0:
        raise UsageError(
            f"{spec.wall_mm:g} leaves no hollow in {2 * half.min():g} mm; leave it out", key=("footprint", "wall_mm")
        )
    mesh = tube(0.5, 1.0, z, n_around=4 * sector, n_radial=RINGS_IN_WALL, name="p")
    radius = np.linalg.norm(mesh.points[:, :2], axis=1)
    blend = (2.0 * radius - 1.0)[:, None]
    return _moved(mesh, mesh.points[:, :2] / radius[:, None] * ((1.0 - blend) * inner + blend * half))


def _moved(mesh: Mesh, plan: F64) -> Mesh:
    return Mesh(np.column_stack([plan, mesh.points[:, 2]]), mesh.blocks, mesh.cells, mesh.facets, mesh.nodes)


def _project(mesh: Mesh, facets: I32, frame: Frame, section: F64, name: str) -> F64:
    """Heights z (p,) [mm] in `frame` at which lines parallel to its axis through `section` (p, 2) meet an endplate."""
    corners = frame.to_local(triangles(mesh, facets))
    origins = np.column_stack([section, np.zeros(len(section))])
    rounded = np.asarray(np.round(origins, 9), np.float64)
    unique, inverse = np.unique(rounded, axis=0, return_inverse=True)
    z = along(unique, np.array([0.0, 0.0, 1.0]), corners)
    missed = np.isnan(z).all(axis=1)
    if missed.any():
        rim = _outline(mesh, facets, frame)
        far = max(_distance_to_outline(p, rim) for p in unique[missed, :2])
        raise UsageError(
            f"the footprint overhangs {name} by {far:.1f} mm; "
            f"the endplate is {np.ptp(rim[..., 0]):.1f} mm deep and {np.ptp(rim[..., 1]):.1f} mm wide: "
            "reduce width_mm or depth_mm, or shift it",
            key=("footprint",),
        )
    return np.asarray(np.nanmean(z, axis=1)[inverse.ravel()], np.float64)


def _outline(mesh: Mesh, facets: I32, frame: Frame) -> F64:
    """Outer edges (k, 2, 2) [mm] of a facet region, seen along the axis of `frame`."""
    quads = facet_corners(mesh, facets)
    edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    _, first, counts = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    return np.asarray(frame.to_local(mesh.points[edges[first[counts == 1]]])[..., :2], np.float64)


def _distance_to_outline(point: F64, edges: F64) -> float:
    start, step = edges[:, 0], edges[:, 1] - edges[:, 0]
    t = np.clip(((point - start) * step).sum(axis=1) / (step**2).sum(axis=1), 0.0, 1.0)
    return float(np.linalg.norm(start + t[:, None] * step - point, axis=1).min())
