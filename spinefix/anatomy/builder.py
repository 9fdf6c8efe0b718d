"""Build a spinal segment: vertebrae stacked with their discs, in one mesh, with ligaments and facet joints.

The global frame is that of the middle vertebra (the lower one of two in the middle): its origin midway between its
endplate centres, z up through them, x forward, y to the left. The sagittal plane is y = 0 exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spinefix import library
from spinefix.anatomy import discs
from spinefix.anatomy.ligaments import Surface, build_facet_joints, build_ligaments
from spinefix.anatomy.segment import Frame, Segment, Vertebra
from spinefix.anatomy.vertebra import VertebraMesh, build_vertebra
from spinefix.anatomy.vertebra_section import Section, build_section
from spinefix.anatomy.vertebra_shape import FacetJoint, facet_joint, half_wedge, shape_of
from spinefix.errors import UsageError
from spinefix.library import Datum
from spinefix.mesh.core import F64, CellBlock, Mesh, merge

REFINEMENTS: dict[str, int] = {"coarse": 2, "middle": 3, "fine": 5}
"""Names of mesh densities."""

SUPPORTED = ("L1", "L2", "L3", "L4", "L5")
"""Levels that have a complete set of dimensions and discs on both sides."""

ONE_WAY = 0.5
"""Share of the stiffness of structures that work one way only (ligaments pull, facets press) in a law that works both
ways: the same mean over two opposite motions. A modelling choice, not a measurement."""

_SPINE = ("T12", *SUPPORTED, "S1")


def build_segment(
    levels: Sequence[str],
    n: int | str = "middle",
    *,
    dimensions: Mapping[str, float] | None = None,
    ligament_share: float = ONE_WAY,
    facet_share: float = ONE_WAY,
) -> Segment:
    """Build a segment of the lumbar spine.

    Parameters
    ----------
    levels : sequence of str
        Neighbouring vertebrae from cranial to caudal, e.g. ``["L2", "L3", "L4"]``.
    n : int or str
        Refinement: ``coarse`` (2), ``middle`` (3), ``fine`` (5) or any integer from 2.
    dimensions : mapping of str to float, optional
        Values in place of the library's, by level or disc and key with unit, e.g. ``{"L3.PDW_mm": 9.0,
        "L3-L4.height_middle_mm": 8.0}``.
    ligament_share, facet_share : float [1]
        Share of the tangent stiffness of ligaments and facet joints that acts in the linear law. Real ones work one way
        only, the linear law both ways: with 0.5 it has the same mean stiffness over two opposite motions.

    Raises
    ------
    UsageError
        Unknown, repeated or not neighbouring levels, an unknown refinement or dimension, a value out of range.
    MeshError
        The asked dimensions give no valid mesh.
    """
    levels = _checked_levels(levels)
    refinement = _refinement(n)
    data = _data_of(levels, dimensions or {})
    between = [f"{u}-{l}" for u, l in zip(levels[:-1], levels[1:], strict=True)]
    gaps = {name: _planned(data, name, name in between) for name in _discs_around(levels)}
    parts = {level: _vertebra(level, data, gaps, refinement) for level in levels}
    placed = _placed(levels, parts, data)
    mesh, fibres = _assemble(levels, parts, placed, build_section(refinement))
    vertebrae = {level: _value(level, parts[level], placed[level], data[level]) for level in levels}
    return Segment(
        mesh=mesh,
        levels=levels,
        vertebrae=vertebrae,
        fibres=fibres,
        ligaments=build_ligaments(Surface.of(mesh, vertebrae), levels, ligament_share),
        facet_joints=build_facet_joints(mesh, levels, facet_share),
        sources=_sources(data),
        disc_dimensions={
            f"{u}-{l}": library.plain(data[f"{u}-{l}"]) for u, l in zip(levels[:-1], levels[1:], strict=True)
        },
    )


# --- what to build ---


def _checked_levels(levels: Sequence[str]) -> tuple[str, ...]:
    unknown = [level for level in levels if level not in SUPPORTED]
    if unknown:
        raise UsageError(f"unknown level {unknown[0]!r}; known: {', '.join(SUPPORTED)}")
    if not levels:
        raise UsageError(f"a segment needs at least one level of {', '.join(SUPPORTED)}")
    first = SUPPORTED.index(levels[0])
    wanted = SUPPORTED[first : first + len(levels)]
    if tuple(levels) != wanted:
        ordered = sorted(set(levels), key=SUPPORTED.index)
        span = SUPPORTED[SUPPORTED.index(ordered[0]) : SUPPORTED.index(ordered[-1]) + 1]
        raise UsageError(
            f"levels {', '.join(levels)} are not neighbours from cranial to caudal; did you mean {', '.join(span)}?"
        )
    return wanted


def _refinement(n: int | str) -> int:
    if isinstance(n, str):
        if n not in REFINEMENTS:
            raise UsageError(f"unknown refinement {n!r}; known: {', '.join(REFINEMENTS)} or an integer from 2")
        return REFINEMENTS[n]
    if n < 2:
        raise UsageError(f"refinement {n} is too coarse; the least is 2")
    return n


def _discs_around(levels: Sequence[str]) -> list[str]:
    """All discs that touch one of `levels`, those above and below the segment included."""
    first, last = _SPINE.index(levels[0]), _SPINE.index(levels[-1])
    return [f"{u}-{l}" for u, l in zip(_SPINE[first - 1 : last + 1], _SPINE[first : last + 2], strict=True)]


def _data_of(levels: Sequence[str], dimensions: Mapping[str, float]) -> dict[str, dict[str, Datum]]:
    """Library data of the levels and of the discs around them, with the user's values in place."""
    data = {level: dict(library.level_dimensions(level)) for level in SUPPORTED}
    data.update({name: dict(library.disc(name)) for name in _discs_around(levels)})
    for key, value in dimensions.items():
        where, _, name = key.partition(".")
        if where not in data:
            raise UsageError(f"dimension {key!r}: {where!r} is not a level or disc here; known: {', '.join(data)}")
        names = {f"{k}_{d.unit}": k for k, d in data[where].items()}
        if name not in names:
            raise UsageError(f"dimension {key!r}: unknown; {where} has {', '.join(names)}")
        data[where][names[name]] = data[where][names[name]].with_value(value, key)
    return data


