"""Meshes, groups and small solves of the finite-strain tests."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
from cases import CASES, directions

from spinefix.fem.finite import (
    FINITE_FORMULATIONS,
    FiniteGroup,
    FiniteState,
    assemble_finite,
    strain_energy,
)
from spinefix.fem.pattern import BlockPattern
from spinefix.materials.finite import FINITE_LAWS, parameter_rows
from spinefix.mesh.elements import EDGES, ELEMENTS
from spinefix.mesh.generate import box

ALL = [(kind, formulation) for formulation, kinds in FINITE_FORMULATIONS.items() for kind in kinds]
"""Every kind with every formulation it has."""


def mesh_of(kind, lengths=(1.0, 1.0, 1.0), divisions=(1, 1, 1)):
    """Points and connectivity of a box of any solid kind."""
    if kind in ("hex8", "tet4", "tet10"):
        mesh = box(lengths, divisions, kind=kind)
        return mesh.points.copy(), mesh.blocks[0].conn
    mesh = box(lengths, divisions)
    points, conn = mesh.points.copy(), mesh.blocks[0].conn
    if kind == "wedge6":
        return points, np.concatenate([conn[:, [0, 1, 2, 4, 5, 6]], conn[:, [0, 2, 3, 4, 6, 7]]])
    edges = np.sort(conn[:, EDGES["hex20"]], axis=2)
    unique, where = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    return np.vstack([points, points[unique].mean(axis=1)]), np.hstack([conn, len(points) + where.reshape(-1, 12)])


def distorted(kind, lengths=(1.0, 1.0, 1.0), divisions=(1, 1, 1), amount=0.1, seed=0):
    """A mesh with corner nodes moved at random and straight edges."""
    points, conn = mesh_of(kind, lengths, divisions)
    n_corner = {"hex20": 8, "tet10": 4}.get(kind, conn.shape[1])
    corners = np.unique(conn[:, :n_corner])
    points[corners] += amount * np.random.default_rng(seed).uniform(-1, 1, (len(corners), 3))
    for i, (a, b) in enumerate(EDGES[kind]) if n_corner < conn.shape[1] else ():
        points[conn[:, n_corner + i]] = (points[conn[:, a]] + points[conn[:, b]]) / 2
    return points, conn


def group(kind, formulation, conn, law="neo_hookean", parameters=None, scale=1.0, axes=None):
    n = len(conn)
    found = FINITE_LAWS[law]
    if axes is None:
        axes = directions(n) if found.axes != "none" else np.zeros((n, 0, 3))
    params = parameter_rows(found, [parameters or CASES[law]])
    scales = np.broadcast_to(scale, (n, ELEMENTS[kind].n_points))
    return FiniteGroup(kind, formulation, np.arange(n), conn, found, params, np.zeros(n, np.int32), axes, scales)


class Body:
    """One group with its pattern and state."""

    def __init__(self, points, g, threads=1):
        self.points, self.group = points, g
        self.pattern = BlockPattern.build(len(points), [g.conn], threads=threads)
        self.state = FiniteState.virgin(g)

    def __call__(self, u):
        """Tangent (csr) and internal force (n, 3)."""
        p = self.pattern
        data, force = np.full((len(p.indices), 3, 3), np.nan), np.full((p.n_blocks, 3), np.nan)
        assemble_finite(self.points, [self.group], u, [self.state], p, data, force)
        size = 3 * p.n_blocks
        return sp.csr_array(sp.bsr_array((data, p.indices, p.indptr), shape=(size, size)).tocsr()), force

    def energy(self, u):
        return strain_energy(self.points, self.group, u, self.state).sum()

    def solve(self, fixed, values, load=None, u=None, steps=1, tolerance=1e-10):
        """Newton's method with prescribed `values` where `fixed` (n, 3), reached in equal steps."""
        u = np.zeros_like(self.points) if u is None else u.copy()
        free = np.flatnonzero(~fixed.ravel())
        begin, load = u[fixed], np.zeros_like(u) if load is None else load
        for step in range(1, steps + 1):
            # The first iteration carries prescribed changes through the tangent, so that inner nodes follow.
            change = np.where(fixed, values, 0.0)
            change[fixed] = begin + (values[fixed] - begin) * step / steps - u[fixed]
            change[~fixed] = 0.0
            for _ in range(30):
                K, force = self(u)
                rhs = (load * step / steps - force).ravel()[free] - (K @ change.ravel())[free]
                size = max(np.abs(force).max(), np.abs(K.diagonal()).max() * 1e-8)
                if not change.any() and np.abs(rhs).max(initial=0.0) < tolerance * size:
                    break
                if len(free):
                    change.ravel()[free] = scipy.sparse.linalg.spsolve(K[free][:, free].tocsc(), rhs)
                u = u + change
                change[:] = 0.0
            else:
                raise AssertionError("Newton's method did not converge")
            self.state.commit()
        return u
