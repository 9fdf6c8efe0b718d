"""What finite-rotation analysis is made of: the configuration, and items that add forces and tangents.

An item is anything that stores energy, carries or applies forces: solids, beams, cables, contact, loads. The solver
(`spinefix.fem.newton`) knows nothing else about them.

Tangents are taken in displacements and spins (rotations about fixed axes, `spinefix.fem.rotations`). There the second
derivative of an energy is symmetric but for one term, -[m] x / 2 at each rotation, m being the whole moment that the
energy exerts there. Items therefore add only the symmetric part; m is zero in equilibrium except where a moment is
applied, and the load that applies it adds the missing 3 x 3 block (`PointLoads`). Newton's method thus keeps its
quadratic convergence with symmetric factorizations.

Source: Simo JC (1992), The (symmetric) Hessian for geometrically nonlinear models in solid mechanics, Comput Methods
Appl Mech Eng 96:189-200.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spinefix.fem import rotations
from spinefix.fem.kinematics import cross_matrix
from spinefix.fem.pattern import BlockPattern

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

State = tuple[F64, ...]
"""History variables of one item; never written to in place."""


@dataclass(frozen=True)
class Configuration:
    """Where the structure is.

    Parameters
    ----------
    u : (n_points, 3) float64 [mm]
        Displacements.
    R : (n_rot, 3, 3) float64
        Rotation of each node that has one.
    """

    u: F64
    R: F64

    @classmethod
    def rest(cls, n_points: int, n_rotations: int) -> Configuration:
        """Return the undeformed configuration."""
        return cls(np.zeros((n_points, 3)), np.tile(np.eye(3), (n_rotations, 1, 1)))

    @property
    def n_blocks(self) -> int:
        """Number of 3-component blocks: translations, then rotations."""
        return len(self.u) + len(self.R)

    def moved(self, step: F64) -> Configuration:
        """Return the configuration after displacements and spins `step` (n_blocks, 3) [mm, rad]."""
        n = len(self.u)
        return Configuration(self.u + step[:n], rotations.exp(step[n:]) @ self.R)

    def step_from(self, old: Configuration) -> F64:
        """Return the displacements and spins (n_blocks, 3) that lead here from `old` (turns below pi)."""
        return np.concatenate([self.u - old.u, rotations.log(self.R @ old.R.transpose(0, 2, 1))])

    def vectors(self, near: F64) -> F64:
        """Return displacements and rotation vectors (n_blocks, 3), rotations continued from `near` (n_blocks, 3)."""
        return np.concatenate([self.u, rotations.log_near(self.R, near[len(self.u) :])])


@dataclass(frozen=True)
class Program:
    """A quantity that changes with pseudo-time, linear in between, constant outside.

    Parameters
    ----------
    times : (k,) float64, ascending
    values : (k, ...) float64
    """

    times: F64
    values: F64

    @classmethod
    def constant(cls, value: F64) -> Program:
        """Return a program that never changes."""
        return cls(np.zeros(1), np.asarray(value, np.float64)[None])

    @classmethod
    def ramp(cls, value: F64) -> Program:
        """Return a program that grows from zero at time 0 to `value` at time 1."""
        value = np.asarray(value, np.float64)
        return cls(np.array([0.0, 1.0]), np.stack([np.zeros_like(value), value]))

    def at(self, time: float) -> F64:
        """Return the value at one time."""
        i = int(np.clip(np.searchsorted(self.times, time), 1, max(len(self.times) - 1, 1)))
        if len(self.times) == 1:
            return np.asarray(self.values[0])
        a, b = self.times[i - 1], self.times[i]
        s = float(np.clip((time - a) / (b - a), 0.0, 1.0))
        return np.asarray((1.0 - s) * self.values[i - 1] + s * self.values[i])


@dataclass(frozen=True)
class Stiffness:
    """A dense matrix of a part that rigid motion does not strain.

    Parameters
    ----------
    matrix : (n, n) float64
        Symmetric.
    rigid : (n, 6) float64
        Its null space: rigid motions at rest.
    """

    matrix: F64
    rigid: F64

    @cached_property
    def _short(self) -> NDArray[np.float32]:
        return self.matrix.astype(np.float32)

    @cached_property
    def _fit(self) -> F64:
        return np.asarray(np.linalg.pinv(self.rigid))

    def rough(self, v: F64) -> F64:
        """Return the product with `v` (n,) or (n, k) to some six digits, in half the time.

        Rigid motions are taken out before and after, so that what is soft by comparison keeps its digits.
        """
        strained = (v - self.rigid @ (self._fit @ v)).astype(np.float32)
        y = (self._short @ strained).astype(np.float64)
        return np.asarray(y - self._fit.T @ (self.rigid.T @ y))

    def strains(self, v: F64) -> bool:
        """Tell whether any of some motions (n, k) is more than rigid, beyond round-off."""
        return bool(np.abs(v - self.rigid @ (self._fit @ v)).max(initial=0.0) > 1e-9 * np.abs(v).max(initial=0.0))


@dataclass(frozen=True)
class DensePart:
    """The tangent of a part that couples all its blocks: ``Q^T S Q + left right^T + right left^T``, symmetric.

    Parameters
    ----------
    blocks : (b,) int32
    stiffness : Stiffness
        S, in the frame of the part; the same in every configuration.
    R : (3, 3) float64
        Rotation of the part.
    turn : (b, 3, 3) float64
        Blocks of Q: from displacements and spins to those in the frame of the part.
    left, right : (3 b, k) float64
        The turn of forces with the part; k may be 0.
    """

    blocks: I32
    stiffness: Stiffness
    R: F64
    turn: F64
    left: F64
    right: F64

    @property
    def dofs(self) -> I32:
        """Numbers (3 b,) of the dofs."""
        return np.asarray(3 * self.blocks[:, None] + np.arange(3, dtype=np.int32), np.int32).ravel()

    def rough(self, v: F64) -> F64:
        """Return the product with a vector (3 b,) of the part's own dofs, see `Stiffness.rough`."""
        return self._outward(self.stiffness.rough(self._inward(v))) + self._turned(v)

    def of_modes(self, v: F64) -> F64:
        """Return the product with motions (3 b, k), quickly if all of them are rigid."""
        local = self._inward(v)
        if not self.stiffness.strains(local):
            return self._turned(v)
        return self._outward(self.stiffness.matrix @ local) + self._turned(v)

    def matrix(self) -> F64:
        """Return the whole matrix (3 b, 3 b)."""
        b = len(self.blocks)
        S = np.einsum("bij,bjck->bick", self.turn.transpose(0, 2, 1), self.stiffness.matrix.reshape(b, 3, b, 3))
        K = np.einsum("bick,ckj->bicj", S, self.turn).reshape(3 * b, 3 * b)
        once = self.left @ self.right.T
        return np.asarray(K + once + once.T)

    def _inward(self, v: F64) -> F64:
        return np.asarray(np.einsum("bij,bjk->bik", self.turn, v.reshape(len(self.blocks), 3, -1)).reshape(v.shape))

    def _outward(self, local: F64) -> F64:
        blocks = local.reshape(len(self.blocks), 3, -1)
        return np.asarray(np.einsum("bji,bjk->bik", self.turn, blocks).reshape(local.shape))

    def _turned(self, v: F64) -> F64:
        return np.asarray(self.left @ (self.right.T @ v) + self.right @ (self.left.T @ v))


