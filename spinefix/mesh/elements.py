"""The element catalogue as tables: nodes, facets, shape functions and quadrature of each kind.

Node order is that of VTK. Reference coordinates are those of VTK shifted to symmetric intervals for hexahedra:

- ``hex8``, ``hex20``: ``[-1, 1]^3``
- ``tet4``, ``tet10``: ``r, s, t >= 0, r + s + t <= 1``
- ``wedge6``: triangle ``r, s >= 0, r + s <= 1`` times ``t`` in ``[0, 1]``
- ``beam2``: first coordinate in ``[-1, 1]``

A wedge is numbered so that its Jacobian is positive in these coordinates: the normal of nodes 0, 1, 2 by the right-hand
rule points towards nodes 3, 4, 5 (the parametric coordinates of VTK, Abaqus C3D6, Gmsh).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_HEX_CORNERS = np.array(
    [[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], float
)
_HEX_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_TET_CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
_TET_EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
_WEDGE_CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]], float)
_QUAD_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)


def _with_midpoints(corners: F64, edges: tuple[tuple[int, int], ...]) -> F64:
    return np.vstack([corners, [(corners[a] + corners[b]) / 2 for a, b in edges]])


# --- shape functions: xi (p, d) -> values (p, m) and gradients (p, m, d) ---


def _multilinear(corners: F64, xi: F64) -> tuple[F64, F64]:
    """Product of linear factors (1 + x_i x) / 2 on [-1, 1]^d."""
    factors = (1.0 + corners[None] * xi[:, None]) / 2
    gradients = np.empty((len(xi), *corners.shape))
    for d in range(corners.shape[1]):
        others = np.delete(factors, d, axis=2)
        gradients[..., d] = corners[:, d] / 2 * others.prod(axis=2)
    return factors.prod(axis=2), gradients


def _serendipity(corners: F64, edges: tuple[tuple[int, int], ...], xi: F64) -> tuple[F64, F64]:
    """Quadratic serendipity functions: midside bubbles first, corners corrected so that they vanish at midsides."""
    dim = corners.shape[1]
    linear, d_linear = _multilinear(corners, xi)
    n_corner, n = len(corners), len(corners) + len(edges)
    values, gradients = np.zeros((len(xi), n)), np.zeros((len(xi), n, dim))
    values[:, :n_corner], gradients[:, :n_corner] = linear, d_linear
    for e, (a, b) in enumerate(edges):
        middle = (corners[a] + corners[b]) / 2
        along = middle == 0.0
        factors = np.where(along, 1.0 - xi**2, (1.0 + middle * xi) / 2)
        d_factors = np.where(along, -2.0 * xi, np.broadcast_to(middle / 2, xi.shape))
        i = n_corner + e
        values[:, i] = factors.prod(axis=1)
        for d in range(dim):
            gradients[:, i, d] = d_factors[:, d] * np.delete(factors, d, axis=1).prod(axis=1)
        for corner in (a, b):
            values[:, corner] -= values[:, i] / 2
            gradients[:, corner] -= gradients[:, i] / 2
    return values, gradients


def _barycentric(xi: F64) -> tuple[F64, F64]:
    """Linear functions on the unit simplex."""
    dim = xi.shape[1]
    values = np.hstack([1.0 - xi.sum(axis=1, keepdims=True), xi])
    gradients = np.vstack([-np.ones((1, dim)), np.eye(dim)])
    return values, np.broadcast_to(gradients, (len(xi), dim + 1, dim)).copy()


def _quadratic_simplex(edges: tuple[tuple[int, int], ...], xi: F64) -> tuple[F64, F64]:
    """Quadratic functions on the unit simplex: L (2 L - 1) at corners, 4 L_a L_b at midsides."""
    L, dL = _barycentric(xi)
    a, b = np.array(edges).T
    values = np.hstack([L * (2 * L - 1), 4 * L[:, a] * L[:, b]])
    gradients = np.hstack([(4 * L - 1)[..., None] * dL, 4 * (dL[:, a] * L[:, b, None] + L[:, a, None] * dL[:, b])])
    return values, gradients


def _wedge(xi: F64) -> tuple[F64, F64]:
    """Linear triangle in (r, s) times linear line in t."""
    L, dL = _barycentric(xi[:, :2])
    low, high = 1.0 - xi[:, 2:], xi[:, 2:]
    values = np.hstack([L * low, L * high])
    in_plane = np.concatenate([dL * low[..., None], dL * high[..., None]], axis=1)
    return values, np.concatenate([in_plane, np.hstack([-L, L])[..., None]], axis=2)


def _line(xi: F64) -> tuple[F64, F64]:
    x = xi[:, :1]
    gradients = np.zeros((len(xi), 2, xi.shape[1]))
    gradients[:, :, 0] = [-0.5, 0.5]
    return np.hstack([1 - x, 1 + x]) / 2, gradients


_QUAD_EDGES = _HEX_EDGES[:4]
_TRI_EDGES = _TET_EDGES[:3]

_FUNCTIONS: dict[str, Callable[[F64], tuple[F64, F64]]] = {
    "hex8": lambda xi: _multilinear(_HEX_CORNERS, xi),
    "hex20": lambda xi: _serendipity(_HEX_CORNERS, _HEX_EDGES, xi),
    "tet4": _barycentric,
    "tet10": lambda xi: _quadratic_simplex(_TET_EDGES, xi),
    "wedge6": _wedge,
    "beam2": _line,
    "tri3": _barycentric,
    "tri6": lambda xi: _quadratic_simplex(_TRI_EDGES, xi),
    "quad4": lambda xi: _multilinear(_QUAD_CORNERS, xi),
    "quad8": lambda xi: _serendipity(_QUAD_CORNERS, _QUAD_EDGES, xi),
}

DIMENSION: dict[str, int] = {k: 2 if k.startswith(("tri", "quad")) else 3 for k in _FUNCTIONS}
"""Number of reference coordinates of each kind (facets have two)."""


def shape(kind: str, xi: F64) -> F64:
    """Return the shape functions (p, m) of `kind` at reference points `xi` (p, 3), or (p, 2) for facets."""
    return _FUNCTIONS[kind](_points(kind, xi))[0]


def gradient(kind: str, xi: F64) -> F64:
    """Return the derivatives (p, m, d) of the shape functions with respect to the reference coordinates."""
    return np.ascontiguousarray(_FUNCTIONS[kind](_points(kind, xi))[1])


def _points(kind: str, xi: F64) -> F64:
    return np.asarray(xi, np.float64).reshape(-1, DIMENSION[kind])


# --- quadrature ---

_G2 = 1.0 / np.sqrt(3.0)


def _gauss_product(n: int, dim: int) -> tuple[F64, F64]:
    x, w = np.polynomial.legendre.leggauss(n)
    points = np.array(list(product(x, repeat=dim)))
    weights = np.array([np.prod(c) for c in product(w, repeat=dim)])
    return points, weights


def _hex_corner_rule() -> tuple[F64, F64]:
    """2 x 2 x 2 Gauss points in the order of the corner nodes."""
    return _HEX_CORNERS * _G2, np.ones(8)


def _hex_irons_rule() -> tuple[F64, F64]:
    """14 points, degree 5; the eight near the corners first.

    Source: Irons BM (1971), Quadrature rules for brick based finite elements, Int J Numer Methods Eng 3:293-294.
    """
    axes = np.vstack([np.eye(3), -np.eye(3)])
    points = np.vstack([_HEX_CORNERS * np.sqrt(19 / 33), axes * np.sqrt(19 / 30)])
    return points, np.concatenate([np.full(8, 121 / 361), np.full(6, 320 / 361)])


def _tet_rule4() -> tuple[F64, F64]:
    """Four points, degree 2 (Hammer, Marlowe, Stroud 1956)."""
    b = (5 - np.sqrt(5)) / 20
    return b + (1 - 4 * b) * _TET_CORNERS, np.full(4, 1 / 24)


def _triangle_rule3() -> tuple[F64, F64]:
    """Three interior points, degree 2."""
    return np.array([[1, 1], [4, 1], [1, 4]]) / 6, np.full(3, 1 / 6)


def _triangle_rule6() -> tuple[F64, F64]:
    """Six points, degree 4 (Strang, Fix 1973); closed form of Dunavant 1985, table II."""
    points, weights = [], []
    r10 = np.sqrt(10.0)
    for sign in (1.0, -1.0):
        a = (8 - r10 + sign * np.sqrt(38 - 44 * np.sqrt(2 / 5))) / 18
        w = (620 + sign * np.sqrt(213125 - 53320 * r10)) / 7440
        points += [[a, a], [1 - 2 * a, a], [a, 1 - 2 * a]]
        weights += [w] * 3
    return np.array(points), np.array(weights)


def _wedge_rule() -> tuple[F64, F64]:
    """Three points in the triangle times two Gauss points in height, in the order of the nodes."""
    triangle, weights = _triangle_rule3()
    heights = (1 + np.array([-_G2, _G2])) / 2
    points = np.vstack([np.column_stack([triangle, np.full(3, h)]) for h in heights])
    return points, np.tile(weights, 2) / 2


# --- the catalogue ---


@dataclass(frozen=True)
class Element:
    """One kind of element or facet.

    Attributes
    ----------
    kind : str
    vtk : int
        VTK cell type.
    nodes : (m, d) float64
        Reference coordinates of the nodes.
    points, weights : (q, d), (q,) float64
        Quadrature used for stiffness and stress; sum of weights = reference volume.
    N, dN : (q, m), (q, m, d) float64
        Shape functions and their reference derivatives at the quadrature points.
    """

    kind: str
    vtk: int
    nodes: F64
    points: F64
    weights: F64
    N: F64
    dN: F64

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.nodes)

    @property
    def n_points(self) -> int:
        """Number of quadrature points."""
        return len(self.points)


def _element(kind: str, vtk: int, nodes: F64, rule: tuple[F64, F64]) -> Element:
    points, weights = rule
    arrays = [nodes, points, weights, shape(kind, points), gradient(kind, points)]
    arrays = [np.ascontiguousarray(a, np.float64) for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    return Element(kind, vtk, *arrays)


ELEMENTS: Mapping[str, Element] = {
    "hex8": _element("hex8", 12, _HEX_CORNERS, _hex_corner_rule()),
    "hex20": _element("hex20", 25, _with_midpoints(_HEX_CORNERS, _HEX_EDGES), _hex_irons_rule()),
    "tet4": _element("tet4", 10, _TET_CORNERS, (np.full((1, 3), 0.25), np.array([1 / 6]))),
    "tet10": _element("tet10", 24, _with_midpoints(_TET_CORNERS, _TET_EDGES), _tet_rule4()),
    "wedge6": _element("wedge6", 13, _WEDGE_CORNERS, _wedge_rule()),
    "beam2": _element("beam2", 3, np.array([[-1.0, 0, 0], [1, 0, 0]]), (np.zeros((1, 3)), np.array([2.0]))),
}
"""Element kinds that a mesh may hold."""

FACET_ELEMENTS: Mapping[str, Element] = {
    "tri3": _element("tri3", 5, _TET_CORNERS[:3, :2], _triangle_rule3()),
    "tri6": _element("tri6", 22, _with_midpoints(_TET_CORNERS[:3, :2], _TRI_EDGES), _triangle_rule6()),
    "quad4": _element("quad4", 9, _QUAD_CORNERS, _gauss_product(2, 2)),
    "quad8": _element("quad8", 23, _with_midpoints(_QUAD_CORNERS, _QUAD_EDGES), _gauss_product(3, 2)),
}
"""Facet kinds; by number of nodes in `FACET_KIND`."""

FACET_KIND: Mapping[int, str] = {3: "tri3", 4: "quad4", 6: "tri6", 8: "quad8"}

VTK_TYPE: Mapping[str, int] = {k: e.vtk for k, e in {**ELEMENTS, **FACET_ELEMENTS}.items()}

FACETS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "hex8": ((0, 4, 7, 3), (1, 2, 6, 5), (0, 1, 5, 4), (3, 7, 6, 2), (0, 3, 2, 1), (4, 5, 6, 7)),
    "hex20": (
        (0, 4, 7, 3, 16, 15, 19, 11),
        (1, 2, 6, 5, 9, 18, 13, 17),
        (0, 1, 5, 4, 8, 17, 12, 16),
        (3, 7, 6, 2, 19, 14, 18, 10),
        (0, 3, 2, 1, 11, 10, 9, 8),
        (4, 5, 6, 7, 12, 13, 14, 15),
    ),
    "tet4": ((0, 1, 3), (1, 2, 3), (2, 0, 3), (0, 2, 1)),
    "tet10": ((0, 1, 3, 4, 8, 7), (1, 2, 3, 5, 9, 8), (2, 0, 3, 6, 7, 9), (0, 2, 1, 6, 5, 4)),
    "wedge6": ((0, 2, 1), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)),
    "beam2": (),
}
"""Local nodes of each facet, corners first then midsides; the right-hand rule gives the outward normal."""

EDGES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "hex8": _HEX_EDGES,
    "hex20": _HEX_EDGES,
    "tet4": _TET_EDGES,
    "tet10": _TET_EDGES,
    "wedge6": ((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)),
    "beam2": ((0, 1),),
}
"""Local corner nodes of each edge; midside node i of hex20 and tet10 lies on edge i."""
