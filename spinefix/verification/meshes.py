"""Small meshes of every solid kind, their quadrature, and consistent loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import roots_jacobi

from spinefix.mesh.core import F64, I32, Bool
from spinefix.mesh.elements import EDGES, ELEMENTS, FACET_ELEMENTS, FACET_KIND, FACETS, gradient, shape
from spinefix.mesh.generate import box

CORNERS = {"hex8": 8, "hex20": 8, "tet4": 4, "tet10": 4, "wedge6": 6}
"""Corner nodes of each solid kind."""

ORDER = {"hex8": 1, "hex20": 2, "tet4": 1, "tet10": 2, "wedge6": 1}
"""Degree of the complete polynomials that each solid kind holds."""


def solid_box(
    kind: str, lengths: Sequence[float] = (1.0, 1.0, 1.0), divisions: Sequence[int] = (1, 1, 1)
) -> tuple[F64, I32]:
    """Return points (n, 3) [mm] and connectivity of a box from the origin, of any solid kind."""
    mesh = box(lengths, divisions, kind=kind if kind in ("tet4", "tet10") else "hex8")
    points, conn = mesh.points.copy(), mesh.blocks[0].conn
    if kind == "wedge6":
        return points, np.concatenate([conn[:, [0, 1, 2, 4, 5, 6]], conn[:, [0, 2, 3, 4, 6, 7]]])
    if kind == "hex20":
        edges = np.sort(conn[:, EDGES["hex20"]], axis=2)
        unique, where = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
        middle = np.asarray(len(points) + where.reshape(-1, 12), np.int32)
        return np.vstack([points, points[unique].mean(axis=1)]), np.hstack([conn, middle])
    return points, conn


def on_boundary(points: F64, tolerance: float = 1e-9) -> Bool:
    """Return whether each point lies on the outside of the bounding box."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray(((points < low + tolerance) | (points > high - tolerance)).any(axis=1))


def roughened(points: F64, conn: I32, kind: str, amount: float, *, inside: bool = False, seed: int = 0) -> F64:
    """Return points with corner nodes moved at random; midside nodes follow, so that edges stay straight.

    Parameters
    ----------
    amount : float [mm]
        Greatest change of a coordinate.
    inside : bool
        Move inner corners only.
    """
    corners = np.unique(conn[:, : CORNERS[kind]])
    if inside:
        corners = corners[~on_boundary(points)[corners]]
    points = points.copy()
    points[corners] += amount * np.random.default_rng(seed).uniform(-1, 1, (len(corners), 3))
    for i, (a, b) in enumerate(EDGES[kind]) if conn.shape[1] > CORNERS[kind] else ():
        points[conn[:, CORNERS[kind] + i]] = (points[conn[:, a]] + points[conn[:, b]]) / 2
    return points


def distorted(
    kind: str,
    lengths: Sequence[float] = (1.0, 1.0, 1.0),
    divisions: Sequence[int] = (1, 1, 1),
    amount: float = 0.1,
    seed: int = 0,
) -> tuple[F64, I32]:
    """Return a box with all corner nodes moved at random."""
    points, conn = solid_box(kind, lengths, divisions)
    return roughened(points, conn, kind, amount, seed=seed), conn


def quarter_ring(
    kind: str, inner: float, outer: float, divisions: Sequence[int], height: float = 1.0
) -> tuple[F64, I32, F64]:
    """Return a quarter of a tube about z: points, connectivity and the radius (n,) of each point; arcs are curved."""
    points, conn = solid_box(kind, (1.0, 1.0, height), divisions)
    radius, angle = inner + (outer - inner) * points[:, 0], np.pi / 2 * points[:, 1]
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), points[:, 2]]), conn, radius


def fine_rule(kind: str, n: int = 4) -> tuple[F64, F64]:
    """Return quadrature points and weights of degree 2 n - 1, so that errors are not sampled at special points.

    Simplices: products of Gauss-Jacobi rules after the transformation that collapses a cube to a corner (Stroud AH
    (1971), Approximate calculation of multiple integrals, Prentice-Hall, section 2.4).
    """
    x, w = np.polynomial.legendre.leggauss(n)
    if kind in ("hex8", "hex20"):
        grid = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)
        return grid, np.einsum("i,j,k->ijk", w, w, w).ravel()
    one, w_one = _unit_jacobi(n, 0)
    two, w_two = _unit_jacobi(n, 1)
    three, w_three = _unit_jacobi(n, 2)
    if kind == "wedge6":
        a, b, c = (v.ravel() for v in np.meshgrid(two, one, one, indexing="ij"))
        return np.column_stack([a, b * (1 - a), c]), np.einsum("i,j,k->ijk", w_two, w_one, w_one).ravel()
    a, b, c = (v.ravel() for v in np.meshgrid(three, two, one, indexing="ij"))
    points = np.column_stack([a, b * (1 - a), c * (1 - a) * (1 - b)])
    return points, np.einsum("i,j,k->ijk", w_three, w_two, w_one).ravel()


def _unit_jacobi(n: int, power: int) -> tuple[F64, F64]:
    """Gauss rule on [0, 1] for the weight (1 - x)^power."""
    x, w = roots_jacobi(n, power, 0.0)
    return (1 + x) / 2, w / 2 ** (power + 1)


def interpolated(points: F64, conn: I32, kind: str, u: F64, rule: tuple[F64, F64]) -> tuple[F64, F64, F64, F64]:
    """Return position x (e, q, 3), volume (e, q), u (e, q, 3) and its gradient (e, q, 3, 3) at the points of a rule."""
    N, dN = shape(kind, rule[0]), gradient(kind, rule[0])
    J = np.einsum("qmd,emi->eqid", dN, points[conn])
    slope = np.einsum("qmd,emi->eqid", dN, u[conn]) @ np.linalg.inv(J)
    volume = np.linalg.det(J) * rule[1]
    x, value = (np.einsum("qm,emi->eqi", N, v[conn]) for v in (points, u))
    return np.asarray(x), np.asarray(volume), np.asarray(value), np.asarray(slope)


def body_load(points: F64, conn: I32, kind: str, density: Callable[[F64], F64]) -> F64:
    """Return the nodal forces (n, 3) [N] of a body force; `density` maps x (e, q, 3) to forces (e, q, 3) [N/mm^3]."""
    rule = ELEMENTS[kind].points, ELEMENTS[kind].weights
    x, volume, _, _ = interpolated(points, conn, kind, points, rule)
    load = np.zeros_like(points)
    np.add.at(load, conn, np.einsum("eq,qm,eqi->emi", volume, shape(kind, rule[0]), density(x)))
    return load


def face_load(points: F64, conn: I32, kind: str, on_face: Bool, traction: Callable[[F64], F64]) -> F64:
    """Return the nodal forces (n, 3) [N] of a traction on the facets whose nodes are all `on_face`.

    Parameters
    ----------
    traction : callable
        Maps x (e, q, 3) to tractions (e, q, 3) [MPa].
    """
    load = np.zeros_like(points)
    for local in FACETS[kind]:
        facet = FACET_ELEMENTS[FACET_KIND[len(local)]]
        nodes = conn[:, list(local)]
        nodes = nodes[on_face[nodes].all(axis=1)]
        X = points[nodes]
        t = np.einsum("qmd,emi->eqdi", facet.dN, X)
        area = np.linalg.norm(np.cross(t[:, :, 0], t[:, :, 1]), axis=-1) * facet.weights
        x = np.einsum("qm,emi->eqi", facet.N, X)
        np.add.at(load, nodes, np.einsum("eq,qm,eqi->emi", area, facet.N, traction(x)))
    return load