@dataclass
class Terms:
    """What items add to.

    Parameters
    ----------
    internal, external : (n_blocks, 3) float64 [N, N mm]
        Gradient of the stored energy; applied forces and moments. Equilibrium: internal = external on all free dofs.
    pattern : BlockPattern
        Made of the cliques of all items.
    data : (nb, 3, 3) float64 or None
        Blocks of the tangent in `pattern`; None where no tangent is wanted.
    loose : list of sparse (n_dof, n_dof)
        Symmetric tangents whose pattern may change (contact), or that couple few dofs.
    low_rank : list of (U, V), each (n_dof, k) float64
        More tangent, U V^T; need not be symmetric. For loads that couple many dofs weakly.
    dense : list of DensePart
        More tangent, of parts that couple all their blocks.
    unsymmetric : list of sparse (n_dof, n_dof)
        More tangent of a pattern that may change, for few dofs: the limit of friction, which follows the pressure.
    """

    internal: F64
    external: F64
    pattern: BlockPattern
    data: F64 | None = None
    loose: list[sp.csr_array] = field(default_factory=list)
    low_rank: list[tuple[F64, F64]] = field(default_factory=list)
    dense: list[DensePart] = field(default_factory=list)
    unsymmetric: list[sp.csr_array] = field(default_factory=list)

    @classmethod
    def zeros(cls, pattern: BlockPattern, *, tangent: bool) -> Terms:
        """Return empty terms."""
        n = pattern.n_blocks
        data = np.zeros((len(pattern.indices), 3, 3)) if tangent else None
        return cls(np.zeros((n, 3)), np.zeros((n, 3)), pattern, data)

    @property
    def wants_tangent(self) -> bool:
        """True if items shall add tangents."""
        return self.data is not None


