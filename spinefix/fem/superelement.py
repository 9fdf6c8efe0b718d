"""Linear parts condensed to the blocks where others touch them, at finite rotation.

A vertebra is linear but for its rotation. Its stiffness is condensed once (static condensation, Guyan RJ 1965, AIAA J
3:380) and acts in a frame that follows the best-fit rotation of the blocks that are kept. Newton's method then works on
discs, joints and interfaces only; what is inside is found afterwards.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from spinefix.fem import linsolve, rotations
from spinefix.fem.items import Configuration, State, Terms
from spinefix.fem.kernels_pattern import scatter_blocks
from spinefix.fem.kinematics import cross_matrix
from spinefix.fem.turning_frame import TurningFrame
from spinefix.mesh.core import F64, I32

CHUNK = 192
"""Columns that are condensed at a time; bounds the memory."""

KEEP = 24
"""Condensed parts that are remembered: arms of a study share most vertebrae."""


@dataclass(frozen=True)
class Condensed:
    """A stiffness matrix without its inside.

    Attributes
    ----------
    stiffness : (k, k) float64 [N/mm, N, N mm]
        Of the kept dofs, symmetric.
    inward : (i, k) float32
        Inside displacements for given kept ones. (Single precision: it serves recovery only, never the balance.)
    """

    stiffness: F64
    inward: np.ndarray


_known: OrderedDict[str, Condensed] = OrderedDict()
_lock = threading.Lock()


def condense(K: csr_array, kept: I32, inside: I32, solver: str = "auto") -> Condensed:
    """Eliminate the `inside` dofs of a symmetric matrix K; results are remembered for equal matrices.

    Raises
    ------
    NotPositiveDefinite
        The inside is not held by the kept dofs.
    """
    Kii, Kik, Kkk = K[inside][:, inside], K[inside][:, kept], K[kept][:, kept]
    key = hashlib.blake2b(digest_size=16)
    for a in (Kii.data, Kii.indices, Kik.data, Kik.indices, Kkk.data, Kkk.indices):
        key.update(np.ascontiguousarray(a).tobytes())
    name = f"{key.hexdigest()} {len(inside)} {len(kept)}"
    with _lock:
        if name in _known:
            _known.move_to_end(name)
            return _known[name]
    found = _condense(csr_array(Kii), csr_array(Kik), csr_array(Kkk), solver)
    with _lock:
        _known[name] = found
        while len(_known) > KEEP:
            _known.popitem(last=False)
    return found


def _condense(Kii: csr_array, Kik: csr_array, Kkk: csr_array, solver: str) -> Condensed:
    S = Kkk.toarray()
    inward = np.empty(Kik.shape, np.float32)
    if Kii.shape[0]:
        Kki = csr_array(Kik.T)
        with linsolve.factorize(Kii, solver) as factor:
            for first in range(0, Kik.shape[1], CHUNK):
                part = slice(first, min(first + CHUNK, Kik.shape[1]))
                X = factor.apply(Kik[:, part].toarray())
                S[:, part] -= Kki @ X
                inward[:, part] = -X
    return Condensed(0.5 * (S + S.T), inward)


@dataclass(frozen=True)
class Superelement:
    """An item: a condensed part at finite rotation.

    Parameters
    ----------
    name : str
    frame : TurningFrame
        Of the kept blocks.
    part : Condensed
        Kept dofs in the order of the blocks.
    inside : (i,) int32
        Blocks that were eliminated, ascending.
    """

    name: str
    frame: TurningFrame
    part: Condensed
    inside: I32

    def cliques(self) -> Sequence[I32]:
        """All kept blocks."""
        return (self.frame.blocks[None],)

    def start(self) -> State:
        """No history."""
        return ()

    def energy(self, x: Configuration, state: State) -> float:
        """Return the stored energy [N mm]."""
        z = self.frame.deformation(x)[1].ravel()
        return float(0.5 * z @ self.part.stiffness @ z)

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        frame = self.frame
        R, z = frame.deformation(x)
        m = len(frame.nodes)
        inverse = rotations.inverse_spin_operator(z[m:])
        local = (self.part.stiffness @ z.ravel()).reshape(-1, 3)
        force = np.concatenate([local[:m] @ R.T, np.einsum("ij,bkj,bk->bi", R, inverse, local[m:])])
        arms, G = frame.arms(x), frame.spin_gradient(x, R)
        moment = np.cross(arms, force[:m]).sum(axis=0) + force[m:].sum(axis=0)
        out.internal[frame.blocks] += force
        out.internal[frame.nodes] -= np.einsum("iak,i->ak", G, moment)
        if out.data is not None:
            K = self._tangent(R, inverse, arms, G, force)
            scatter_blocks(np.ascontiguousarray(K[None]), out.pattern.maps[first], out.data)
        return ()

    def _tangent(self, R: F64, inverse: F64, arms: F64, G: F64, force: F64) -> F64:
        """Blocks (b, b, 3, 3): stiffness in the turned frame, less what rigid motion takes from it, plus the turn of
        forces (Rankin CC, Nour-Omid B 1988, Comput Struct 30:257-267); terms of second order in the deformation are
        left out.
        """
        b, m = len(self.frame.blocks), len(self.frame.nodes)
        turn = np.concatenate([np.broadcast_to(R.T, (m, 3, 3)), inverse @ R.T])
        S = self.part.stiffness.reshape(b, 3, b, 3)
        K = np.einsum("aki,akbl,blj->aibj", turn, S, turn, optimize=True).reshape(3 * b, 3 * b)
        others = np.broadcast_to(np.eye(3), (b - m, 3, 3))
        gradient = np.concatenate([G, np.zeros((3, b - m, 3))], axis=1).reshape(3, 3 * b)  # spin of the frame
        rigid = np.concatenate([-cross_matrix(arms), others]).reshape(3 * b, 3)  # motion of all blocks by a spin
        lost = K @ rigid
        turned = cross_matrix(force).reshape(3 * b, 3)
        pulled = turned.copy()
        pulled[3 * m :] = 0.0
        # P^T K P - F G - G^T F_n^T P with P = 1 - rigid G, as low-rank corrections of K
        K -= (lost + turned) @ gradient
        K -= gradient.T @ ((lost + pulled).T - (rigid.T @ lost + pulled.T @ rigid) @ gradient)
        blocks = (0.5 * (K + K.T)).reshape(b, 3, b, 3)
        return np.asarray(blocks.transpose(0, 2, 1, 3))

    def expand(self, x: Configuration) -> tuple[F64, F64]:
        """Return the displacements (p, 3) [mm] and rotations (r, 3, 3) of the inside blocks."""
        frame = self.frame
        R, z = frame.deformation(x)
        local = (self.part.inward @ z.ravel().astype(np.float32)).astype(np.float64).reshape(-1, 3)
        n = len(frame.points)
        nodes = self.inside[self.inside < n]
        rest = frame.points[frame.nodes].mean(axis=0)
        now = rest + x.u[frame.nodes].mean(axis=0)
        X = frame.points[nodes]
        return now + (X - rest + local[: len(nodes)]) @ R.T - X, R @ rotations.exp(local[len(nodes) :])
