"""Nested iteration: what a coarse mesh has found is where Newton's method starts on a finer one.

The coarse study costs a fraction of the fine one, whose increments then need a few iterations each. The answer is that
of the fine mesh to its own tolerance; a start that leads nowhere is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import KDTree

from spinefix.fem.items import Configuration
from spinefix.mesh.core import F64, I32, Mesh
from spinefix.mesh.locate import locate

REACH = 2.0
"""A node this far outside the coarse mesh [mm] still follows its nearest element: meshes differ on curved surfaces."""


@dataclass
class Trail:
    """Where the load cases of one arm have led on one mesh.

    Parameters
    ----------
    mesh : Mesh
    rotation_index : (n_points,) int32
    places : mapping, load case -> pseudo-time -> Configuration
    """

    mesh: Mesh
    rotation_index: I32
    places: dict[str, dict[float, Configuration]] = field(default_factory=dict)

    def onto(self, mesh: Mesh, rotation_index: I32) -> Mapping[str, Mapping[float, Configuration]]:
        """Return the same on another mesh of the same arm; empty where the meshes have too little in common."""
        try:
            carry = _Transfer(self.mesh, self.rotation_index, mesh, rotation_index)
        except LookupError:
            return {}
        return {case: {t: carry(x) for t, x in at.items()} for case, at in self.places.items()}


class _Transfer:
    """Carries displacements and rotations from a coarse to a fine mesh.

    Nodes of solids follow the coarse element of the same bone, disc or implant that holds them, or the nearest one and
    its rotation. Nodes with rotations follow the nearest such node rigidly.
    """

    def __init__(self, coarse: Mesh, coarse_index: I32, fine: Mesh, fine_index: I32) -> None:
        self._coarse, self._fine = coarse, fine
        node: list[I32] = []
        hosts: list[I32] = []
        weights: list[F64] = []
        for name in dict.fromkeys(_part(region) for region in fine.cells):
            mine = _solid_nodes(fine, name)
            ids = _solids(coarse, name)
            if not len(mine):
                continue
            if not len(ids):
                raise LookupError(name)
            found = locate(coarse, ids, fine.points[mine], tolerance=REACH)
            if not found.found.all():
                raise LookupError(name)
            node.append(mine)
            hosts.append(found.nodes[:, :8])
            weights.append(found.weights[:, :8])
        self._node, self._hosts = np.concatenate(node), np.concatenate(hosts)
        self._weights: F64 = np.concatenate(weights)
        turning, theirs = np.flatnonzero(fine_index >= 0), np.flatnonzero(coarse_index >= 0)
        if len(turning) and not len(theirs):
            raise LookupError("rotations")
        self._turning, self._row = turning, fine_index[turning]
        _, near = KDTree(coarse.points[theirs]).query(fine.points[turning]) if len(turning) else (None, turning)
        self._near = theirs[near]
        self._near_row = coarse_index[self._near]

    def __call__(self, x: Configuration) -> Configuration:
        X, Y = self._coarse.points, self._fine.points
        u, R = np.zeros_like(Y), np.tile(np.eye(3), (len(self._turning), 1, 1))
        rest, now = X[self._hosts], X[self._hosts] + x.u[self._hosts]
        at = np.einsum("pm,pmi->pi", self._weights, rest)
        to = np.einsum("pm,pmi->pi", self._weights, now)
        outside = Y[self._node] - at
        turned = np.einsum("pij,pj->pi", _rotations(rest, now), outside)
        u[self._node] = to + turned - Y[self._node]
        R[self._row] = x.R[self._near_row]
        arm = Y[self._turning] - X[self._near]
        u[self._turning] = x.u[self._near] + np.einsum("pij,pj->pi", R[self._row], arm) - arm
        return Configuration(u, R)


def _part(region: str) -> str:
    return region.partition(".")[0]


def _solids(mesh: Mesh, part: str) -> I32:
    beams = np.zeros(mesh.n_cells, bool)
    first = 0
    for block in mesh.blocks:
        beams[first : first + len(block)] = block.kind == "beam2"
        first += len(block)
    ids = [ids for name, ids in mesh.cells.items() if _part(name) == part]
    every = np.unique(np.concatenate(ids)) if ids else np.zeros(0, np.int32)
    return np.asarray(every[~beams[every]], np.int32)


def _solid_nodes(mesh: Mesh, part: str) -> I32:
    ids = _solids(mesh, part)
    return mesh.cell_nodes(ids) if len(ids) else np.zeros(0, np.int32)


def _rotations(X: F64, x: F64) -> F64:
    """Best-fit rotations (p, 3, 3) of points X -> x, each (p, m, 3)."""
    A = np.einsum("pmi,pmj->pij", x - x.mean(axis=1, keepdims=True), X - X.mean(axis=1, keepdims=True))
    U, _, Vt = np.linalg.svd(A)
    U[:, :, 2] *= np.linalg.det(U @ Vt)[:, None]
    return np.asarray(U @ Vt)