def _sources(data: Mapping[str, Mapping[str, Datum]]) -> tuple[str, ...]:
    """Citations of everything that the geometry was built from."""
    groups = (*data.values(), library.shape_parameters())
    return library.citations({datum.source for group in groups for datum in group.values()})


# --- stacking ---


@dataclass(frozen=True)
class Stacking:
    """How one vertebra stands on the next, in the sagittal plane.

    Parameters
    ----------
    tilt : float [rad]
        Rotation of the upper vertebra against the lower one, positive if its front is raised (extension).
    wedge : float [rad]
        Angle between the endplates, positive if the disc is higher in front.
    shift : (2,) float64 [mm]
        Position (x, z) of the upper frame's origin in the lower frame.
    middle : float [mm]
        Distance between the middles of the two rims.
    """

    tilt: float
    wedge: float
    shift: F64
    middle: float


def stack(lower: F64, upper: F64, anterior: float, posterior: float) -> Stacking:
    """Place the upper vertebra so that the disc has the given heights at the rims.

    The dorsal rims face each other across the disc's mid-plane, so that the posterior walls line up; the wedge then
    follows from the distance of the ventral rims in closed form.

    Parameters
    ----------
    lower, upper : (2, 2) float64 [mm]
        Ventral and dorsal rim point (x, z) in the midplane: superior rim of the lower vertebra in its frame, inferior
        rim of the upper vertebra in its own.
    anterior, posterior : float [mm]
        Disc heights: distances between the ventral and between the dorsal rim points.

    Raises
    ------
    UsageError
        The heights differ by more than the depth of the endplates allows.
    """
    (arm_l, arm_u), p = (lower[0] - lower[1], upper[0] - upper[1]), posterior
    d_l, d_u = math.hypot(*arm_l), math.hypot(*arm_u)
    # With s = sin(wedge / 2): ((d_u - d_l) cos)^2 + (p + (d_u + d_l) s)^2 = anterior^2.
    total, delta = d_u + d_l, d_u - d_l
    a, b, c = total**2 - delta**2, p * total, p**2 + delta**2 - anterior**2
    root = b**2 - a * c
    s = (math.sqrt(root) - b) / a if root >= 0.0 else 2.0
    if abs(s) >= math.sin(math.pi / 8.0):
        raise UsageError(f"disc heights {anterior:g} mm in front and {p:g} mm behind do not fit these endplates")
    wedge = 2.0 * math.asin(s)
    slope_l, slope_u = math.atan2(arm_l[1], arm_l[0]), math.atan2(arm_u[1], arm_u[0])
    tilt = slope_l + wedge - slope_u
    plane = slope_l + wedge / 2.0
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    shift = lower[1] + p * np.array([-math.sin(plane), math.cos(plane)]) - turn @ upper[1]
    middle = np.linalg.norm(turn @ upper.mean(axis=0) + shift - lower.mean(axis=0))
    return Stacking(tilt, wedge, shift, float(middle))


