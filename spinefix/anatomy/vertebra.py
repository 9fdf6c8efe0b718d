"""A lumbar vertebra as one structured hexahedral mesh, from its morphometry and one refinement integer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.anatomy.vertebra_arch import Plan, build_arch, measure_arch
from spinefix.anatomy.vertebra_body import Body, body_points, build_body
from spinefix.anatomy.vertebra_lattice import Lattice, lattice_of, reference_lattice, sample
from spinefix.anatomy.vertebra_section import Divisions, Section, build_section, divisions
from spinefix.anatomy.vertebra_shape import FacetJoint, ShapeParameters, checked, facet_joint
from spinefix.mesh.core import F64, I32, CellBlock, Mesh, frozen

Int = NDArray[np.intp]
Tables = dict[str, Int]


@dataclass(frozen=True)
class VertebraMesh:
    """One vertebra in its local frame: origin midway between the endplate centres, z through them, x forward, y left.

    Parameters
    ----------
    mesh : Mesh
        One hex8 block [mm]; region names without the level.
    superior_nodes, inferior_nodes : (s,) int32
        Nodes of the upper and lower endplate surface in the order of `Section` nodes.
    section : Section
    landmarks : mapping of str to (3,) float64 [mm]
    directions : mapping of str to (3,) float64, unit vectors
    """

    mesh: Mesh
    superior_nodes: I32
    inferior_nodes: I32
    section: Section
    landmarks: Mapping[str, F64]
    directions: Mapping[str, F64]


def build_vertebra(
    dimensions: Mapping[str, Any],
    n: int,
    shape: ShapeParameters | None = None,
    above: FacetJoint | None = None,
    below: FacetJoint | None = None,
) -> VertebraMesh:
    """Build a vertebra.

    Parameters
    ----------
    dimensions : mapping of str to float [mm]
        EPWu, EPDu, EPWl, EPDl, VBHp, VBHa (optional), SCW, SCD, PDW, PDH, SPL, TPW after Panjabi 1992, and optionally
        ``inferior_facet_w_h_area``. SPL is taken as the distance in the midline from the dorsal edge of the upper
        endplate to the farthest point of the spinous process; SCW and SCD are the clear opening of the canal seen
        along z; PDW and PDH are measured across the pedicle's axis at its isthmus.
    n : int
        Refinement, 2 coarse, 3 middle, 5 fine. The shape does not depend on it.
    shape : ShapeParameters, optional
        See `spinefix.anatomy.vertebra_shape.shape_of` for the defaults of a level.
    above, below : FacetJoint, optional
        Facet joints with the neighbours; by default as if the neighbour had the same dimensions.

    Raises
    ------
    MeshError
        A dimension or shape parameter is missing or out of range, or `n` is.
    """
    scalars = checked(dimensions)
    shape = shape or ShapeParameters()
    shape.check()
    own = facet_joint(dimensions, dimensions)
    key = tuple(sorted(scalars.items()))
    return _build(key, n, shape, above or own, below or own)


@dataclass(frozen=True)
class _Shape:
    """The geometry of a vertebra, free of any mesh."""

    body: Body
    plan: Plan
    arch: F64


@lru_cache(maxsize=64)
def _shape(key: tuple[tuple[str, float], ...], shape: ShapeParameters, above: FacetJoint, below: FacetJoint) -> _Shape:
    dims = dict(key)
    body = build_body(dims, shape)
    plan = Plan(dims, shape, body, above, below)
    return _Shape(body, plan, build_arch(plan))


@lru_cache(maxsize=64)
def _build(
    key: tuple[tuple[str, float], ...], n: int, shape: ShapeParameters, above: FacetJoint, below: FacetJoint
) -> VertebraMesh:
    geometry = _shape(key, shape, above, below)
    d = divisions(n)
    section = build_section(n)
    body = body_points(geometry.body, d, n)
    lattice = lattice_of(d)
    arch = sample(geometry.arch, lattice)
    topology = _topology(n)
    points = np.concatenate([body.reshape(-1, 3), _both_sides(arch)[topology.new]])
    centre = 0.5 * (geometry.body.rim_height(np.zeros(1), True)[0] - geometry.body.rim_height(np.zeros(1), True)[0])
    middle = topology.centre
    centre = 0.5 * (points[topology.superior[middle], 2] + points[topology.inferior[middle], 2])
    points[:, 2] -= centre
    mesh = Mesh(
        points,
        (CellBlock("hex8", topology.conn),),
        {k: v.astype(np.int32) for k, v in topology.cells.items()},
        {k: v.astype(np.int32) for k, v in topology.facets.items()},
        {k: v.astype(np.int32) for k, v in topology.nodes.items()},
    )
    landmarks, directions = _landmarks(geometry, points, topology, centre)
    return VertebraMesh(mesh, topology.superior, topology.inferior, section, landmarks, directions)


def measure(vertebra: VertebraMesh) -> dict[str, float]:
    """Measure the morphometry back on the mesh [mm], with the same keys as the table it was built from."""
    x = vertebra.mesh.points
    loop = vertebra.section.boundary
    upper, lower = x[vertebra.superior_nodes[loop]], x[vertebra.inferior_nodes[loop]]
    half = len(loop) // 2
    nodes = vertebra.mesh.nodes
    wall = x[nodes["posterior_wall"]]
    midline = wall[np.abs(wall[:, 1]) < 1e-9]
    roof = x[nodes["canal_roof"]]
    roof = roof[np.abs(roof[:, 1]) < 1e-9]
    isthmus = x[nodes["pedicle.isthmus.left"]]
    axis = vertebra.directions["pedicle.left.axis"]
    lateral = np.array([-axis[1], axis[0], 0.0]) / np.hypot(axis[0], axis[1])
    spinous = x[nodes["spinous.ridge"]]
    return {
        "EPWu": float(np.ptp(upper[:, 1])),
        "EPWl": float(np.ptp(lower[:, 1])),
        "EPDu": float(np.linalg.norm(upper[0] - upper[half])),
        "EPDl": float(np.linalg.norm(lower[0] - lower[half])),
        "VBHa": float(np.linalg.norm(upper[0] - lower[0])),
        "VBHp": float(np.linalg.norm(upper[half] - lower[half])),
        "SCW": 2.0 * float(x[nodes["pedicle.medial.left"], 1].min()),
        "SCD": float(midline[:, 0].min() - roof[:, 0].max()),
        "PDW": float(np.ptp(isthmus @ lateral)),
        "PDH": float(np.ptp(isthmus @ np.cross(axis, lateral))),
        "TPW": float(np.ptp(x[:, 1])),
        "SPL": float(np.linalg.norm(spinous - upper[half], axis=1).max()),
    }


# --- topology, the same for all vertebrae of one refinement ---


@dataclass(frozen=True)
class _Topology:
    """Connectivity and regions; `new` picks the arch nodes that are not nodes of the body from the full lattice."""

    conn: Int
    new: NDArray[np.bool_]
    superior: I32
    inferior: I32
    centre: int
    cells: Tables
    facets: Tables
    nodes: Tables


@lru_cache(maxsize=8)
def _topology(n: int) -> _Topology:
    d = divisions(n)
    section = build_section(n)
    lattice = lattice_of(d)
    layers = d.below + d.low + d.high + d.above + 2
    s = section.n_nodes
    body_conn = np.hstack([section.quads, section.quads + s])[None] + (np.arange(layers) * s)[:, None, None]
    ids, new = _number_arch(d, section, lattice, (layers + 1) * s)
    occupied = _mirrored(lattice.occupied_cells())
    arch_conn = _hexes(ids)[occupied.ravel()]
    conn = np.concatenate([body_conn.reshape(-1, 8), arch_conn])
    first = layers * len(section.quads)
    numbers = np.full(occupied.shape, -1)
    numbers[occupied] = first + np.arange(len(arch_conn))

    cells = {**_body_cells(d, section, layers), **_arch_cells(lattice, numbers)}
    facets = {**_body_facets(d, section, layers), **_arch_facets(lattice, numbers)}
    nodes = {**_body_nodes(d, section, layers), **_arch_nodes(lattice, ids)}
    superior = frozen(layers * s + np.arange(s), np.int32)
    inferior = frozen(np.arange(s), np.int32)
    centre = (d.flank // 2) * (2 * (d.pedicle + d.canal) + 1) + d.pedicle + d.canal
    return _Topology(conn, new, superior, inferior, centre, cells, facets, nodes)  # type: ignore[arg-type]


def _both_sides(left: F64) -> F64:
    """Mirror left-half lattice points (P, Q, R, 3) to the whole lattice (2 P - 1, Q, R, 3)."""
    middle = left[:1].copy()
    middle[..., 1] = 0.0
    return np.concatenate([left[:0:-1] * [1.0, -1.0, 1.0], middle, left[1:]])


def _mirrored(left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mirror a cell mask of the left half."""
    return np.concatenate([left[::-1], left])


