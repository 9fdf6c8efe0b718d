"""How far nodes have turned, and factorizations that turn along with them.

A body that turns by Q keeps its stiffness but for the frame: K becomes Q K Q^T. A bending column is a chain of stiff
bodies that turn and soft ones that deform, so a factorization made in one configuration is still a good preconditioner
in another once it is turned node by node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from spinefix.fem.items import Configuration, DensePart
from spinefix.fem.kernels_corotational import polar_rotation
from spinefix.fem.kernels_solid import _invert
from spinefix.fem.pattern import BlockPattern
from spinefix.jit import kernel

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Turns:
    """Rotation of each block of dofs since rest.

    Parameters
    ----------
    R : (n_blocks, 3, 3) float64
        The identity where a support holds some dofs of a block.
    free : (n_free,) int32
        Numbers of the free dofs.
    """

    R: F64
    free: I32

    @classmethod
    def none(cls, n_blocks: int, free: I32) -> Turns:
        """Return the turns of the configuration at rest."""
        return cls(np.broadcast_to(np.eye(3), (n_blocks, 3, 3)), free)

    def since(self, before: Turns) -> Turns:
        """Return the rotations that lead here from `before`."""
        return Turns(self.R @ before.R.transpose(0, 2, 1), self.free)

    def turn(self, v: F64) -> F64:
        """Return the vector (n_free,) turned along."""
        return self._times(v, along=True)

    def back(self, v: F64) -> F64:
        """Return the vector (n_free,) turned back."""
        return self._times(v, along=False)

    def _times(self, v: F64, *, along: bool) -> F64:
        out = np.empty(len(v))
        turn_vector(self.R, self._place, np.ascontiguousarray(v), along, out)
        return out

    @cached_property
    def _place(self) -> I32:
        """Blocks that have free dofs and where these stand (k, 4), -1 for those that are held."""
        blocks, inverse = np.unique(self.free // 3, return_inverse=True)
        place = np.full((len(blocks), 4), -1, np.int32)
        place[:, 0] = blocks
        place[inverse, 1 + self.free % 3] = np.arange(len(self.free))
        return place

    def matrix(self) -> csr_array:
        """Return the rotations as an orthogonal matrix (n_free, n_free)."""
        place = self._place
        whole = (place[:, 1:] >= 0).all(axis=1)
        rest = place[~whole, 1:]
        rest = rest[rest >= 0]
        at = place[whole, 1:]
        shape = (len(at), 3, 3)
        row, col = np.broadcast_to(at[:, :, None], shape).ravel(), np.broadcast_to(at[:, None, :], shape).ravel()
        values = np.concatenate([self.R[place[whole, 0]].ravel(), np.ones(len(rest))])
        n = len(self.free)
        return csr_array((values, (np.concatenate([row, rest]), np.concatenate([col, rest]))), shape=(n, n))


class TurnMeter:
    """Tells how far nodes have turned.

    Nodes with rotations say so themselves. Of the others it is the rotation in the deformation gradient that fits the
    motion of the neighbours best, weighted by the stiffness that joins them: at the border of a bone it is the bone's.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    rotation_index : (n,) int32
    free : (n_free,) int32
    pattern : BlockPattern
    data : (nb, 3, 3) float64 [N/mm]
        A tangent; its blocks give the weights.
    """

    def __init__(self, points: F64, rotation_index: I32, free: I32, pattern: BlockPattern, data: F64) -> None:
        self._points, self._index = np.array(points), np.asarray(rotation_index)
        self._free, self._pattern = free, pattern
        self._weights = np.sqrt(np.einsum("nij,nij->n", data, data))
        held = np.ones(3 * pattern.n_blocks, bool)
        held[free] = False
        self._held = held.reshape(-1, 3).any(axis=1)

    def __call__(self, x: Configuration, parts: Sequence[DensePart] = ()) -> Turns:
        """Return the rotations in a configuration, those of nodes in dense parts from their frames."""
        n = len(self._points)
        R = np.empty((x.n_blocks, 3, 3))
        neighbour_rotations(
            self._pattern.indptr, self._pattern.indices, self._weights, self._points, self._points + x.u, R
        )
        for part in parts:
            R[part.blocks] = part.R
        turning = np.flatnonzero(self._index >= 0)
        R[turning] = x.R[self._index[turning]]
        R[n:] = x.R
        R[self._held] = np.eye(3)
        return Turns(R, self._free)


@kernel
def neighbour_rotations(indptr: Any, indices: Any, weight: Any, rest: Any, now: Any, out_R: Any) -> None:
    """Best-fit rotation out_R (n, 3, 3) of the neighbours of n nodes; the identity where they do not span space.

    indptr, indices the block pattern; weight (nb,); rest, now (n, 3) positions [mm].
    """
    n = rest.shape[0]
    A, B, inv = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    for i in range(n):
        for r in range(3):
            for c in range(3):
                A[r, c] = 0.0
                B[r, c] = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if j >= n:
                continue
            for c in range(3):
                X = weight[k] * (rest[j, c] - rest[i, c])
                for r in range(3):
                    A[r, c] += (now[j, r] - now[i, r]) * X
                    B[r, c] += (rest[j, r] - rest[i, r]) * X
        size = (B[0, 0] + B[1, 1] + B[2, 2]) / 3.0
        spans = _invert(B, inv) > 1e-6 * size * size * size
        if spans:
            for r in range(3):
                for c in range(3):
                    B[r, c] = A[r, 0] * inv[0, c] + A[r, 1] * inv[1, c] + A[r, 2] * inv[2, c]
            spans = polar_rotation(B, inv, out_R[i]) == 0
        if not spans:
            for r in range(3):
                for c in range(3):
                    out_R[i, r, c] = 1.0 if r == c else 0.0


@kernel
def turn_vector(R: Any, place: Any, v: Any, along: Any, out_v: Any) -> None:
    """Vector v (n,) with each block turned by R (n_blocks, 3, 3) or its transpose.

    place (k, 4): block and the places of its three components in v, -1 where held; such blocks stay as they are.
    """
    for k in range(place.shape[0]):
        Q = R[place[k, 0]]
        a, b, c = place[k, 1], place[k, 2], place[k, 3]
        if a < 0 or b < 0 or c < 0:
            for i in range(1, 4):
                if place[k, i] >= 0:
                    out_v[place[k, i]] = v[place[k, i]]
        elif along:
            for i in range(3):
                out_v[place[k, 1 + i]] = Q[i, 0] * v[a] + Q[i, 1] * v[b] + Q[i, 2] * v[c]
        else:
            for i in range(3):
                out_v[place[k, 1 + i]] = Q[0, i] * v[a] + Q[1, i] * v[b] + Q[2, i] * v[c]
