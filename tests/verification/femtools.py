"""Meshes and small solves shared by the verification tests."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from spinefix import materials
from spinefix.fem import linsolve
from spinefix.fem.assembly import KINDS, SolidGroup, assemble
from spinefix.mesh.elements import EDGES, ELEMENTS
from spinefix.mesh.generate import box

ALL = [(kind, formulation) for formulation, kinds in KINDS.items() for kind in kinds]
"""Every kind with every formulation it has."""


def mesh_of(kind, lengths, divisions):
    """Points and connectivity of a box of any solid kind."""
    if kind in ("hex8", "tet4", "tet10"):
        mesh = box(lengths, divisions, kind=kind)
        return mesh.points.copy(), mesh.blocks[0].conn
    mesh = box(lengths, divisions)
    points, conn = mesh.points.copy(), mesh.blocks[0].conn
    if kind == "wedge6":
        return points, np.concatenate([conn[:, [0, 1, 2, 4, 5, 6]], conn[:, [0, 2, 3, 4, 6, 7]]])
    if kind == "hex20":
        edges = np.sort(conn[:, EDGES["hex20"]], axis=2)
        unique, where = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
        middle = points[unique].mean(axis=1)
        return np.vstack([points, middle]), np.hstack([conn, len(points) + where.reshape(len(conn), 12)])
    raise KeyError(kind)


def boundary(points, tolerance=1e-9):
    """Whether each point lies on the outside of the bounding box."""
    low, high = points.min(axis=0), points.max(axis=0)
    return ((points < low + tolerance) | (points > high - tolerance)).any(axis=1)


def distort(points, conn, kind, amount, seed=0):
    """Move inner corner nodes at random; midside nodes follow, so that edges stay straight."""
    rng = np.random.default_rng(seed)
    n_corner = {"hex20": 8, "tet10": 4}.get(kind, conn.shape[1])
    corners = np.unique(conn[:, :n_corner])
    inner = corners[~boundary(points)[corners]]
    points = points.copy()
    points[inner] += amount * rng.uniform(-1, 1, (len(inner), 3))
    if n_corner < conn.shape[1]:
        for i, (a, b) in enumerate(EDGES[kind]):
            points[conn[:, n_corner + i]] = (points[conn[:, a]] + points[conn[:, b]]) / 2
    return points


def isotropic(E, nu):
    return materials.elasticity("isotropic", {"E_MPa": E, "nu": nu})


def group(kind, formulation, conn, D, scale=1.0):
    n = len(conn)
    scales = np.full((n, ELEMENTS[kind].n_points), scale)
    return SolidGroup(kind, formulation, np.arange(n), conn, D, np.zeros(n, np.int32), scales)


def stiffness(points, *groups):
    return sp.csr_array(assemble(points, groups, [], np.full(len(points), -1, np.int32)).tocsr())


def solve(K, fixed, values, load):
    """Displacements (n, 3) with prescribed `values` where `fixed` (both (n, 3))."""
    fixed, u, f = fixed.ravel(), values.ravel().copy(), load.ravel()
    free = np.flatnonzero(~fixed)
    u[free] = 0.0
    rhs = (f - K @ u)[free]
    with linsolve.factorize(K[free][:, free]) as factor:
        u[free] = factor.solve(rhs)
    return u.reshape(-1, 3)
