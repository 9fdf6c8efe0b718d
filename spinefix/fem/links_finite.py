"""Linear interfaces carried along by finite rotation: screws in bone, elastic foundations between facing surfaces.

The links of `spinefix.fem.links` are linear in displacements. Here they act in a frame that follows the best-fit
rotation of the nodes they join, so that those nodes may turn far together but move little against each other. Forces
are the exact gradient of the energy; the tangent leaves out the change of the frame, which is of the order of the
relative motion over the size of the interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array

from spinefix.errors import ConstraintError
from spinefix.fem import rotations
from spinefix.fem.couplings_finite import best_fit_motion
from spinefix.fem.items import Configuration, State, Terms
from spinefix.fem.links import Links
from spinefix.mesh.core import F64, I32


@dataclass(frozen=True)
class CorotatedLinks:
    """An item of linear links in a turning frame.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
        At rest.
    links : Links
        Their rows vanish for any small rigid motion.

    Raises
    ------
    ConstraintError
        The joined nodes lie on one line and define no rotation.
    """

    points: F64
    links: Links

    def __post_init__(self) -> None:
        X = self.points[self.nodes]
        size = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) if len(X) > 2 else np.zeros(2)
        if size[1] <= 1e-6 * size[0]:
            raise ConstraintError(f"{self.links.name}: the joined nodes lie on one line and cannot carry a frame")

    @property
    def name(self) -> str:
        """Name of the interface."""
        return self.links.name

    @cached_property
    def _blocks(self) -> I32:
        """Blocks that the rows touch."""
        return np.unique(self.links.rows.indices // 3).astype(np.int32)

    @cached_property
    def nodes(self) -> I32:
        """Joined nodes (m,)."""
        return self._blocks[self._blocks < len(self.points)]

    @cached_property
    def turning(self) -> I32:
        """Numbers (r,) of the joined rotations, counted from the first."""
        return self._blocks[self._blocks >= len(self.points)] - np.int32(len(self.points))

    def cliques(self) -> Sequence[I32]:
        """None; the tangent is loose."""
        return ()

    def start(self) -> State:
        """No history."""
        return ()

    def deformation(self, x: Configuration) -> tuple[F64, F64]:
        """Return the frame (3, 3) and the displacements and rotation vectors in it, (n_blocks, 3)."""
        X = self.points[self.nodes]
        now = X + x.u[self.nodes]
        R, _ = best_fit_motion(X, now, np.ones(len(X)))
        z = np.zeros((x.n_blocks, 3))
        z[self.nodes] = (now - now.mean(axis=0)) @ R - (X - X.mean(axis=0))
        z[len(self.points) + self.turning] = rotations.log(R.T @ x.R[self.turning])
        return R, z

    def energy(self, x: Configuration, state: State) -> float:
        """Return the stored energy [N mm]."""
        return self.links.energy(self.deformation(x)[1].ravel())

    def local_displacements(self, x: Configuration) -> F64:
        """Return displacements (n_dof,) in the frame, for the methods of `links`."""
        return np.asarray(self.deformation(x)[1].ravel())

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        R, z = self.deformation(x)
        n = len(self.points)
        theta = z[n + self.turning]
        inverse = rotations.inverse_spin_operator(theta)
        local = self.links.nodal_forces(z.ravel()).reshape(-1, 3)
        g = local[self.nodes] @ R.T
        m = np.einsum("ij,bkj,bk->bi", R, inverse, local[n + self.turning])
        out.internal[self.nodes] += g + self._from_frame(x, R, g, m)
        out.internal[n + self.turning] += m
        if out.wants_tangent:
            out.loose.append(self._tangent(R, inverse, 3 * x.n_blocks))
        return ()

    def _from_frame(self, x: Configuration, R: F64, g: F64, m: F64) -> F64:
        """Forces (m, 3) that arise because the frame turns with the nodes; they restore the balance of moments.

        The spin of the frame is ``J^-1 sum of s_a x du_a / m`` (see `DistributedLoad`), the energy changes with it by
        ``-(sum of y_a x g_a + sum of m_b)``.
        """
        X = self.points[self.nodes]
        s = (X - X.mean(axis=0)) @ R.T
        y = X + x.u[self.nodes]
        y = y - y.mean(axis=0)
        P = y.T @ s / len(X)
        P = 0.5 * (P + P.T)
        moment = np.cross(y, g).sum(axis=0) + m.sum(axis=0)
        return np.asarray(np.cross(s, np.linalg.solve(np.trace(P) * np.eye(3) - P, moment)) / len(X))

    def _tangent(self, R: F64, inverse: F64, n_dof: int) -> csr_array:
        """Stiffness of the links, turned with the frame."""
        n = len(self.points)
        blocks = np.concatenate([self.nodes, n + self.turning])
        turn = np.concatenate([np.broadcast_to(R.T, (len(self.nodes), 3, 3)), inverse @ R.T])
        row = np.broadcast_to(3 * blocks[:, None, None] + np.arange(3)[:, None], turn.shape)
        col = np.broadcast_to(3 * blocks[:, None, None] + np.arange(3), turn.shape)
        inward = csr_array(coo_array((turn.ravel(), (row.ravel(), col.ravel())), shape=(n_dof, n_dof)))
        rows = self.links.rows @ inward
        return csr_array(rows.T @ diags_array(self.links.stiffness) @ rows)
