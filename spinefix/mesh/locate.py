"""Where a point lies: the element that holds it and its local coordinates, or the closest point of a surface.

Elements are found through a grid of bins over their bounding boxes, so thin curved shells of elements are found as
surely as cubes (centres of elements would mislead there). The inverse of the trilinear map is found by Newton's method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from spinefix.errors import MeshError
from spinefix.jit import kernel
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.elements import ELEMENTS, gradient, shape
from spinefix.mesh.topology import facet_corners

_CODE = {"hex8": 0, "tet4": 1, "tet10": 1}
_MOST_BINS = 2_000_000


@dataclass(frozen=True, slots=True)
class Located:
    """Points in elements.

    Attributes
    ----------
    cell : (p,) int32
        Element id; -1 where no element holds the point.
    xi : (p, 3) float64 [1]
        Reference coordinates in the element (`elements`), clipped to it.
    nodes : (p, m) int32
        Nodes of the element, m the most nodes of any host kind; unused columns repeat the first node.
    weights : (p, m) float64 [1]
        Shape functions of `nodes` at the point; zero in unused columns and for points outside.
    distance : (p,) float64 [mm]
        Distance to the element; zero inside, infinite where no element is near.
    """

    cell: I32
    xi: F64
    nodes: I32
    weights: F64
    distance: F64

    @property
    def found(self) -> np.ndarray:
        """Mask of the points that lie in an element."""
        return self.cell >= 0


def locate(mesh: Mesh, ids: I32, x: F64, *, tolerance: float = 1e-6) -> Located:
    """Find the elements that hold the points `x`.

    Parameters
    ----------
    mesh : Mesh
    ids : (h,) int32
        Elements to search: hex8, tet4, or tet10 with straight edges (located by its corners).
    x : (p, 3) float64 [mm]
    tolerance : float [mm]
        Points up to this far outside an element still belong to it.

    Raises
    ------
    MeshError
        An element kind cannot be searched.
    """
    x = np.ascontiguousarray(x, np.float64).reshape(-1, 3)
    ids = np.unique(np.asarray(ids, np.int32))
    cell = np.full(len(x), -1, np.int32)
    xi = np.zeros((len(x), 3))
    distance = np.full(len(x), np.inf)
    hosts = [(block, local, ids[where]) for block, local, where in mesh.split(ids) if len(local)]
    m = max((block.conn.shape[1] for block, _, _ in hosts), default=8)
    nodes, weights = np.zeros((len(x), m), np.int32), np.zeros((len(x), m))
    for block, local, ids_here in hosts:
        if block.kind not in _CODE:
            raise MeshError(f"cannot look for points in {block.kind} elements; known: {', '.join(_CODE)}")
        code = _CODE[block.kind]
        conn = np.ascontiguousarray(block.conn[local, : 4 if code else 8])
        hit, hit_xi, hit_distance = np.full(len(x), -1, np.int32), np.zeros((len(x), 3)), np.full(len(x), np.inf)
        low, size, count, start, members = _bins(mesh.points, conn, tolerance)
        locate_points(
            mesh.points, conn, code, x, tolerance, low, size, count, start, members, hit, hit_xi, hit_distance
        )
        better = (hit >= 0) & (hit_distance < distance)
        cell[better] = ids_here[hit[better]]
        xi[better], distance[better] = hit_xi[better], hit_distance[better]
        k = block.conn.shape[1]
        nodes[better] = block.conn[local[hit[better]], :1]
        nodes[better, :k] = block.conn[local[hit[better]]]
        weights[better] = 0.0
        weights[better, :k] = shape(block.kind, xi[better])
    return Located(cell, xi, nodes, weights, distance)


@dataclass(frozen=True, slots=True)
class Projected:
    """Closest points on a surface.

    Attributes
    ----------
    facet : (p,) int32
        Row of the facet table that holds the closest point.
    nodes : (p, 4) int32
        Corner nodes of that facet; triangles repeat their last node with weight zero.
    weights : (p, 4) float64 [1]
    gradients : (p, 4, 2) float64 [1]
        Derivatives of `weights` with respect to the two facet coordinates.
    foot : (p, 3) float64 [mm]
        The closest point.
    normal : (p, 3) float64 [1]
        Unit outward normal there.
    distance : (p,) float64 [mm]
        Distance from the point to its foot, not negative.
    """

    facet: I32
    nodes: I32
    weights: F64
    gradients: F64
    foot: F64
    normal: F64
    distance: F64


def project(mesh: Mesh, facets: I32, x: F64) -> Projected:
    """Project the points `x` onto the closest point of a set of facets, taken by their corner nodes.

    Parameters
    ----------
    mesh : Mesh
    facets : (k, 2) int32
        Element id and local facet.
    x : (p, 3) float64 [mm]

    Raises
    ------
    MeshError
        There are no facets.
    """
    corners = facet_corners(mesh, facets)
    if not len(corners):
        raise MeshError("cannot project onto a surface without facets")
    x = np.ascontiguousarray(x, np.float64).reshape(-1, 3)
    facet, uv, distance = closest_facets(mesh.points, corners, x)
    nodes = corners[facet]
    weights, gradients = facet_functions(nodes, uv)
    foot = np.einsum("pm,pmi->pi", weights, mesh.points[nodes])
    tangents = np.einsum("pma,pmi->pai", gradients, mesh.points[nodes])
    normal = np.cross(tangents[:, 0], tangents[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return Projected(facet, nodes, weights, gradients, foot, normal, distance)


def closest_facets(points: F64, corners: I32, x: F64) -> tuple[I32, F64, F64]:
    """Find the closest of the facets with `corners` (f, 4) for each point x (p, 3) [mm].

    Returns
    -------
    facet : (p,) int32
    uv : (p, 2) float64
        Facet coordinates of the closest point: in [-1, 1]^2, or the unit triangle where the last corner repeats.
    distance : (p,) float64 [mm]
    """
    facet, uv, distance = np.full(len(x), -1, np.int32), np.zeros((len(x), 2)), np.full(len(x), np.inf)
    centre = points[corners].mean(axis=1)
    reach = np.linalg.norm(points[corners] - centre[:, None], axis=2).max()
    tree, todo, k = cKDTree(centre), np.arange(len(x)), min(12, len(corners))
    while len(todo):
        near, candidates = (np.asarray(a) for a in tree.query(x[todo], k=np.arange(1, k + 1)))
        sub_f, sub_uv, sub_d = np.full(len(todo), -1, np.int32), np.zeros((len(todo), 2)), np.full(len(todo), np.inf)
        project_points(points, corners, x[todo], np.ascontiguousarray(candidates, np.int32), sub_f, sub_uv, sub_d)
        facet[todo], uv[todo], distance[todo] = sub_f, sub_uv, sub_d
        if k == len(corners):
            break
        # No facet lies nearer than the distance to its centre less its radius.
        todo = todo[sub_d > near[:, -1] - reach]
        k = min(4 * k, len(corners))
    return facet, uv, distance


def facet_functions(nodes: I32, uv: F64) -> tuple[F64, F64]:
    """Shape functions (p, 4) and gradients (p, 4, 2) of quadrilaterals and triangles with a repeated last node."""
    weights, gradients = shape("quad4", uv), gradient("quad4", uv)
    triangle = nodes[:, 2] == nodes[:, 3]
    weights[triangle], gradients[triangle] = 0.0, 0.0
    weights[triangle, :3], gradients[triangle, :3] = shape("tri3", uv[triangle]), gradient("tri3", uv[triangle])
    return weights, gradients


def _bins(points: F64, conn: I32, tolerance: float) -> tuple[F64, F64, I32, I32, I32]:
    """Sort elements into the bins that their bounding boxes touch: origin, bin size, counts, start, members."""
    x = points[conn]
    low, high = x.min(axis=1) - tolerance, x.max(axis=1) + tolerance
    origin, extent = low.min(axis=0), high.max(axis=0) - low.min(axis=0)
    size = np.full(3, max((high - low).max(axis=1).mean(), 1e-300))
    size *= max(1.0, (np.prod(np.ceil(extent / size)) / _MOST_BINS) ** (1 / 3))
    count = np.maximum(np.ceil(extent / size), 1).astype(np.int32)
    first = np.minimum((low - origin) / size, count - 1).astype(np.int32)
    last = np.minimum((high - origin) / size, count - 1).astype(np.int32)
    start = np.zeros(int(np.prod(count, dtype=np.int64)) + 1, np.int32)
    count_bins(first, last, count, start)
    members = np.empty(start[-1], np.int32)
    fill_bins(first, last, count, start, members)
    return origin, size, count, start, members


# --- kernels ---

_SIGNS = np.ascontiguousarray(ELEMENTS["hex8"].nodes)


@kernel
def count_bins(first, last, count, out_start):  # type: ignore[no-untyped-def]
    """Fill the start of each bin, (bins + 1,) int32, for boxes of bins `first` to `last` (e, 3) int32."""
    for e in range(first.shape[0]):
        for i in range(first[e, 0], last[e, 0] + 1):
            for j in range(first[e, 1], last[e, 1] + 1):
                for k in range(first[e, 2], last[e, 2] + 1):
                    out_start[(i * count[1] + j) * count[2] + k + 1] += 1
    for b in range(out_start.shape[0] - 1):
        out_start[b + 1] += out_start[b]
    return 0


@kernel
def fill_bins(first, last, count, start, out_members):  # type: ignore[no-untyped-def]
    """Fill the elements of each bin, ascending."""
    fill = np.empty_like(start)
    for b in range(start.shape[0]):
        fill[b] = start[b]
    for e in range(first.shape[0]):
        for i in range(first[e, 0], last[e, 0] + 1):
            for j in range(first[e, 1], last[e, 1] + 1):
                for k in range(first[e, 2], last[e, 2] + 1):
                    b = (i * count[1] + j) * count[2] + k
                    out_members[fill[b]] = e
                    fill[b] += 1
    return 0


@kernel
def invert_hex8(points, nodes, target, out_xi):  # type: ignore[no-untyped-def]
    """Solve x(xi) = target for a trilinear hexahedron by Newton's method; 0 if it converged, else 1."""
    J = np.empty((3, 3))
    r = np.empty(3)
    out_xi[0] = out_xi[1] = out_xi[2] = 0.0
    for _ in range(40):
        for i in range(3):
            r[i] = target[i]
            for d in range(3):
                J[i, d] = 0.0
        for m in range(8):
            a = 0.5 * (1.0 + _SIGNS[m, 0] * out_xi[0])
            b = 0.5 * (1.0 + _SIGNS[m, 1] * out_xi[1])
            c = 0.5 * (1.0 + _SIGNS[m, 2] * out_xi[2])
            for i in range(3):
                p = points[nodes[m], i]
                r[i] -= a * b * c * p
                J[i, 0] += 0.5 * _SIGNS[m, 0] * b * c * p
                J[i, 1] += 0.5 * _SIGNS[m, 1] * a * c * p
                J[i, 2] += 0.5 * _SIGNS[m, 2] * a * b * p
        c00 = J[1, 1] * J[2, 2] - J[1, 2] * J[2, 1]
        c10 = J[1, 2] * J[2, 0] - J[1, 0] * J[2, 2]
        c20 = J[1, 0] * J[2, 1] - J[1, 1] * J[2, 0]
        det = J[0, 0] * c00 + J[0, 1] * c10 + J[0, 2] * c20
        if det == 0.0:
            return 1
        d0 = (
            c00 * r[0] + (J[0, 2] * J[2, 1] - J[0, 1] * J[2, 2]) * r[1] + (J[0, 1] * J[1, 2] - J[0, 2] * J[1, 1]) * r[2]
        ) / det
        d1 = (
            c10 * r[0] + (J[0, 0] * J[2, 2] - J[0, 2] * J[2, 0]) * r[1] + (J[0, 2] * J[1, 0] - J[0, 0] * J[1, 2]) * r[2]
        ) / det
        d2 = (
            c20 * r[0] + (J[0, 1] * J[2, 0] - J[0, 0] * J[2, 1]) * r[1] + (J[0, 0] * J[1, 1] - J[0, 1] * J[1, 0]) * r[2]
        ) / det
        longest = max(abs(d0), abs(d1), abs(d2))
        # Far outside, the map may fold over: shorten the step and stop wandering points.
        scale = 1.0 if longest <= 1.0 else 1.0 / longest
        out_xi[0] += scale * d0
        out_xi[1] += scale * d1
        out_xi[2] += scale * d2
        if max(abs(out_xi[0]), abs(out_xi[1]), abs(out_xi[2])) > 6.0:
            return 1
        if longest < 1e-12:
            return 0
    return 1


