"""Who touches whom: boundary facets and their geometry, node-to-element tables, connected components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components as _graph_components

from spinefix.errors import MeshError
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.elements import FACET_ELEMENTS, FACETS

_CORNERS = {"hex8": 8, "hex20": 8, "tet4": 4, "tet10": 4, "wedge6": 6, "beam2": 2}


def corner_facets(kind: str) -> I32:
    """Return the corner nodes of each local facet of `kind`, (f, 4) int32; triangles repeat their last node."""
    rows = []
    for facet in FACETS[kind]:
        corners = [i for i in facet if i < _CORNERS[kind]]
        rows.append(corners + corners[-1:] * (4 - len(corners)))
    return np.array(rows, np.int32).reshape(-1, 4)


def boundary_facets(mesh: Mesh, ids: I32 | None = None) -> I32:
    """Return the facets that belong to exactly one element.

    Parameters
    ----------
    mesh : Mesh
    ids : (k,) int32, optional
        Elements to consider; all by default. The boundary of a subset includes its facets towards the rest.

    Returns
    -------
    facets : (f, 2) int32
        Element id and local facet, sorted by element.

    Raises
    ------
    MeshError
        A facet belongs to more than two elements.
    """
    pairs, corners = _all_facets(mesh, np.arange(mesh.n_cells, dtype=np.int32) if ids is None else ids)
    if not len(pairs):
        return pairs
    # Neighbours may repeat different nodes of a shared triangle: -1 stands for the missing fourth corner.
    keys = np.sort(_key(corners), axis=1)
    order = np.lexsort(keys.T)
    same = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    first = np.concatenate([[True], ~same])
    group = np.cumsum(first) - 1
    count = np.bincount(group)
    if count.max() > 2:
        element, facet = pairs[order[np.flatnonzero(count[group] > 2)[0]]]
        raise MeshError(f"facet {facet} of element {element} is shared by {count.max()} elements")
    return np.ascontiguousarray(pairs[np.sort(order[count[group] == 1])])


def facet_corners(mesh: Mesh, facets: I32) -> I32:
    """Return the corner nodes of `facets` as (k, 4) int32; triangles repeat their last node.

    Raises
    ------
    MeshError
        A local facet does not exist on its element.
    """
    facets = np.asarray(facets, np.int32).reshape(-1, 2)
    out = np.empty((len(facets), 4), np.int32)
    done = 0
    for block, local, where in mesh.split(facets[:, 0]):
        table = corner_facets(block.kind)
        side = facets[where, 1]
        if side.size and (side.min() < 0 or side.max() >= len(table)):
            raise MeshError(f"a {block.kind} element has no local facet {int(side.max())}")
        if side.size:
            out[where] = block.conn[local[:, None], table[side]]
        done += len(where)
    if done != len(facets):
        raise MeshError(f"facets refer to element {int(facets[:, 0].max())} of {mesh.n_cells}")
    return out


@dataclass(frozen=True, slots=True)
class FacetPoints:
    """Quadrature points on facets.

    Attributes
    ----------
    facet : (p,) int32
        Row in the facet table they lie on.
    nodes : (p, 4) int32
        Corner nodes of the facet; triangles repeat their last node with weight zero.
    weights : (p, 4) float64 [1]
        Shape functions of the corner nodes.
    gradients : (p, 4, 2) float64 [1]
        Their derivatives with respect to the facet coordinates.
    position, normal : (p, 3) float64 [mm], [1]
        Position and unit outward normal.
    area : (p,) float64 [mm^2]
        Area that the point stands for.
    """

    facet: I32
    nodes: I32
    weights: F64
    gradients: F64
    position: F64
    normal: F64
    area: F64


def facet_points(mesh: Mesh, facets: I32) -> FacetPoints:
    """Place quadrature points on `facets` (k, 2), by the corner nodes of each.

    Quadrilaterals carry 2 x 2 Gauss points, triangles three points (degree 2).
    """
    corners = facet_corners(mesh, facets)
    triangle = corners[:, 2] == corners[:, 3]
    parts = []
    for kind, rows in (("quad4", np.flatnonzero(~triangle)), ("tri3", np.flatnonzero(triangle))):
        element = FACET_ELEMENTS[kind]
        x = mesh.points[corners[rows, : element.n_nodes]]
        tangents = np.einsum("qma,kmi->kqai", element.dN, x)
        normal = np.cross(tangents[:, :, 0], tangents[:, :, 1])
        size = np.linalg.norm(normal, axis=2)
        weights = np.zeros((len(rows), element.n_points, 4))
        weights[:, :, : element.n_nodes] = element.N
        gradients = np.zeros((len(rows), element.n_points, 4, 2))
        gradients[:, :, : element.n_nodes] = element.dN
        parts.append(
            (
                np.repeat(rows, element.n_points),
                weights.reshape(-1, 4),
                gradients.reshape(-1, 4, 2),
                np.einsum("qm,kmi->kqi", element.N, x).reshape(-1, 3),
                (normal / size[..., None]).reshape(-1, 3),
                (size * element.weights).ravel(),
            )
        )
    facet, *arrays = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.argsort(facet, kind="stable")
    facet = facet[order].astype(np.int32)
    return FacetPoints(facet, corners[facet], *(a[order] for a in arrays))


def facet_areas(mesh: Mesh, facets: I32) -> F64:
    """Return the area of each facet, (k,) [mm^2]."""
    p = facet_points(mesh, facets)
    return np.asarray(np.bincount(p.facet, p.area, minlength=len(facets)), np.float64)


def facet_normals(mesh: Mesh, facets: I32) -> F64:
    """Return the unit outward normal of each facet, (k, 3), averaged over its area."""
    p = facet_points(mesh, facets)
    mean = np.stack([np.bincount(p.facet, p.area * p.normal[:, i], minlength=len(facets)) for i in range(3)], axis=1)
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))


def node_elements(mesh: Mesh, ids: I32 | None = None) -> csr_array:
    """Return the node-to-element table as a sparse matrix (n_points, n_cells) with the local node + 1 as entry."""
    ids = np.arange(mesh.n_cells, dtype=np.int32) if ids is None else np.asarray(ids, np.int32)
    parts = [np.zeros((3, 0), np.int32)]
    for block, inside, where in mesh.split(ids):
        m = block.conn.shape[1]
        local = np.tile(np.arange(1, m + 1, dtype=np.int32), len(inside))
        parts.append(np.stack([block.conn[inside].ravel(), np.repeat(ids[where], m), local]))
    node, element, local = np.concatenate(parts, axis=1)
    return coo_array((local, (node, element)), shape=(mesh.n_points, mesh.n_cells)).tocsr()


def connected_components(mesh: Mesh, ids: I32 | None = None) -> tuple[int, I32]:
    """Find parts that share no node.

    Parameters
    ----------
    mesh : Mesh
    ids : (k,) int32, optional
        Elements to consider; all by default.

    Returns
    -------
    count : int
    label : (k,) int32
        Part of each element, numbered by first appearance.
    """
    ids = np.arange(mesh.n_cells, dtype=np.int32) if ids is None else np.asarray(ids, np.int32)
    first = np.zeros(len(ids), np.int64)
    edges = []
    for block, inside, where in mesh.split(ids):
        conn = block.conn[inside]
        first[where] = conn[:, 0]
        edges.append(np.column_stack([np.repeat(conn[:, 0], conn.shape[1] - 1), conn[:, 1:].ravel()]))
    if not len(ids):
        return 0, np.zeros(0, np.int32)
    pairs = np.concatenate(edges)
    n = mesh.n_points
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    label = _graph_components(graph, directed=False)[1][first]
    seen, start, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(seen), np.int32)
    rank[np.argsort(start)] = np.arange(len(seen), dtype=np.int32)
    return len(seen), rank[inverse]


def _all_facets(mesh: Mesh, ids: I32) -> tuple[I32, I32]:
    """All facets of the elements `ids`: (element, local) and corner nodes, sorted by element."""
    ids = np.unique(np.asarray(ids, np.int32))
    pairs, corners = [np.zeros((0, 2), np.int32)], [np.zeros((0, 4), np.int32)]
    for block, local, where in mesh.split(ids):
        table = corner_facets(block.kind)
        n = len(table)
        element = np.repeat(ids[where], n)
        pairs.append(np.column_stack([element, np.tile(np.arange(n, dtype=np.int32), len(local))]))
        corners.append(block.conn[local][:, table].reshape(-1, 4))
    return np.concatenate(pairs), np.concatenate(corners)


def _key(corners: I32) -> I32:
    key = corners.copy()
    key[corners[:, 2] == corners[:, 3], 3] = -1
    return key