def _number_arch(d: Divisions, section: Section, lattice: Lattice, first: int) -> tuple[Int, NDArray[np.bool_]]:
    """Node ids of the whole arch lattice: the pedicles' roots take body nodes, the rest new ones from `first`."""
    left = lattice.occupied_nodes()
    occupied = np.concatenate([left[:0:-1], left])
    ids = np.full(occupied.shape, -1)
    middle = lattice.shape[0] - 1
    rows = np.arange(1 + d.below, 1 + d.below + d.low + d.high + 1) * section.n_nodes
    r = lattice.nodes("low", "high")
    medial, lateral = lattice.starts["column"]
    root = section.pedicle[:, None] + rows
    ids[middle + medial : middle + lateral + 1, -1, r] = root
    ids[middle - lateral : middle - medial + 1, -1, r] = section.mirror[section.pedicle][::-1, None] + rows
    new = occupied & (ids < 0)
    ids[new] = first + np.arange(int(new.sum()))
    return ids, new


def _hexes(ids: Int) -> Int:
    """Connectivity of all lattice cells (cells, 8), in index order; x is the second index, y the first, z the third."""
    a, b = ids[:-1], ids[1:]
    corners = [a[:, :-1], a[:, 1:], b[:, 1:], b[:, :-1]]
    low = [c[..., :-1] for c in corners]
    high = [c[..., 1:] for c in corners]
    return np.stack([*low, *high], axis=-1).reshape(-1, 8)