@kernel
def invert_tet(points, nodes, target, out_xi):  # type: ignore[no-untyped-def]
    """Barycentric coordinates of `target` in a straight tetrahedron; 0, or 1 if it is flat."""
    o = points[nodes[0]]
    a = points[nodes[1]] - o
    b = points[nodes[2]] - o
    c = points[nodes[3]] - o
    r = target - o
    det = a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    if det == 0.0:
        return 1
    out_xi[0] = (
        r[0] * (b[1] * c[2] - b[2] * c[1]) + r[1] * (b[2] * c[0] - b[0] * c[2]) + r[2] * (b[0] * c[1] - b[1] * c[0])
    ) / det
    out_xi[1] = (
        a[0] * (r[1] * c[2] - r[2] * c[1]) + a[1] * (r[2] * c[0] - r[0] * c[2]) + a[2] * (r[0] * c[1] - r[1] * c[0])
    ) / det
    out_xi[2] = (
        a[0] * (b[1] * r[2] - b[2] * r[1]) + a[1] * (b[2] * r[0] - b[0] * r[2]) + a[2] * (b[0] * r[1] - b[1] * r[0])
    ) / det
    return 0


@kernel
def clip_distance(points, nodes, code, target, xi):  # type: ignore[no-untyped-def]
    """Clip `xi` to the element (in place) and return how far the clipped point lies from `target`."""
    if code == 0:
        moved = False
        for i in range(3):
            if xi[i] < -1.0:
                xi[i] = -1.0
                moved = True
            elif xi[i] > 1.0:
                xi[i] = 1.0
                moved = True
    else:
        moved = min(xi[0], xi[1], xi[2]) < 0.0 or xi[0] + xi[1] + xi[2] > 1.0
        for i in range(3):
            xi[i] = max(xi[i], 0.0)
        total = xi[0] + xi[1] + xi[2]
        if total > 1.0:
            for i in range(3):
                xi[i] /= total
    if not moved:
        return 0.0
    square = 0.0
    for i in range(3):
        x = 0.0
        if code == 0:
            for m in range(8):
                N = 0.125 * (1.0 + _SIGNS[m, 0] * xi[0]) * (1.0 + _SIGNS[m, 1] * xi[1]) * (1.0 + _SIGNS[m, 2] * xi[2])
                x += N * points[nodes[m], i]
        else:
            x = (1.0 - xi[0] - xi[1] - xi[2]) * points[nodes[0], i]
            for m in range(3):
                x += xi[m] * points[nodes[m + 1], i]
        square += (x - target[i]) ** 2
    return np.sqrt(square)


