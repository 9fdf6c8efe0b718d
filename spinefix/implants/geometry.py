"""Rays and bone: where a straight line enters and leaves the surface of named parts of a segment."""

from __future__ import annotations

import numpy as np

from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.topology import boundary_facets, facet_corners

_ON_EDGE = 1e-9


def unit(vector: F64) -> F64:
    """Return `vector` (3,) at length one."""
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


def rotate(vector: F64, axis: F64, angle: float) -> F64:
    """Turn `vector` (3,) about the unit `axis` (3,) by `angle` [rad] (Rodrigues' formula)."""
    cross, dot = np.cross(axis, vector), float(axis @ vector)
    return np.asarray(np.cos(angle) * vector + np.sin(angle) * cross + (1 - np.cos(angle)) * dot * axis, np.float64)


def triangles(mesh: Mesh, facets: I32) -> F64:
    """Return `facets` (k, 2) as four flat triangles each round its middle, (4 k, 3, 3) [mm].

    A diagonal would be closer to one side of a warped facet, and left and right would differ.
    """
    corners = mesh.points[facet_corners(mesh, facets)]
    middle = np.broadcast_to(corners.mean(axis=1, keepdims=True), corners.shape)
    return np.asarray(np.stack([corners, np.roll(corners, -1, axis=1), middle], axis=2).reshape(-1, 3, 3), np.float64)


def surface(mesh: Mesh, *names: str) -> F64:
    """Return the closed outer surface of the cell regions `names` as triangles (t, 3, 3) [mm]."""
    return triangles(mesh, boundary_facets(mesh, mesh.select(*names)))


def along(origins: F64, direction: F64, faces: F64) -> F64:
    """Signed distances at which parallel lines meet triangles.

    Parameters
    ----------
    origins : (r, 3) float64 [mm]
    direction : (3,) float64, unit
    faces : (t, 3, 3) float64 [mm]

    Returns
    -------
    distance : (r, t) float64 [mm]
        NaN where a line misses a triangle.

    Source: Möller T, Trumbore B (1997), Fast, minimum storage ray-triangle intersection, J Graph Tools 2(1):21-28.
    """
    corner, first, second = faces[:, 0], faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0]
    p = np.cross(direction, second)
    det = np.einsum("ti,ti->t", first, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(np.abs(det) > 1e-12, 1.0 / det, np.nan)
        s = origins[:, None] - corner
        u = np.einsum("rti,ti->rt", s, p) * inverse
        q = np.cross(s, first)
        v = q @ direction * inverse
        distance = np.einsum("rti,ti->rt", q, second) * inverse
        hit = (u >= -_ON_EDGE) & (v >= -_ON_EDGE) & (u + v <= 1 + _ON_EDGE)
    return np.where(hit, distance, np.nan)


def crossings(origin: F64, direction: F64, faces: F64, *, after: float = 0.0) -> F64:
    """Sorted distances [mm] beyond `after` at which one ray crosses a surface; a shared edge counts once."""
    distance = along(np.atleast_2d(origin), direction, faces)[0]
    distance = np.sort(distance[distance > after])
    new = np.concatenate([[True], np.diff(distance) > 1e-6])[: len(distance)]
    return np.asarray(distance[new], np.float64)


def gap_between_segments(a0: F64, a1: F64, b0: F64, b1: F64) -> float:
    """Least distance [mm] between the straight segments a0-a1 and b0-b1.

    Both parameters are clamped to [0, 1] in turn; the squared distance is convex, so the alternation converges.
    """
    da, db = a1 - a0, b1 - b0
    s = t = 0.5
    for _ in range(100):
        t_new = float(np.clip((a0 + s * da - b0) @ db / (db @ db), 0.0, 1.0))
        s_new = float(np.clip((b0 + t_new * db - a0) @ da / (da @ da), 0.0, 1.0))
        if abs(s_new - s) + abs(t_new - t) < 1e-12:
            break
        s, t = s_new, t_new
    return float(np.linalg.norm(a0 + s * da - b0 - t * db))