def _rim(dimensions: Mapping[str, float], side: int) -> F64:
    """Ventral and dorsal rim point (x, z) of the superior (+1) or inferior (-1) endplate, by the dimensions."""
    depth = dimensions["EPDu" if side > 0 else "EPDl"] / 2.0
    mean = (dimensions["VBHa"] + dimensions["VBHp"]) / 4.0
    rise = math.tan(half_wedge(dimensions)) * depth
    return np.array([[depth, side * (mean + rise)], [-depth, side * (mean - rise)]])


_LEAST_HOLLOW = -0.5
"""How far the crests of both rims may close the disc space beyond its middle, over the depth of both concavities: a
crest then stands half as high again above its edge as the endplate is deep."""


@dataclass(frozen=True)
class _Gap:
    """A disc before its vertebrae are built: what both must agree on.

    Parameters
    ----------
    joint : FacetJoint
    hollow : float
        What the middle height has more than the mean of the heights at the edges, over the depth of both concavities.
    """

    joint: FacetJoint
    hollow: float


def _planned(data: Mapping[str, Mapping[str, Datum]], name: str, built: bool) -> _Gap:
    """Plan a disc from the dimensions alone; beyond the library's levels the neighbour is taken as equal.

    The heights in front and behind are those between the outer edges of the endplates and fix how the vertebrae stand.
    The concavity is measured from the crest of the rim, so the middle height fixes how high the crests stand above the
    edges. Discs that are not `built` only shape the outer endplates and joints.
    """
    upper, lower = name.split("-")
    u, l = (library.plain(data[k if k in data else other]) for k, other in ((upper, lower), (lower, upper)))
    disc = library.plain(data[name])
    stacking = stack(_rim(l, 1), _rim(u, -1), disc["height_anterior"], disc["height_posterior"])
    joint = facet_joint(
        _with_facet(u),
        _with_facet(l),
        angle=disc["facet_sagittal"],
        disc_posterior=disc["height_posterior"],
        disc_wedge=stacking.wedge,
    )
    hollow = (disc["height_middle"] - stacking.middle) / sum(_concavities())
    if built and hollow < _LEAST_HOLLOW:
        raise UsageError(
            f"{name}: a middle height of {disc['height_middle']:g} mm is less than the rims allow "
            f"({stacking.middle:.1f} mm between {disc['height_anterior']:g} in front and "
            f"{disc['height_posterior']:g} behind); give all three heights"
        )
    return _Gap(joint, max(hollow, _LEAST_HOLLOW))


def _concavities() -> tuple[float, float]:
    """Published depth of the superior and of the inferior endplate below the crest of its rim [mm]."""
    general = library.plain(library.shape_parameters())
    return general["concavity_superior"], general["concavity_inferior"]


def _with_facet(dimensions: Mapping[str, float]) -> dict[str, Any]:
    """Dimensions with the inferior facet's width, height and area, the area that of an ellipse."""
    w, h = dimensions["facet_width"], dimensions["facet_height"]
    return {**dimensions, "inferior_facet_w_h_area": (w, h, math.pi / 4.0 * w * h)}


# --- vertebrae in place ---


def _vertebra(
    level: str, data: Mapping[str, Mapping[str, Datum]], gaps: Mapping[str, _Gap], refinement: int
) -> VertebraMesh:
    """Build one vertebra to fit the discs and joints on both sides."""
    at = _SPINE.index(level)
    above, below = gaps[f"{_SPINE[at - 1]}-{level}"], gaps[f"{level}-{_SPINE[at + 1]}"]
    dimensions = library.plain(data[level])
    superior, inferior = _concavities()
    shape = replace(
        shape_of(level),
        pedicle_angle=dimensions["pedicle_angle"],
        # A disc that is higher in its middle than both published depths allow makes its endplates deeper.
        concavity_superior=superior * max(1.0, above.hollow),
        concavity_inferior=inferior * max(1.0, below.hollow),
        crest_superior=superior * max(0.0, 1.0 - above.hollow),
        crest_inferior=inferior * max(0.0, 1.0 - below.hollow),
    )
    return build_vertebra(dimensions, refinement, shape, above.joint, below.joint)


