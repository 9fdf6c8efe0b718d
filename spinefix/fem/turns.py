"""How far nodes have turned, and factorizations that turn along with them.

A body that turns by Q keeps its stiffness but for the frame: K becomes Q K Q^T. A bending column is a chain of stiff
bodies that turn and soft ones that deform, so a factorization made in one configuration is still a good preconditioner
in another once it is turned node by node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.fem.items import Configuration
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

    def since(self, before: Turns) -> Turns:
        """Return the rotations that lead here from `before`."""
        return Turns(self.R @ before.R.transpose(0, 2, 1), self.free)

    def turn(self, v: F64) -> F64:
        """Return the vector (n_free,) turned along."""
        return self._times(self.R, v)

    def back(self, v: F64) -> F64:
        """Return the vector (n_free,) turned back."""
        return self._times(self.R.transpose(0, 2, 1), v)

    def _times(self, R: F64, v: F64) -> F64:
        blocks = np.zeros((len(R), 3))
        blocks.reshape(-1)[self.free] = v
        return np.asarray(np.einsum("bij,bj->bi", R, blocks).reshape(-1)[self.free])


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

    def __call__(self, x: Configuration) -> Turns:
        """Return the rotations in a configuration."""
        n = len(self._points)
        R = np.empty((x.n_blocks, 3, 3))
        neighbour_rotations(
            self._pattern.indptr, self._pattern.indices, self._weights, self._points, self._points + x.u, R
        )
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