def _body_cells(d: Divisions, section: Section, layers: int) -> Tables:
    m = len(section.quads)
    ids = np.arange(layers * m).reshape(layers, m)
    shell = section.ring == section.n_rings
    inner = ids[1:-1]
    cortical = np.broadcast_to(shell, inner.shape).copy()
    # Under the pedicles' roots the shell is open: cancellous bone runs on into the pedicle.
    c = len(section.boundary)
    roots = _root_positions(d, c)
    rows = np.arange(d.below, d.below + d.low + d.high)
    cortical[np.ix_(rows, m - c + roots)] = False
    return {
        "endplate.inferior": ids[0],
        "endplate.superior": ids[-1],
        "body.cortical": inner[cortical],
        "body.cancellous": inner[~cortical],
    }


def _root_positions(d: Divisions, c: int) -> Int:
    """Positions along the outer loop of the cells at the pedicles' roots, left then right."""
    left = c // 2 - d.canal - d.pedicle + np.arange(d.pedicle)
    return np.concatenate([left, c - 1 - left])


def _wall_positions(d: Divisions, c: int) -> Int:
    """Positions along the outer loop of the cells that face the canal."""
    return c // 2 - d.canal + np.arange(2 * d.canal)


_BOTTOM, _TOP = 0, 1
_FACET = {"bottom": (0, 3, 2, 1), "top": (4, 5, 6, 7), "front": (1, 2, 6, 5), "back": (0, 4, 7, 3)}


def _local(corners: tuple[int, ...]) -> int:
    """Number of the hex8 facet with these corners in the element catalogue."""
    from spinefix.mesh.elements import FACETS

    return next(i for i, f in enumerate(FACETS["hex8"]) if set(f) == set(corners))


def _pairs(cells: Int, corners: tuple[int, ...]) -> Int:
    flat = np.asarray(cells).ravel()
    return np.stack([flat, np.full(len(flat), _local(corners))], axis=1)


def _body_facets(d: Divisions, section: Section, layers: int) -> Tables:
    m = len(section.quads)
    ids = np.arange(layers * m).reshape(layers, m)
    wall = m - len(section.boundary) + _wall_positions(d, len(section.boundary))
    return {
        "endplate.inferior": _pairs(ids[0], (0, 1, 2, 3)),
        "endplate.superior": _pairs(ids[-1], (4, 5, 6, 7)),
        # Ring cells: corners 1 and 2 lie outside.
        "posterior_wall": _pairs(ids[:, wall], (1, 2, 6, 5)),
    }