def _placed(
    levels: Sequence[str], parts: Mapping[str, VertebraMesh], data: Mapping[str, Mapping[str, Datum]]
) -> dict[str, Frame]:
    """Frames of the vertebrae in the global frame, that of the middle one."""
    frames = {levels[-1]: Frame(np.zeros(3), np.eye(3))}
    for upper, lower in zip(levels[-2::-1], levels[:0:-1], strict=True):
        disc = library.plain(data[f"{upper}-{lower}"])
        floor, ceiling = _built_rim(parts[lower], 1), _built_rim(parts[upper], -1)
        stacking = stack(floor, ceiling, disc["height_anterior"], disc["height_posterior"])
        c, s = math.cos(stacking.tilt), math.sin(stacking.tilt)
        local = Frame(
            np.array([stacking.shift[0], 0.0, stacking.shift[1]]),
            np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]),
        )
        frames[upper] = _compose(frames[lower], local)
    base = frames[levels[len(levels) // 2]]
    inverse = Frame(-base.axes.T @ base.origin, base.axes.T)
    return {level: _compose(inverse, frames[level]) for level in levels}


def _built_rim(part: VertebraMesh, side: int) -> F64:
    """Ventral and dorsal rim point (x, z) of the superior (+1) or inferior (-1) endplate, on the mesh."""
    loop = part.section.boundary
    nodes = (part.superior_nodes if side > 0 else part.inferior_nodes)[loop[[0, len(loop) // 2]]]
    return np.asarray(part.mesh.points[nodes][:, [0, 2]])


def _compose(outer: Frame, inner: Frame) -> Frame:
    """Frame `inner`, given in coordinates of `outer`, in the coordinates in which `outer` is given."""
    return Frame(outer.to_global(inner.origin), outer.axes @ inner.axes)


def _value(level: str, part: VertebraMesh, frame: Frame, data: Mapping[str, Datum]) -> Vertebra:
    return Vertebra(
        level=level,
        frame=frame,
        landmarks={name: frame.to_global(point) for name, point in part.landmarks.items()},
        directions={name: frame.vector_to_global(way) for name, way in part.directions.items()},
        dimensions=library.plain(data),
    )


# --- mesh ---


def _assemble(
    levels: Sequence[str], parts: Mapping[str, VertebraMesh], frames: Mapping[str, Frame], section: Section
) -> tuple[Mesh, F64]:
    """Join vertebrae and discs in one block; return the mesh and the annulus fibres (n_cells, 2, 3)."""
    bones, offsets, _ = merge([_in_place(level, parts[level], frames[level]) for level in levels])
    conn = [np.concatenate([b.conn for b in bones.blocks])]
    points, cells = [bones.points], dict(bones.cells)
    fibres = [np.zeros((bones.n_cells, 2, 3))]
    shape = library.plain(library.shape_parameters())
    n_points, n_cells = bones.n_points, bones.n_cells
    for i, (upper, lower) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        floor = parts[lower].superior_nodes + offsets[i + 1]
        ceiling = parts[upper].inferior_nodes + offsets[i]
        disc = discs.sweep(section, bones.points[floor], bones.points[ceiling], _disc_layers(section))
        between = disc.points[1:-1].reshape(-1, 3)
        numbers = np.concatenate([floor, n_points + np.arange(len(between)), ceiling])
        conn.append(numbers[disc.conn])
        points.append(between)
        fibres.append(discs.fibre_directions(disc, section, shape["fibre_angle_ventral"], shape["fibre_angle_dorsal"]))
        for ring in range(section.n_rings + 1):
            name = f"annulus.{ring}" if ring else "nucleus"
            cells[f"{upper}-{lower}.disc.{name}"] = (n_cells + np.flatnonzero(disc.ring == ring)).astype(np.int32)
        n_points += len(between)
        n_cells += len(disc.conn)
    block = CellBlock("hex8", np.concatenate(conn).astype(np.int32))
    mesh = Mesh(np.concatenate(points), (block,), cells, bones.facets, bones.nodes)
    return mesh, np.concatenate(fibres)


def _in_place(level: str, part: VertebraMesh, frame: Frame) -> Mesh:
    """Mesh of a vertebra in global coordinates, its regions named by the level."""
    mesh = part.mesh
    named = [{f"{level}.{k}": v for k, v in table.items()} for table in (mesh.cells, mesh.facets, mesh.nodes)]
    return Mesh(frame.to_global(mesh.points), mesh.blocks, *named)


def _disc_layers(section: Section) -> int:
    """Elements over the height of a disc: 4 in coarse, 5 in middle, 8 in fine meshes."""
    return section.n_rings + 1