class Item(Protocol):
    """A contribution to the balance of forces."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def cliques(self) -> Sequence[I32]:
        """Return tables (c, s) of coupled blocks for the pattern of the tangent; may be empty."""
        ...

    def start(self) -> State:
        """Return the history variables of the undeformed state."""
        ...

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """Add forces, and the tangent if `out` wants it.

        Parameters
        ----------
        x : Configuration
        time : float
            Pseudo-time of load programs.
        state : State
            At the last accepted increment.
        out : Terms
        first : int
            Number of this item's first clique table in ``out.pattern.maps``.

        Returns
        -------
        State
            History variables in `x`; a new tuple, accepted only when the increment converges.

        Raises
        ------
        ConvergenceError
            The configuration cannot be evaluated (an inverted element); the solver takes a shorter step.
        """
        ...

    def energy(self, x: Configuration, state: State) -> float:
        """Return the stored energy [N mm]; 0 for loads."""
        ...


@dataclass(frozen=True)
class PointLoads:
    """Forces and moments on nodes.

    Forces keep their direction, so they are conservative. A moment either keeps its axis in space or follows its node.
    Neither is conservative; the tangent of both is exact, see the module's text: in spins a moment of fixed axis is
    constant, which leaves the block -[M] x / 2 of the structure uncovered; a following one adds [M] x to that.

    Parameters
    ----------
    name : str
    force_blocks, moment_blocks : (f,), (m,) int32
        Translation blocks and rotation blocks.
    forces, moments : Program of (f, 3) [N], of (m, 3) [N mm]
    first_rotation : int
        Number of the first rotation block (the number of points).
    follows : bool
        Moments turn with their nodes.
    """

    name: str
    force_blocks: I32
    forces: Program
    moment_blocks: I32
    moments: Program
    first_rotation: int
    follows: bool = False

    def cliques(self) -> Sequence[I32]:
        """No coupling within the pattern."""
        return ()

    def start(self) -> State:
        """No history."""
        return ()

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `Item.evaluate`."""
        np.add.at(out.external, self.force_blocks, self.forces.at(time))
        M = self.moments.at(time)
        if self.follows:
            M = np.einsum("bij,bj->bi", x.R[self.moment_blocks - self.first_rotation], M)
        np.add.at(out.external, self.moment_blocks, M)
        if out.wants_tangent and M.any():
            self._add_tangent(M, out)
        return ()

    def energy(self, x: Configuration, state: State) -> float:
        """Loads store nothing."""
        return 0.0

    def _add_tangent(self, M: F64, out: Terms) -> None:
        """Add the unsymmetric blocks of moments M (m, 3).

        The symmetric part of the whole tangent can be singular where the tangent is not (a rod bent by a half turn), so
        a stiffness |M| at the loaded rotations goes into the sparse matrix and is taken off again in the low-rank part.
        """
        acting = np.flatnonzero(M.any(axis=1))
        size = np.linalg.norm(M[acting], axis=1)
        n = 3 * len(out.external)
        dofs = (3 * self.moment_blocks[acting, None] + np.arange(3)).ravel()
        block = (0.5 if self.follows else -0.5) * cross_matrix(M[acting]) - size[:, None, None] * np.eye(3)
        U, V = np.zeros((n, len(dofs))), np.zeros((n, len(dofs)))
        U[dofs, np.arange(len(dofs))] = 1.0
        for i in range(len(acting)):
            own = slice(3 * i, 3 * i + 3)
            V[dofs[own], own] = block[i].T
        out.low_rank.append((U, V))
        out.loose.append(sp.csr_array(sp.coo_array((np.repeat(size, 3), (dofs, dofs)), shape=(n, n))))