@kernel
def locate_points(  # type: ignore[no-untyped-def]
    points, conn, code, x, tolerance, low, size, count, start, members, out_cell, out_xi, out_distance
):
    """Find for each point x (p, 3) the element of its bin that holds it; code 0 hex8, 1 tetrahedra."""
    xi = np.empty(3)
    index = np.empty(3, np.int64)
    for p in range(x.shape[0]):
        outside = False
        for i in range(3):
            position = (x[p, i] - low[i]) / size[i]
            outside = outside or not (0.0 <= position <= count[i])
            index[i] = min(int(position), count[i] - 1) if not outside else 0
        if outside:
            continue
        b = (index[0] * count[1] + index[1]) * count[2] + index[2]
        for at in range(start[b], start[b + 1]):
            e = members[at]
            near = True
            for i in range(3):
                least = points[conn[e, 0], i]
                most = least
                for m in range(1, conn.shape[1]):
                    least = min(least, points[conn[e, m], i])
                    most = max(most, points[conn[e, m], i])
                near = near and least - tolerance <= x[p, i] <= most + tolerance
            if not near:
                continue
            if code == 0:
                status = invert_hex8(points, conn[e], x[p], xi)
            else:
                status = invert_tet(points, conn[e], x[p], xi)
            if status != 0:
                continue
            distance = clip_distance(points, conn[e], code, x[p], xi)
            if distance <= tolerance and distance < out_distance[p]:
                out_cell[p] = e
                out_distance[p] = distance
                for i in range(3):
                    out_xi[p, i] = xi[i]
                if distance == 0.0:
                    break
    return 0


