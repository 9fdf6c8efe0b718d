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
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from spinefix.fem import linsolve, rotations
from spinefix.fem.items import Configuration, DensePart, State, Stiffness, Terms
from spinefix.fem.kinematics import cross_matrix
from spinefix.fem.turning_frame import TurningFrame
from spinefix.mesh.core import F64, I32

KEEP = 24
"""Condensed parts that are remembered: arms of a study share most vertebrae."""


@dataclass(frozen=True)
class Condensed:
    """A stiffness matrix without its inside.

    Attributes
    ----------
    stiffness : (k, k) float64 [N/mm, N, N mm]
        Of the kept dofs, symmetric.
    """

    stiffness: F64
    _inside: csr_array
    _coupling: csr_array
    _solver: str = "auto"
    _factor: list[linsolve.Factor] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inward(self, kept: F64) -> F64:
        """Return the inside displacements (i,) for given kept ones (k,)."""
        with self._lock:  # a factorization answers one at a time
            if not self._inside.shape[0]:
                return np.zeros(0)
            if not self._factor:
                self._factor.append(linsolve.factorize(self._inside, self._solver))
            return -self._factor[0].apply(self._coupling @ kept)


_known: OrderedDict[str, Condensed] = OrderedDict()
_lock = threading.Lock()


def condense(K: csr_array, kept: I32, inside: I32, solver: str = "auto") -> Condensed:
    """Eliminate the `inside` dofs of a symmetric matrix K; results are remembered for equal matrices.

    Raises
    ------
    NotPositiveDefinite
        The inside is not held by the kept dofs.
    """
    part = csr_array(K[np.concatenate([inside, kept])][:, np.concatenate([inside, kept])])
    key = hashlib.blake2b(digest_size=16)
    for a in (part.data, part.indices, part.indptr):
        key.update(np.ascontiguousarray(a).tobytes())
    name = f"{key.hexdigest()} {len(inside)} {len(kept)}"
    with _lock:
        if name in _known:
            _known.move_to_end(name)
            return _known[name]
    first = slice(0, len(inside))
    S = linsolve.schur_complement(part, len(inside), solver) if len(inside) else part.toarray()
    found = Condensed(S, csr_array(part[first, first]), csr_array(part[first, len(inside) :]), solver)
    with _lock:
        _known[name] = found
        while len(_known) > KEEP:
            _known.popitem(last=False)
    return found


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

    @cached_property
    def stiffness(self) -> Stiffness:
        """Stiffness of the kept blocks with their rigid motions: shifts, then turns about the mean of the nodes."""
        X = self.frame.points[self.frame.nodes]
        others = len(self.frame.blocks) - len(X)
        shift = np.concatenate([np.broadcast_to(np.eye(3), (len(X), 3, 3)), np.zeros((others, 3, 3))])
        turn = np.concatenate([-cross_matrix(X - X.mean(axis=0)), np.broadcast_to(np.eye(3), (others, 3, 3))])
        return Stiffness(self.part.stiffness, np.concatenate([shift, turn], axis=2).reshape(-1, 6))

    def cliques(self) -> Sequence[I32]:
        """None: the tangent is dense and stays outside the pattern."""
        return ()

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
        arms, G = frame.arms(x), frame.spin_gradient(x, R)
        turn = np.concatenate([np.broadcast_to(R.T, (m, 3, 3)), inverse @ R.T])
        motions = [z.reshape(-1, 1)]
        if out.wants_tangent:  # one pass through the matrix for both
            others = np.broadcast_to(np.eye(3), (len(frame.turning), 3, 3))
            spin = np.concatenate([-cross_matrix(arms), others])  # motion of all blocks by a spin of the frame
            motions.append((turn @ spin).reshape(-1, 3))
        local = (self.part.stiffness @ np.concatenate(motions, axis=1)).reshape(len(turn), 3, -1)
        pull = np.einsum("bji,bjk->bik", turn, local)
        force = pull[:, :, 0]
        moment = np.cross(arms, force[:m]).sum(axis=0) + force[m:].sum(axis=0)
        out.internal[frame.blocks] += force
        out.internal[frame.nodes] -= np.einsum("iak,i->ak", G, moment)
        if out.wants_tangent:
            left, right = self._corrections(spin.reshape(-1, 3), pull[:, :, 1:].reshape(-1, 3), G, force)
            out.dense.append(DensePart(frame.blocks, self.stiffness, R, turn, left, right))
        return ()

    def _corrections(self, spin: F64, lost: F64, G: F64, force: F64) -> tuple[F64, F64]:
        """What rigid motion takes from the turned stiffness K, and the turn of forces (Rankin CC, Nour-Omid B 1988,
        Comput Struct 30:257-267), as low-rank corrections; terms of second order in the deformation are left out.

        spin, lost (3 b, 3) are the motion of the blocks by a spin of the frame and K times it; G (3, m, 3) is
        `TurningFrame.spin_gradient`.
        """
        m = len(self.frame.nodes)
        gradient = np.zeros((3, len(spin)))
        gradient[:, : 3 * m] = G.reshape(3, -1)
        turned = cross_matrix(force).reshape(-1, 3)
        pulled = turned.copy()
        pulled[3 * m :] = 0.0
        # P^T K P - F G - G^T F_n^T P with P = 1 - spin G, symmetrized
        back = (lost + pulled).T - (spin.T @ lost + pulled.T @ spin) @ gradient
        return -0.5 * (lost + turned + back.T), gradient.T.copy()

    def expand(self, x: Configuration) -> tuple[F64, F64]:
        """Return the displacements (p, 3) [mm] and rotations (r, 3, 3) of the inside blocks."""
        frame = self.frame
        R, z = frame.deformation(x)
        local = self.part.inward(z.ravel()).reshape(-1, 3)
        n = len(frame.points)
        nodes = self.inside[self.inside < n]
        rest = frame.points[frame.nodes].mean(axis=0)
        now = rest + x.u[frame.nodes].mean(axis=0)
        X = frame.points[nodes]
        return now + (X - rest + local[: len(nodes)]) @ R.T - X, R @ rotations.exp(local[len(nodes) :])
