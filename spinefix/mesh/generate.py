"""Structured meshes: boxes, O-grid cylinders and tubes, beam polylines.

All generators return a `Mesh` with the cell region `name` and, on its outside, facet and node regions
``name.xmin`` ... ``name.zmax`` (boxes) or ``name.bottom``, ``name.top``, ``name.outer``, ``name.inner`` (cylinders).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MeshError
from spinefix.mesh.core import F64, I32, CellBlock, Mesh
from spinefix.mesh.elements import EDGES, FACETS

Int = NDArray[np.integer]

_BOX_SIDES = ("xmin", "xmax", "ymin", "ymax", "zmin", "zmax")  # order of the local facets of hex8

# Six tetrahedra around the diagonal 0-6 of a hexahedron (Kuhn's splitting): opposite faces get parallel diagonals, so
# neighbours in a regular grid agree.
_KUHN = np.array([[0, 1, 2, 6], [0, 2, 3, 6], [0, 3, 7, 6], [0, 7, 4, 6], [0, 4, 5, 6], [0, 5, 1, 6]])


def graded(start: float, stop: float, n: int, ratio: float = 1.0) -> F64:
    """Return n + 1 coordinates from `start` to `stop` whose last interval is `ratio` times the first.

    Parameters
    ----------
    start, stop : float [mm]
    n : int
        Number of intervals.
    ratio : float [1]
        Last interval over first interval, in geometric progression.
    """
    if n < 1 or ratio <= 0.0:
        raise MeshError(f"graded coordinates need n >= 1 and ratio > 0, got n = {n}, ratio = {ratio}")
    steps = np.geomspace(1.0, ratio, n) if n > 1 else np.ones(1)
    x = start + (stop - start) * np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    x[-1] = stop
    return np.asarray(x)


def box(
    lengths: Sequence[float],
    divisions: Sequence[int],
    *,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    kind: str = "hex8",
    name: str = "block",
) -> Mesh:
    """Return a box of equal cells; see `grid` for graded ones.

    Parameters
    ----------
    lengths : three floats [mm]
    divisions : three ints
    origin : three floats [mm]
        Corner with the least coordinates.
    kind : {"hex8", "tet4", "tet10"}
    """
    x, y, z = (graded(o, o + l, n) for o, l, n in zip(origin, lengths, divisions, strict=True))
    return grid(x, y, z, kind=kind, name=name)


def grid(x: F64, y: F64, z: F64, *, kind: str = "hex8", name: str = "block") -> Mesh:
    """Return the box spanned by three increasing coordinate vectors [mm].

    Parameters
    ----------
    x, y, z : (n + 1,) float64 [mm]
    kind : {"hex8", "tet4", "tet10"}
        Each hexahedron is split into six tetrahedra for the latter two.
    name : str
        Region name.

    Raises
    ------
    MeshError
        The kind is unknown or a vector does not increase.
    """
    axes = [np.asarray(a, np.float64) for a in (x, y, z)]
    if any(len(a) < 2 or (np.diff(a) <= 0).any() for a in axes):
        raise MeshError(f"coordinates of {name!r} must increase and have at least two entries")
    shape = tuple(len(a) for a in axes)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    ids = np.arange(len(points)).reshape(shape)
    conn = _hexes(ids)
    cell = np.arange(len(conn)).reshape(tuple(n - 1 for n in shape))
    sides = [cell[0], cell[-1], cell[:, 0], cell[:, -1], cell[:, :, 0], cell[:, :, -1]]
    facets = {
        f"{name}.{side}": np.column_stack([c.ravel(), np.full(c.size, i)])
        for i, (side, c) in enumerate(zip(_BOX_SIDES, sides, strict=True))
    }
    mesh = _with_facet_nodes(points, "hex8", conn, facets, name)
    if kind == "hex8":
        return mesh
    if kind in ("tet4", "tet10"):
        return _split_to_tets(mesh, kind, name)
    raise MeshError(f"cannot generate a box of {kind!r}; known: hex8, tet4, tet10")


def cylinder(
    radius: float,
    z: F64,
    *,
    n_core: int = 4,
    n_radial: int = 3,
    core: float = 0.5,
    name: str = "cylinder",
) -> Mesh:
    """Return a solid cylinder about the z axis as an O-grid of hexahedra.

    Parameters
    ----------
    radius : float [mm]
    z : (n + 1,) float64 [mm]
        Heights of the layers.
    n_core : int
        Divisions of one side of the core square; the circumference has four times as many.
    n_radial : int
        Rings between core and surface.
    core : float [1]
        Half diagonal of the core over the radius.
    """
    half = core * radius / np.sqrt(2.0)
    square = square_loop(half, half, n_core)
    # Bowing the core outwards keeps the corner cells of the first ring from flattening.
    bowed = 0.6 * square + 0.4 * circle_loop(core * radius, n_core)
    return extruded_ogrid([bowed, circle_loop(radius, n_core)], [n_radial], z, name=name)


def tube(inner: float, outer: float, z: F64, *, n_around: int = 16, n_radial: int = 2, name: str = "tube") -> Mesh:
    """Return a hollow cylinder about the z axis.

    Parameters
    ----------
    inner, outer : float [mm]
        Radii.
    z : (n + 1,) float64 [mm]
        Heights of the layers.
    n_around, n_radial : int
        Divisions.
    """
    if not 0.0 < inner < outer:
        raise MeshError(f"tube {name!r} needs 0 < inner < outer radius, got {inner} and {outer}")
    z = np.asarray(z, np.float64)
    angle = 2.0 * np.pi * np.arange(n_around) / n_around
    r = np.linspace(inner, outer, n_radial + 1)
    x, y = r[:, None] * np.cos(angle), r[:, None] * np.sin(angle)
    section = np.stack([x, y], axis=-1).reshape(-1, 2)
    ring = np.arange(len(section)).reshape(n_radial + 1, n_around)
    quads = _ring_quads(ring)
    return _extrude(section, quads, z, {"outer": (n_radial - 1, n_around), "inner": (0, n_around)}, 0, name)


def square_loop(half_x: float, half_y: float, n: int) -> F64:
    """Return 4 n points (4 n, 2) round a rectangle, n intervals a side, from the corner (-, -) counterclockwise."""
    t = np.linspace(-1.0, 1.0, n + 1)[:-1]
    one = np.ones(n)
    loop = np.concatenate([np.column_stack(c) for c in ((t, -one), (one, t), (-t, one), (-one, -t))])
    return loop * [half_x, half_y]


def circle_loop(radius: float, n: int) -> F64:
    """Return 4 n points (4 n, 2) round a circle that face those of `square_loop`."""
    angle = 1.25 * np.pi + 0.5 * np.pi * np.arange(4 * n) / n
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


def extruded_ogrid(
    loops: Sequence[F64],
    divisions: Sequence[int],
    z: F64,
    *,
    bias: Sequence[float] | None = None,
    name: str = "cylinder",
) -> Mesh:
    """Extrude an O-grid section along z: a core inside the first loop and rings between the loops.

    Parameters
    ----------
    loops : list of (4 n, 2) float64 [mm]
        Closed curves from the inside outwards, counterclockwise, starting at the (-, -) corner of the core.
    divisions : list of int
        Rings between successive loops, one fewer than `loops`.
    z : (n + 1,) float64 [mm]
        Heights of the layers.
    bias : list of float [1], optional
        Last over first ring thickness of each gap.

    Returns
    -------
    mesh : Mesh
        Cell regions ``name.0`` (core), ``name.1`` (between the first two loops) and so on.
    """
    loops = [np.asarray(loop, np.float64) for loop in loops]
    m = len(loops[0])
    if m % 4 or any(loop.shape != (m, 2) for loop in loops) or len(divisions) != len(loops) - 1:
        raise MeshError(f"O-grid {name!r} needs loops of equal length 4 n and one division less than loops")
    n = m // 4
    bias = [1.0] * len(divisions) if bias is None else bias
    core = _transfinite(loops[0], n)
    core_id = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    rim = np.concatenate([core_id[:-1, 0], core_id[-1, :-1], core_id[:0:-1, -1], core_id[0, :0:-1]])
    section, rings, region = [core.reshape(-1, 2)], [rim], [np.zeros(n * n, int)]
    next_id = core_id.size
    for gap, (inside, outside) in enumerate(zip(loops[:-1], loops[1:], strict=True)):
        for t in graded(0.0, 1.0, divisions[gap], bias[gap])[1:]:
            section.append((1.0 - t) * inside + t * outside)
            rings.append(np.arange(next_id, next_id + m))
            next_id += m
            region.append(np.full(m, gap + 1))
    core_quads = np.stack([core_id[:-1, :-1], core_id[1:, :-1], core_id[1:, 1:], core_id[:-1, 1:]], axis=-1)
    quads = np.concatenate([core_quads.reshape(-1, 4), _ring_quads(np.array(rings))])
    n_rings = len(rings) - 1
    if n_rings == 0:
        raise MeshError(f"O-grid {name!r} needs at least one ring round its core")
    mesh = _extrude(np.concatenate(section), quads, np.asarray(z, float), {"outer": (n_rings - 1, m)}, n * n, name)
    per_layer = np.concatenate(region)
    label = np.tile(per_layer, len(z) - 1)
    return mesh.with_regions(cells={f"{name}.{i}": _ids(np.flatnonzero(label == i)) for i in range(len(loops))})


def polyline(points: F64, size: float, *, name: str = "beam") -> Mesh:
    """Return beam2 elements along a polyline.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
        Corners; each becomes a node.
    size : float [mm]
        Greatest element length.
    """
    points = np.asarray(points, np.float64)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if len(points) < 2 or (lengths == 0.0).any() or size <= 0.0:
        raise MeshError(f"polyline {name!r} needs at least two distinct points and a positive element size")
    parts = [points[:1]]
    for a, b, length in zip(points[:-1], points[1:], lengths, strict=True):
        n = int(np.ceil(length / size - 1e-9))
        parts.append(a + (b - a) * (np.arange(1, n + 1) / n)[:, None])
    nodes = np.concatenate(parts)
    conn = np.column_stack([np.arange(len(nodes) - 1), np.arange(1, len(nodes))])
    return Mesh(nodes, (CellBlock("beam2", _ids(conn)),), {name: _ids(np.arange(len(conn)))})


# --- parts ---


def _hexes(ids: Int) -> Int:
    """Connectivity of the hexahedra of a grid of node `ids` (nx, ny, nz), in VTK order."""
    a, b = slice(None, -1), slice(1, None)
    corners = [(a, a, a), (b, a, a), (b, b, a), (a, b, a), (a, a, b), (b, a, b), (b, b, b), (a, b, b)]
    return np.stack([ids[c] for c in corners], axis=-1).reshape(-1, 8)


def _ring_quads(rings: Int) -> Int:
    """Quadrilaterals between successive closed rings of nodes (k, m), inside out, counterclockwise."""
    inner, outer = rings[:-1], rings[1:]
    quads = [inner, outer, np.roll(outer, -1, axis=1), np.roll(inner, -1, axis=1)]
    return np.stack(quads, axis=-1).reshape(-1, 4)


def _transfinite(loop: F64, n: int) -> F64:
    """Fill a closed curve of 4 n points by transfinite interpolation: (n + 1, n + 1, 2).

    Source: Gordon WJ, Hall CA (1973), Int J Numer Methods Eng 7:461-477 (bilinearly blended Coons patch).
    """
    closed = np.concatenate([loop, loop[:1]])
    south, east = closed[: n + 1], closed[n : 2 * n + 1]
    north, west = closed[2 * n : 3 * n + 1][::-1], closed[3 * n :][::-1]
    u = np.linspace(0.0, 1.0, n + 1)[:, None, None]
    v = np.linspace(0.0, 1.0, n + 1)[None, :, None]
    ruled = (1 - v) * south[:, None] + v * north[:, None] + (1 - u) * west[None] + u * east[None]
    corners = (1 - u) * ((1 - v) * south[0] + v * north[0]) + u * ((1 - v) * south[-1] + v * north[-1])
    return np.asarray(ruled - corners)


def _extrude(section: F64, quads: Int, z: F64, surfaces: Mapping[str, tuple[int, int]], n_core: int, name: str) -> Mesh:
    """Extrude quadrilaterals along z.

    `surfaces` maps a side name to (ring, m): its quadrilaterals are those of that ring of m cells after `n_core`
    core cells; a cell of a ring has its inner side on local facet 0 and its outer side on local facet 1.
    """
    n_layers, n_quads, n_section = len(z) - 1, len(quads), len(section)
    points = np.concatenate([np.column_stack([section, np.full(n_section, h)]) for h in z])
    layers = np.arange(n_layers)[:, None, None] * n_section
    conn = np.concatenate([quads + layers, quads + layers + n_section], axis=2).reshape(-1, 8)
    cell = np.arange(n_layers * n_quads).reshape(n_layers, n_quads)
    facets = {
        f"{name}.bottom": np.column_stack([cell[0], np.full(n_quads, 4)]),
        f"{name}.top": np.column_stack([cell[-1], np.full(n_quads, 5)]),
    }
    for side, (ring, m) in surfaces.items():
        hit = cell[:, n_core + ring * m : n_core + (ring + 1) * m].ravel()
        # Ring quads run inner, outer, next outer, next inner: their side 3-0 is inside, 1-2 outside.
        facets[f"{name}.{side}"] = np.column_stack([hit, np.full(hit.size, 0 if side == "inner" else 1)])
    return _with_facet_nodes(points, "hex8", conn, facets, name)


def _with_facet_nodes(points: F64, kind: str, conn: Int, facets: Mapping[str, Int], name: str) -> Mesh:
    local = np.array(FACETS[kind])
    nodes = {k: _ids(conn[f[:, 0][:, None], local[f[:, 1]]].ravel()) for k, f in facets.items()}
    sides = {k: _ids(f) for k, f in facets.items()}
    return Mesh(points, (CellBlock(kind, _ids(conn)),), {name: _ids(np.arange(len(conn)))}, sides, nodes)


def _ids(numbers: Int) -> I32:
    return np.asarray(numbers, np.int32)


def _split_to_tets(mesh: Mesh, kind: str, name: str) -> Mesh:
    hexes = mesh.blocks[0].conn
    conn = hexes[:, _KUHN].reshape(-1, 4)
    points = mesh.points
    if kind == "tet10":
        edges = np.sort(conn[:, np.array(EDGES["tet4"])], axis=2).reshape(-1, 2)
        unique, inverse = np.unique(edges, axis=0, return_inverse=True)
        middle = len(points) + inverse.reshape(len(conn), 6)
        conn = np.concatenate([conn, middle], axis=1)
        points = np.concatenate([points, points[unique].mean(axis=1)])
    facets = {}
    corners = np.array([f[:3] for f in FACETS[kind]])
    for side, ids in mesh.nodes.items():
        on_side = np.zeros(len(points), bool)
        on_side[ids] = True
        element, facet = np.nonzero(on_side[conn[:, corners]].all(axis=2))
        facets[side] = np.column_stack([element, facet])
    return _with_facet_nodes(points, kind, conn, facets, name)