@kernel
def closest_on_segment(a, b, x):  # type: ignore[no-untyped-def]
    """Parameter in [0, 1] of the point of segment a-b closest to x, and the squared distance."""
    length = 0.0
    along = 0.0
    for i in range(3):
        length += (b[i] - a[i]) ** 2
        along += (b[i] - a[i]) * (x[i] - a[i])
    t = 0.0 if length == 0.0 else min(max(along / length, 0.0), 1.0)
    square = 0.0
    for i in range(3):
        square += (a[i] + t * (b[i] - a[i]) - x[i]) ** 2
    return t, square


@kernel
def closest_on_triangle(a, b, c, x, out_uv):  # type: ignore[no-untyped-def]
    """Closest point of a triangle: coordinates (u, v) and the squared distance."""
    aa = ab = bb = ra = rb = 0.0
    for i in range(3):
        p, q, r = b[i] - a[i], c[i] - a[i], x[i] - a[i]
        aa += p * p
        ab += p * q
        bb += q * q
        ra += r * p
        rb += r * q
    det = aa * bb - ab * ab
    if det > 0.0:
        u, v = (bb * ra - ab * rb) / det, (aa * rb - ab * ra) / det
        if u >= 0.0 and v >= 0.0 and u + v <= 1.0:
            square = 0.0
            for i in range(3):
                square += (a[i] + u * (b[i] - a[i]) + v * (c[i] - a[i]) - x[i]) ** 2
            out_uv[0], out_uv[1] = u, v
            return square
    t, best = closest_on_segment(a, b, x)
    out_uv[0], out_uv[1] = t, 0.0
    t, square = closest_on_segment(b, c, x)
    if square < best:
        best = square
        out_uv[0], out_uv[1] = 1.0 - t, t
    t, square = closest_on_segment(c, a, x)
    if square < best:
        best = square
        out_uv[0], out_uv[1] = 0.0, 1.0 - t
    return best


