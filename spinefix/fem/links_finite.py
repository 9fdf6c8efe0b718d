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

from spinefix.fem import rotations
from spinefix.fem.items import Configuration, State, Terms
from spinefix.fem.links import Links
from spinefix.fem.turning_frame import TurningFrame
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
        _ = self.frame

    @property
    def name(self) -> str:
        """Name of the interface."""
        return self.links.name

    @cached_property
    def frame(self) -> TurningFrame:
        """The frame of the blocks that the rows touch."""
        return TurningFrame(self.name, self.points, np.unique(self.links.rows.indices // 3).astype(np.int32))

    def cliques(self) -> Sequence[I32]:
        """None; the tangent is loose."""
        return ()

    def start(self) -> State:
        """No history."""
        return ()

    def energy(self, x: Configuration, state: State) -> float:
        """Return the stored energy [N mm]."""
        return self.links.energy(self.local_displacements(x))

    def local_displacements(self, x: Configuration) -> F64:
        """Return displacements (n_dof,) in the frame, for the methods of `links`."""
        return self._local(x)[1]

    def _local(self, x: Configuration) -> tuple[F64, F64]:
        R, local = self.frame.deformation(x)
        z = np.zeros((x.n_blocks, 3))
        z[self.frame.blocks] = local
        return R, z.ravel()

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        frame = self.frame
        R, z = self._local(x)
        turning = len(self.points) + frame.turning
        inverse = rotations.inverse_spin_operator(z.reshape(-1, 3)[turning])
        local = self.links.nodal_forces(z).reshape(-1, 3)
        g = local[frame.nodes] @ R.T
        m = np.einsum("ij,bkj,bk->bi", R, inverse, local[turning])
        # Forces that arise because the frame turns with the nodes; they restore the balance of moments.
        moment = np.cross(frame.arms(x), g).sum(axis=0) + m.sum(axis=0)
        out.internal[frame.nodes] += g - np.einsum("iak,i->ak", frame.spin_gradient(x, R), moment)
        out.internal[turning] += m
        if out.wants_tangent:
            out.loose.append(self._tangent(R, inverse, 3 * x.n_blocks))
        return ()

    def _tangent(self, R: F64, inverse: F64, n_dof: int) -> csr_array:
        """Stiffness of the links, turned with the frame."""
        blocks = self.frame.blocks
        turn = np.concatenate([np.broadcast_to(R.T, (len(self.frame.nodes), 3, 3)), inverse @ R.T])
        row = np.broadcast_to(3 * blocks[:, None, None] + np.arange(3)[:, None], turn.shape)
        col = np.broadcast_to(3 * blocks[:, None, None] + np.arange(3), turn.shape)
        inward = csr_array(coo_array((turn.ravel(), (row.ravel(), col.ravel())), shape=(n_dof, n_dof)))
        rows = self.links.rows @ inward
        return csr_array(rows.T @ diags_array(self.links.stiffness) @ rows)