def _body_nodes(d: Divisions, section: Section, layers: int) -> Tables:
    s = section.n_nodes
    rows = np.arange(layers + 1)[:, None] * s
    c = len(section.boundary)
    wall = section.boundary[c // 2 - d.canal : c // 2 + d.canal + 1]
    front = section.boundary[np.r_[-(d.canal) : d.canal + 1]]
    return {
        "endplate.inferior": np.arange(s),
        "endplate.superior": layers * s + np.arange(s),
        "posterior_wall": (rows + wall).ravel(),
        "anterior_wall": (rows + front).ravel(),
    }


_PARTS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "pedicle": (
        ("column", "neck", ("low", "high")),
        ("column", "root", ("low", "high")),
        ("column", "arch", ("low", "high")),
    ),
    "pars": (("column", "arch", ("pars",)),),
    "articular.superior": (("column", "arch", ("rise",)),),
    "articular.inferior": (("column", "arch", ("tip", "shelf")),),
    "transverse": (("transverse", "arch", ("low", "high")),),
    "lamina": (("lamina", "arch", ("shelf", "pars", "low")), ("base", "arch", ("shelf", "pars", "low"))),
}


def _arch_cells(lattice: Lattice, numbers: Int) -> Tables:
    middle = lattice.shape[0] - 1
    out: Tables = {}
    for side, view in (("left", numbers[middle:]), ("right", numbers[:middle][::-1])):
        for part, blocks in _PARTS.items():
            found = [view[lattice.cells(p), lattice.cells(q), lattice.cells(r)] for p, q, rows in blocks for r in rows]
            out[f"{part}.{side}"] = np.concatenate([f.ravel() for f in found])
    q = lattice.cells("spinous")
    out["spinous"] = numbers[:, q][numbers[:, q] >= 0]
    return out


def _arch_facets(lattice: Lattice, numbers: Int) -> Tables:
    """Articular surfaces: lateral side of the inferior process, medial side of the superior one."""
    middle = lattice.shape[0] - 1
    first, last = lattice.starts["column"]
    q, low = lattice.cells("arch"), slice(lattice.starts["tip"][0], lattice.starts["shelf"][1])
    up = slice(lattice.starts["high"][0], lattice.starts["rise"][1])
    to_left, to_right = (2, 3, 7, 6), (0, 1, 5, 4)
    return {
        "facet.inferior.left": _pairs(numbers[middle + last - 1, q, low], to_left),
        "facet.inferior.right": _pairs(numbers[middle - last, q, low], to_right),
        "facet.superior.left": _pairs(numbers[middle + first, q, up], to_right),
        "facet.superior.right": _pairs(numbers[middle - first - 1, q, up], to_left),
    }


def _arch_nodes(lattice: Lattice, ids: Int) -> Tables:
    middle = lattice.shape[0] - 1
    plate = lattice.nodes("shelf", "pars", "low")
    medial = lattice.starts["column"][0]
    roof = ids[middle - medial : middle + medial + 1, lattice.starts["arch"][1], plate]
    ridge = ids[middle, lattice.nodes("spinous")]
    rows = lattice.nodes("low", "high")
    isthmus = lattice.starts["root"][0]
    left = ids[middle:]
    out = {
        "canal_roof": roof.ravel(),
        "spinous.ridge": ridge[ridge >= 0],
        "spinous.superior_edge": ids[middle, lattice.nodes("spinous"), plate.stop - 1],
        "spinous.inferior_edge": ids[middle, lattice.nodes("spinous"), plate.start],
        "lamina.superior_edge": ids[middle - medial : middle + medial + 1, lattice.starts["arch"][1], plate.stop - 1],
        "lamina.inferior_edge": ids[middle - medial : middle + medial + 1, lattice.starts["arch"][1], plate.start],
    }
    for side, view in (("left", left), ("right", ids[: middle + 1][::-1])):
        out[f"pedicle.isthmus.{side}"] = view[lattice.nodes("column"), isthmus, rows].ravel()
        out[f"pedicle.medial.{side}"] = view[medial, lattice.nodes("root"), rows].ravel()
        out[f"transverse.tip.{side}"] = view[-1, lattice.nodes("arch"), rows].ravel()
    return out