@kernel
def closest_on_quad(a, b, c, d, x, out_uv):  # type: ignore[no-untyped-def]
    """Closest point of a bilinear patch: coordinates (u, v) in [-1, 1]^2 and the squared distance.

    The inner minimum is found by Newton's method, the edges in closed form; the nearest of them counts.
    """
    u = v = 0.0
    best = np.inf
    for step in range(30):
        huu = huv = hvv = gu = gv = square = 0.0
        for i in range(3):
            s = 0.25 * (a[i] + b[i] + c[i] + d[i])
            su = 0.25 * (-a[i] + b[i] + c[i] - d[i])
            sv = 0.25 * (-a[i] - b[i] + c[i] + d[i])
            suv = 0.25 * (a[i] - b[i] + c[i] - d[i])
            r = s + u * su + v * sv + u * v * suv - x[i]
            tu, tv = su + v * suv, sv + u * suv
            square += r * r
            gu += r * tu
            gv += r * tv
            huu += tu * tu
            hvv += tv * tv
            huv += tu * tv + r * suv
        det = huu * hvv - huv * huv
        if not det > 0.0:
            break
        du, dv = (huv * gv - hvv * gu) / det, (huv * gu - huu * gv) / det
        if abs(du) + abs(dv) < 1e-12:
            if abs(u) <= 1.0 + 1e-12 and abs(v) <= 1.0 + 1e-12:
                best = square
                out_uv[0], out_uv[1] = min(max(u, -1.0), 1.0), min(max(v, -1.0), 1.0)
            break
        u = min(max(u + du, -2.0), 2.0)
        v = min(max(v + dv, -2.0), 2.0)
        if step > 5 and (abs(u) == 2.0 or abs(v) == 2.0):
            break
    t, square = closest_on_segment(a, b, x)
    if square < best:
        best = square
        out_uv[0], out_uv[1] = 2.0 * t - 1.0, -1.0
    t, square = closest_on_segment(b, c, x)
    if square < best:
        best = square
        out_uv[0], out_uv[1] = 1.0, 2.0 * t - 1.0
    t, square = closest_on_segment(c, d, x)
    if square < best:
        best = square
        out_uv[0], out_uv[1] = 1.0 - 2.0 * t, 1.0
    t, square = closest_on_segment(d, a, x)
    if square < best:
        best = square
        out_uv[0], out_uv[1] = -1.0, 1.0 - 2.0 * t
    return best


@kernel
def project_points(points, corners, x, candidates, out_facet, out_uv, out_distance):  # type: ignore[no-untyped-def]
    """Find for each point x (p, 3) the closest of its `candidates` (p, k) facets with `corners` (f, 4).

    Of facets that are equally close, as on both sides of an edge, the first candidate is taken. With candidates in
    the order of their centres' distance the choice does not hang on round-off, and is the same on a mirror image.
    """
    uv = np.empty(2)
    for p in range(x.shape[0]):
        best = np.inf
        for at in range(candidates.shape[1]):
            f = candidates[p, at]
            a, b, c = points[corners[f, 0]], points[corners[f, 1]], points[corners[f, 2]]
            if corners[f, 2] == corners[f, 3]:
                square = closest_on_triangle(a, b, c, x[p], uv)
            else:
                square = closest_on_quad(a, b, c, points[corners[f, 3]], x[p], uv)
            if square < best * (1.0 - 1e-8):
                best = square
                out_facet[p] = f
                out_uv[p, 0], out_uv[p, 1] = uv[0], uv[1]
        out_distance[p] = np.sqrt(best)
    return 0
