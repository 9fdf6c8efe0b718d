"""A frame that follows the best-fit rotation of some nodes: linear parts act in it at finite rotation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spinefix.errors import ConstraintError
from spinefix.fem import rotations
from spinefix.fem.couplings_finite import best_fit_motion
from spinefix.fem.items import Configuration
from spinefix.fem.kinematics import cross_matrix
from spinefix.mesh.core import F64, I32


@dataclass(frozen=True)
class TurningFrame:
    """The frame of some blocks (displacements and rotations of nodes).

    Parameters
    ----------
    name : str
        For messages.
    points : (n, 3) float64 [mm]
        All points at rest.
    blocks : (b,) int32
        Ascending: nodes, then n + number of rotations.

    Raises
    ------
    ConstraintError
        The nodes lie on one line and define no rotation.
    """

    name: str
    points: F64
    blocks: I32

    def __post_init__(self) -> None:
        X = self.points[self.nodes]
        size = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) if len(X) > 2 else np.zeros(2)
        if size[1] <= 1e-6 * size[0]:
            raise ConstraintError(f"{self.name}: the joined nodes lie on one line and cannot carry a frame")

    @cached_property
    def nodes(self) -> I32:
        """Nodes (m,) whose displacements belong to the frame."""
        return self.blocks[self.blocks < len(self.points)]

    @cached_property
    def turning(self) -> I32:
        """Numbers (r,) of the rotations, counted from the first."""
        return self.blocks[self.blocks >= len(self.points)] - np.int32(len(self.points))

    def rotation(self, x: Configuration) -> F64:
        """Return the rotation (3, 3) of the frame."""
        X = self.points[self.nodes]
        return best_fit_motion(X, X + x.u[self.nodes], np.ones(len(X)))[0]

    def deformation(self, x: Configuration) -> tuple[F64, F64]:
        """Return the rotation (3, 3) and the displacements and rotation vectors in the frame, (b, 3) [mm, rad]."""
        X = self.points[self.nodes]
        now = X + x.u[self.nodes]
        R, _ = best_fit_motion(X, now, np.ones(len(X)))
        local = (now - now.mean(axis=0)) @ R - (X - X.mean(axis=0))
        return R, np.concatenate([local, rotations.log(R.T @ x.R[self.turning])])

    def arms(self, x: Configuration) -> F64:
        """Return the nodes (m, 3) [mm] seen from their centre."""
        y = self.points[self.nodes] + x.u[self.nodes]
        return np.asarray(y - y.mean(axis=0))

    def spin_gradient(self, x: Configuration, R: F64) -> F64:
        """Spin of the frame as a function of the nodal displacements, (3, m, 3) [1/mm].

        ``J w = sum of s_a x du_a / m`` with s the nodes at rest, turned with the frame and seen from their centre,
        ``J = tr P I - P``, ``P = sum of y_a s_a^T / m`` (see `DistributedLoad`).
        """
        X = self.points[self.nodes]
        s = (X - X.mean(axis=0)) @ R.T
        P = self.arms(x).T @ s / len(X)
        P = 0.5 * (P + P.T)
        return np.asarray(
            np.einsum("ij,ajk->iak", np.linalg.inv(np.trace(P) * np.eye(3) - P), cross_matrix(s)) / len(X)
        )