# --- landmarks ---


def _landmarks(
    geometry: _Shape, points: F64, topology: _Topology, centre: float
) -> tuple[dict[str, F64], dict[str, F64]]:
    """Landmarks from the reference shape, so that they do not depend on the refinement."""
    reference = reference_lattice()
    arch = geometry.arch
    shift = np.array([0.0, 0.0, centre])
    q = reference.starts["root"][0]
    rows = reference.nodes("low", "high")
    left: dict[str, F64] = {}
    isthmus = arch[reference.nodes("column"), q, rows].reshape(-1, 3)
    left["pedicle.left.centre"] = 0.5 * (isthmus.min(axis=0) + isthmus.max(axis=0)) - shift
    axis = _axis(geometry.plan.shape)
    column = reference.nodes("column")
    back = arch[column, reference.starts["arch"][0], reference.nodes("low", "high", "rise")] - shift
    left["pedicle.left.entry"] = _pierce(left["pedicle.left.centre"], -axis, back)
    tip = arch[-1, reference.nodes("arch"), rows].reshape(-1, 3)
    left["transverse.left.tip"] = tip[np.argmax(tip[:, 1])] - shift
    medial, lateral = reference.starts["column"]
    for name, p, bands in (("superior", medial, ("high", "rise")), ("inferior", lateral, ("tip", "shelf"))):
        face = arch[p, reference.nodes("arch"), reference.nodes(*bands)]
        left[f"facet.{name}.left.centre"] = face[face.shape[0] // 2, face.shape[1] // 2] - shift
    left["mammillary.left"] = arch[lateral, reference.starts["arch"][0], reference.starts["rise"][0] + 3] - shift
    ridge = arch[0, reference.nodes("spinous")].reshape(-1, 3)
    ridge = ridge[np.isfinite(ridge[:, 0])]
    dims = geometry.plan.dimensions
    corner = np.array([-0.5 * dims["EPDu"], 0.0, 0.5 * dims["VBHp"]])
    out = {
        "endplate.superior.centre": points[topology.superior[topology.centre]],
        "endplate.inferior.centre": points[topology.inferior[topology.centre]],
        "spinous.tip": ridge[np.argmax(np.linalg.norm(ridge - corner, axis=1))] - shift,
    }
    flip = np.array([1.0, -1.0, 1.0])
    for name, point in left.items():
        out[name] = point
        out[name.replace("left", "right")] = point * flip
    return out, {"pedicle.left.axis": axis, "pedicle.right.axis": axis * flip}


def _axis(shape: ShapeParameters) -> F64:
    """Unit vector of the left pedicle's axis into the body."""
    a, s = shape.pedicle_angle, shape.pedicle_slope
    return np.array([np.cos(a) * np.cos(s), -np.sin(a) * np.cos(s), np.sin(s)])


def _pierce(origin: F64, direction: F64, surface: F64) -> F64:
    """Where a ray meets a structured surface (i, j, 3); the nearest surface point to the ray if it misses."""
    a, b, c, d = surface[:-1, :-1], surface[1:, :-1], surface[1:, 1:], surface[:-1, 1:]
    triangles = np.concatenate([np.stack(t, axis=-2).reshape(-1, 3, 3) for t in ((a, b, c), (a, c, d))])
    e1, e2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    p = np.cross(direction, e2)
    det = (e1 * p).sum(axis=1)
    s = origin - triangles[:, 0]
    u = (s * p).sum(axis=1) / det
    k = np.cross(s, e1)
    v = (k @ direction) / det
    t = (e2 * k).sum(axis=1) / det
    hit = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (t > 0)
    if hit.any():
        return np.asarray(origin + t[hit].min() * direction)
    flat = surface.reshape(-1, 3) - origin
    away = np.linalg.norm(np.cross(flat, direction), axis=1)
    return np.asarray(surface.reshape(-1, 3)[np.argmin(away)])


__all__ = ["VertebraMesh", "build_vertebra", "divisions", "facet_joint", "measure", "measure_arch", "replace"]
