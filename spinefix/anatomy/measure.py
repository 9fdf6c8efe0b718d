"""Measure a built segment on its mesh and compare with what was asked for; symmetry, quality, lordosis, joint gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from spinefix import library
from spinefix.anatomy.segment import Segment
from spinefix.anatomy.vertebra import VertebraMesh, measure
from spinefix.anatomy.vertebra_section import Section, build_section
from spinefix.anatomy.vertebra_shape import shape_of
from spinefix.errors import MeshError
from spinefix.mesh import quality
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.mirror import images
from spinefix.mesh.topology import facet_corners, facet_points


class Measurement(NamedTuple):
    """One dimension, asked and measured back.

    Attributes
    ----------
    level : str
        Vertebra or disc.
    name : str
        Dimension with its unit.
    asked, measured : float
    relative_error : float [1]
    """

    level: str
    name: str
    asked: float
    measured: float
    relative_error: float


class Angle(NamedTuple):
    """Lordosis of a part of the segment [rad]; `published` is NaN where none is known."""

    name: str
    measured: float
    published: float


class Gap(NamedTuple):
    """A facet joint: distance between its bone surfaces and how well they face each other.

    Attributes
    ----------
    name : str
    least, mean, most : float [mm]
        Distance from the upper vertebra's surface to the lower one's, over points that have one opposite.
    facing : float [1]
        Mean of minus the cosine between opposite normals; 1 is parallel.
    overlap : float [1]
        Share of the upper surface that has the lower one opposite.
    """

    name: str
    least: float
    mean: float
    most: float
    facing: float
    overlap: float


class Concavity(NamedTuple):
    """How hollow an endplate is.

    Attributes
    ----------
    level, side : str
        Vertebra, ``superior`` or ``inferior``.
    published : float [mm]
        Depth below the rim in the morphometry.
    sagittal, frontal : float [mm]
        Depth of the deepest point below a straightedge that rests on the rim, in the sagittal plane and in the frontal
        plane half-way between front and back.
    crest : float [mm]
        How far the rim stands above its outer edge where the two are farthest apart, in either plane.
    """

    level: str
    side: str
    published: float
    sagittal: float
    frontal: float
    crest: float


# --- dimensions ---


def measure_segment(segment: Segment) -> list[Measurement]:
    """Measure what the segment was built from, on the mesh alone.

    Vertebrae: endplates, body heights, canal, pedicles, spans (see `spinefix.anatomy.vertebra.measure`). Discs: heights
    in front, in the middle and behind in the sagittal plane, and the area of the nucleus on the lower endplate.
    """
    section = _section_of(segment)
    rows = []
    for level in segment.levels:
        asked = segment.vertebrae[level].dimensions
        for name, value in measure(_vertebra_of(segment, level, section)).items():
            rows.append(_row(level, f"{name}_mm", asked[name], value))
    for name, asked in segment.disc_dimensions.items():
        for place, value in disc_heights(segment, name).items():
            rows.append(_row(name, f"height_{place}_mm", asked[f"height_{place}"], value))
        lower = name.split("-")[1]
        rows.append(_row(name, "nucleus_area_1", shape_of(lower).nucleus_area, nucleus_area(segment, name)))
    return rows


def _row(level: str, name: str, asked: float, measured: float) -> Measurement:
    return Measurement(level, name, asked, measured, abs(measured - asked) / abs(asked))


def _section_of(segment: Segment) -> Section:
    """Section with which the segment was built, by the number of nodes on an endplate."""
    count = len(segment.mesh.nodes[f"{segment.levels[0]}.endplate.superior"])
    for n in range(2, 13):
        if build_section(n).n_nodes == count:
            return build_section(n)
    raise MeshError(f"an endplate with {count} nodes is not of this toolkit's template")


def _vertebra_of(segment: Segment, level: str, section: Section) -> VertebraMesh:
    """Take one vertebra out of the segment, back in its own frame; points and node regions only."""
    mesh, value = segment.mesh, segment.vertebrae[level]
    ids = mesh.cell_nodes(mesh.select(level))
    nodes = {k[len(level) + 1 :]: np.searchsorted(ids, v) for k, v in mesh.nodes.items() if k.startswith(level + ".")}
    local = Mesh(value.frame.to_local(mesh.points[ids]), (), nodes={k: v.astype(np.int32) for k, v in nodes.items()})
    return VertebraMesh(
        mesh=local,
        # Node numbers of an endplate rise in the order of the section's nodes.
        superior_nodes=local.nodes["endplate.superior"],
        inferior_nodes=local.nodes["endplate.inferior"],
        section=section,
        landmarks={k: value.frame.to_local(v) for k, v in value.landmarks.items()},
        directions={k: v @ value.frame.axes for k, v in value.directions.items()},
    )


def disc_heights(segment: Segment, name: str) -> dict[str, float]:
    """Return the anterior, middle and posterior height [mm] of a disc between the endplates in the sagittal plane.

    In front and behind between the rims; in the middle between the points half-way from rim to rim.
    """
    upper, lower = name.split("-")
    ceiling, floor = (
        _sagittal(segment, f"{upper}.endplate.inferior"),
        _sagittal(segment, f"{lower}.endplate.superior"),
    )
    pairs = {
        "anterior": (ceiling[-1], floor[-1]),
        "middle": (_half_way(ceiling), _half_way(floor)),
        "posterior": (ceiling[0], floor[0]),
    }
    return {place: float(np.linalg.norm(a - b)) for place, (a, b) in pairs.items()}


def _sagittal(segment: Segment, region: str) -> F64:
    """Points (k, 3) of an endplate in the sagittal plane, from behind to the front."""
    points = segment.mesh.points[segment.mesh.nodes[region]]
    points = points[np.abs(points[:, 1]) < 1e-6]
    return np.asarray(points[np.argsort(points[:, 0])])


def _half_way(line: F64) -> F64:
    """Point on a polyline above or below the middle of its chord."""
    chord = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    along = (line - line[0]) @ chord
    return np.array([np.interp(along[-1] / 2.0, along, line[:, i]) for i in range(3)])


def nucleus_area(segment: Segment, name: str) -> float:
    """Return the area of the nucleus over that of the disc [1], on the lower endplate."""
    mesh = segment.mesh
    floor = np.zeros(mesh.n_points, bool)
    floor[mesh.nodes[f"{name.split('-')[1]}.endplate.superior"]] = True

    def area(region: str) -> float:
        quads = mesh.blocks[0].conn[mesh.select(region)][:, :4]
        a, b, c, d = (mesh.points[quads[floor[quads].all(axis=1), i]] for i in range(4))
        return float(np.linalg.norm(np.cross(c - a, d - b), axis=1).sum() / 2.0)

    return area(f"{name}.disc.nucleus") / area(f"{name}.disc")


def concavities(segment: Segment) -> list[Concavity]:
    """Return the depth of every endplate below the plane of its rim, measured on the mesh in two planes."""
    shape, rows = library.plain(library.shape_parameters()), []
    for level in segment.levels:
        value = segment.vertebrae[level]
        for side, sign in (("superior", 1.0), ("inferior", -1.0)):
            corners = facet_corners(segment.mesh, segment.mesh.facets[f"{level}.endplate.{side}"])
            quads = value.frame.to_local(segment.mesh.points[corners]) * np.array([1.0, 1.0, sign])
            half_way = (quads[..., 0].min() + quads[..., 0].max()) / 2.0
            sagittal, frontal = (_relief(_cut(quads, *plane)) for plane in ((1, 0.0), (0, half_way)))
            crest = max(sagittal[1], frontal[1])
            rows.append(Concavity(level, side, shape[f"concavity_{side}"], sagittal[0], frontal[0], crest))
    return rows


def _cut(quads: F64, axis: int, at: float) -> F64:
    """Points (k, 2), along and up, where the edges of quadrilaterals (m, 4, 3) meet the plane ``axis = at``."""
    start, end = quads, np.roll(quads, -1, axis=1)
    a, b = (x[..., axis].ravel() - at for x in (start, end))
    a, b = (np.where(np.abs(x) < 1e-9, 0.0, x) for x in (a, b))
    met = (a * b <= 0.0) & (a != b)
    t = (a[met] / (a[met] - b[met]))[:, None]
    points = (1.0 - t) * start.reshape(-1, 3)[met] + t * end.reshape(-1, 3)[met]
    line = points[:, [1 - axis, 2]]
    return np.asarray(line[np.argsort(line[:, 0])])


def _relief(line: F64) -> tuple[float, float]:
    """Depth [mm] of a profile (k, 2) below a straightedge on its rims, and height of the rims above the ends."""
    chord = line[-1] - line[0]
    chord /= np.linalg.norm(chord)
    along, up = (line - line[0]) @ chord, (line - line[0]) @ np.array([-chord[1], chord[0]])
    front = along > along[-1] / 2.0
    rims = [np.flatnonzero(half)[np.argmax(up[half])] for half in (~front, front)]
    between = slice(rims[0], rims[1] + 1)
    edge = np.interp(along[between], along[rims], up[rims])
    return float((edge - up[between]).max()), float(up[rims].max())


# --- shape as a whole ---


def lordosis(segment: Segment) -> list[Angle]:
    """Return the lordosis of each disc with the body above it, and of the whole segment [rad].

    The angle between the superior endplates, by their rims in the sagittal plane, as Bernhardt and Bridwell measured it
    (Spine 1989;14:717-721, standing); the last row runs from the superior endplate of the highest to the inferior
    endplate of the lowest vertebra.
    """
    rows = []
    for name, asked in segment.disc_dimensions.items():
        upper, lower = name.split("-")
        angle = _slope(segment, f"{upper}.endplate.superior") - _slope(segment, f"{lower}.endplate.superior")
        rows.append(Angle(name, angle, asked["lordosis"]))
    first, last = segment.levels[0], segment.levels[-1]
    whole = _slope(segment, f"{first}.endplate.superior") - _slope(segment, f"{last}.endplate.inferior")
    return [*rows, Angle(f"{first}-{last}", whole, math.nan)]


def _slope(segment: Segment, region: str) -> float:
    """Inclination of an endplate in the sagittal plane, positive with the front raised [rad]."""
    line = _sagittal(segment, region)
    return math.atan2(line[-1, 2] - line[0, 2], line[-1, 0] - line[0, 0])


def symmetry_error(segment: Segment) -> float:
    """Return the largest distance [mm] of a node from the mirror image of its partner across the sagittal plane."""
    return float(images(segment.mesh.points)[0].max(initial=0.0))


def scaled_jacobians(segment: Segment) -> Mapping[str, quality.Quality]:
    """Return the element quality of the whole mesh (key ``""``) and of each region."""
    return quality.summary(segment.mesh)


def facet_gaps(segment: Segment) -> list[Gap]:
    """Return the geometry of every facet joint, by projecting the upper surface on the lower one along its normals."""
    return [_gap(segment.mesh, joint.name, joint.facets, joint.onto) for joint in segment.facet_joints]


def _gap(mesh: Mesh, name: str, facets: I32, onto: I32) -> Gap:
    source, target = facet_points(mesh, facets), facet_points(mesh, onto)
    corners = mesh.points[facet_corners(mesh, onto)]
    distance = np.full(len(source.position), np.nan)
    facing = np.full(len(source.position), np.nan)
    for i, (point, way) in enumerate(zip(source.position, source.normal, strict=True)):
        t = _ray(point, way, corners)
        if np.isfinite(t).any():
            hit = int(np.nanargmin(np.abs(t)))
            distance[i] = t[hit]
            facing[i] = -way @ target.normal[target.facet == hit].mean(axis=0)
    met = np.isfinite(distance)
    if not met.any():
        return Gap(name, math.nan, math.nan, math.nan, math.nan, 0.0)
    area, d = source.area[met], distance[met]
    return Gap(
        name=name,
        least=float(d.min()),
        mean=float(d @ area / area.sum()),
        most=float(d.max()),
        facing=float(facing[met] @ area / area.sum()),
        overlap=float(area.sum() / source.area.sum()),
    )


def _ray(origin: F64, direction: F64, quads: F64) -> F64:
    """Distance (k,) along a line to each quadrilateral (k, 4, 3), split in two triangles; NaN where it is missed."""
    out = np.full(len(quads), np.nan)
    for i, j, k in ((0, 1, 2), (0, 2, 3)):
        e1, e2, s = quads[:, j] - quads[:, i], quads[:, k] - quads[:, i], origin - quads[:, i]
        p = np.cross(direction, e2)
        det = (e1 * p).sum(axis=1)
        det = np.where(np.abs(det) > 1e-14, det, np.nan)
        u = (s * p).sum(axis=1) / det
        q = np.cross(s, e1)
        v = (q @ direction) / det
        inside = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1.0 + 1e-9)
        out = np.where(inside, (e2 * q).sum(axis=1) / det, out)
    return out
