"""The balance of forces of all items on the free dofs, and its tangent."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_array, coo_array, csr_array, eye_array, vstack

from spinefix.errors import ConvergenceError
from spinefix.fem.constraints import _extract
from spinefix.fem.couplings_finite import FiniteConstraints
from spinefix.fem.items import Configuration, DensePart, Item, State, Terms
from spinefix.fem.pattern import BlockPattern
from spinefix.fem.turns import TurnMeter, Turns
from spinefix.jit import kernel

if TYPE_CHECKING:
    from spinefix.fem.directions import Direction
    from spinefix.fem.newton import Control

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Dense:
    """The dense parts of a tangent on the free dofs.

    Parameters
    ----------
    parts : tuple of DensePart
    places : tuple of (3 b,) int32
        Where the dofs of each part stand among the free dofs, then the slaves, then one zero for fixed ones.
    carry : csr (n_slave, n_free)
        Slaves as functions of the free dofs.
    soft : (n_free,) bool
        Free dofs whose stiffness changes: material that is not linear.
    at_rest : callable
        Returns the tangent at rest.
    """

    parts: tuple[DensePart, ...]
    places: tuple[I32, ...]
    carry: csr_array
    soft: NDArray[np.bool_]
    at_rest: Callable[[], Tangent]

    def every(self) -> csr_array:
        """Return free dofs, slaves and one zero as functions of the free dofs."""
        n = self.carry.shape[1]
        return csr_array(vstack([eye_array(n, format="csr"), self.carry, csr_array((1, n))]))

    def spread(self, v: F64) -> list[F64]:
        """Return the vector (n_free,) at the dofs of each part."""
        every = np.concatenate([v, self.carry @ v, [0.0]])
        return [every[place] for place in self.places]

    def gather(self, forces: Sequence[F64]) -> F64:
        """Return forces at the dofs of each part as forces (n_free,) on the free dofs."""
        slaves, n = self.carry.shape
        total = np.zeros(n + slaves + 1)
        for place, force in zip(self.places, forces, strict=True):
            total[place] += force
        return np.asarray(total[:n] + self.carry.T @ total[n:-1])

    def matrix(self) -> csr_array:
        """Return the whole matrix (n_free, n_free)."""
        n, every = self.carry.shape[1], self.every()
        out = csr_array((n, n))
        for place, part in zip(self.places, self.parts, strict=True):
            rows = csr_array(every[place])
            used = np.unique(rows.indices)
            inner = csr_array(rows[:, used])
            out = out + _scattered(np.asarray(inner.T @ (inner.T @ part.matrix()).T), used, n)
        return out


def _scattered(block: F64, where: I32, n: int) -> csr_array:
    """Return a dense symmetric block (k, k) as a sparse (n, n) on ascending dofs `where`."""
    k = len(where)
    counts = np.zeros(n + 1, np.int32)
    counts[where + 1] = k
    indices = np.tile(where.astype(np.int32), k)
    return csr_array((block.ravel(), indices, np.cumsum(counts, dtype=np.int32)), shape=(n, n))


@dataclass(frozen=True)
class Tangent:
    """The derivative of the residual: matrix + dense + U V^T + unsymmetric on the free dofs.

    Parameters
    ----------
    matrix : csr (n_free, n_free), symmetric
    U, V : (n_free, k) float64
    by_motion : (n_free,) float64
        Change of the residual by the prescribed motion that the evaluation was asked about.
    turns : Turns
        Rotations of the blocks since rest.
    dense : Dense or None
        Symmetric.
    unsymmetric : csr (n_free, n_free) or None
    """

    matrix: csr_array
    U: F64
    V: F64
    by_motion: F64
    turns: Turns
    dense: Dense | None = None
    unsymmetric: csr_array | None = None

    @property
    def is_symmetric(self) -> bool:
        """Whether all of it is."""
        return not self.U.shape[1] and self.unsymmetric is None

    def __matmul__(self, v: F64) -> F64:
        out = np.asarray(self.matrix @ v + self.U @ (self.V.T @ v))
        if self.unsymmetric is not None:
            out += self.unsymmetric @ v
        if self.dense is not None:
            pairs = zip(self.dense.parts, self.dense.spread(v), strict=True)
            out += self.dense.gather([part.rough(own) for part, own in pairs])
        return out

    def symmetric(self) -> csr_array:
        """Return matrix + dense as one sparse matrix."""
        return self.matrix if self.dense is None else csr_array(self.matrix + self.dense.matrix())

    def stiffest(self, first: int) -> float:
        """Return the greatest stiffness on the diagonal of the first `first` free dofs, about."""
        found = float(self.matrix.diagonal()[:first].max(initial=0.0))
        parts = () if self.dense is None else self.dense.parts
        return max([found, *(float(p.stiffness.matrix.diagonal().max(initial=0.0)) for p in parts)])


@dataclass(frozen=True)
class Balance:
    """Forces in one configuration.

    Parameters
    ----------
    x : Configuration
    residual : (n_free,) float64 [N, N mm]
        Internal less external forces on the free dofs; zero in equilibrium.
    gradient : (n_blocks, 3) float64 [N, N mm]
        The same on all blocks, before slaves are carried to masters.
    external, reactions : (n_blocks, 3) float64 [N, N mm]
        Applied loads; forces that the supports exert.
    states : tuple of State
        New history variables of each item.
    """

    x: Configuration
    residual: F64
    gradient: F64
    external: F64
    reactions: F64
    states: tuple[State, ...]


class Problem:
    """Items and constraints.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    rotation_index : (n,) int32
    constraints : FiniteConstraints
    items : sequence of Item
    soft : (n_blocks,) bool, optional
        Blocks of material that is not linear, for `spinefix.fem.substructures`.
    threads : int, optional
        For the assembly of solids; see `BlockPattern.build`.

    Attributes
    ----------
    size : float [mm]
        Largest extent of the points; the lever that makes forces of moments in norms.
    directions : dict, (strategy, linear solver) -> Direction
        What `spinefix.fem.newton.solve` keeps from one solution to the next: a factorization that turns with the nodes
        serves other loads too. Shared with `with_loads`.
    """

    def __init__(
        self,
        points: F64,
        rotation_index: I32,
        constraints: FiniteConstraints,
        items: Sequence[Item],
        *,
        soft: NDArray[np.bool_] | None = None,
        threads: int | None = None,
    ) -> None:
        self.points, self.rotation_index = np.asarray(points, np.float64), np.asarray(rotation_index)
        self.constraints, self.items = constraints, tuple(items)
        cliques = [tuple(item.cliques()) for item in items]
        self._first = np.concatenate([[0], np.cumsum([len(c) for c in cliques])]).astype(int).tolist()
        tables = [table for c in cliques for table in c]
        self.pattern = BlockPattern.build(constraints.n_blocks, tables, threads=threads)
        self.size = float(np.ptp(self.points, axis=0).max())
        self.directions: dict[tuple[str, str], Direction] = {}
        every = np.zeros(constraints.n_blocks, bool) if soft is None else soft
        self._reduction = _Reduction(constraints, self.points, self.rotation_index, every, self._at_rest)

    def with_loads(self, loads: Sequence[Item]) -> Problem:
        """Return the problem with further items that couple nothing in the pattern, which both then share.

        Raises
        ------
        ValueError
            One of them has cliques.
        """
        if any(len(item.cliques()) for item in loads):
            raise ValueError("items with cliques belong in the pattern")
        out = copy.copy(self)
        out.items = (*self.items, *loads)
        out._first = [*self._first, *[self._first[-1]] * len(loads)]
        return out

    def with_direction(self, direction: Direction, control: Control) -> Problem:
        """Return the problem with another way to find the steps under `control`."""
        out = copy.copy(self)
        out.directions = {(control.strategy, control.linear_solver): direction}
        return out

    @property
    def free(self) -> I32:
        """Numbers of the free dofs."""
        return self.constraints.dofs.free

    def start(self) -> tuple[Configuration, tuple[State, ...]]:
        """Return the undeformed configuration and the states of all items."""
        c = self.constraints
        return Configuration.rest(c.n_points, c.n_rotations), tuple(item.start() for item in self.items)

    def moved(self, x: Configuration, dq: F64, motion: F64 | None = None) -> Configuration:
        """Return the configuration after a step of the free dofs (n_free,) and of fixed ones (n_blocks, 3)."""
        step = np.zeros((x.n_blocks, 3)) if motion is None else motion.copy()
        step.reshape(-1)[self.free] += dq
        return self.constraints.place(x.moved(step))

    def prescribed(self, x: Configuration, time: float) -> F64:
        """Return the step (n_blocks, 3) of the fixed dofs to where they belong at a time."""
        return self.constraints.prescribed(x, time, self.rotation_index)

    def energy(self, x: Configuration, states: tuple[State, ...]) -> float:
        """Return the energy [N mm] that all items store."""
        return sum(item.energy(x, state) for item, state in zip(self.items, states, strict=True))

    def evaluate(self, x: Configuration, time: float, states: tuple[State, ...]) -> Balance:
        """Return the balance of forces in a configuration with slaves in place.

        Parameters
        ----------
        x : Configuration
        time : float
        states : tuple of State
            At the last accepted increment.

        Raises
        ------
        ConvergenceError
            An item cannot be evaluated there, or a force is not finite.
        """
        out, new = self._terms(x, time, states, tangent=False)
        gradient = out.internal - out.external
        dofs = self.constraints.dofs
        flat = gradient.ravel()
        on_masters = flat + self.constraints.slave_map(x).T @ flat[dofs.slave]
        reactions = np.zeros_like(flat)
        reactions[dofs.fixed] = on_masters[dofs.fixed]
        return Balance(x, on_masters[dofs.free], gradient, out.external, reactions.reshape(-1, 3), new)

    def tangent(self, x: Configuration, time: float, states: tuple[State, ...], motion: F64 | None = None) -> Tangent:
        """Return the derivative of the residual; arguments as in `evaluate`.

        Parameters
        ----------
        motion : (n_blocks, 3) float64, optional
            A step of the fixed dofs for `Tangent.by_motion`.
        """
        out, _ = self._terms(x, time, states, tangent=True)
        return self._reduction(x, out, motion)

    def _at_rest(self) -> Tangent:
        x, states = self.start()
        return self.tangent(x, 0.0, states)

    def _terms(
        self, x: Configuration, time: float, states: tuple[State, ...], *, tangent: bool
    ) -> tuple[Terms, tuple[State, ...]]:
        out = Terms.zeros(self.pattern, tangent=tangent)
        new = tuple(
            item.evaluate(x, time, state, out, first)
            for item, state, first in zip(self.items, states, self._first[:-1], strict=True)
        )
        if not (np.isfinite(out.internal).all() and np.isfinite(out.external).all()):
            raise ConvergenceError("a force is not finite")
        return out, new


def _sum(matrices: Sequence[csr_array]) -> csr_array:
    """Return the sum of many small sparse matrices of one shape."""
    parts = [coo_array(m) for m in matrices]
    row, col = (np.concatenate([p.coords[i] for p in parts]) for i in (0, 1))
    return csr_array(coo_array((np.concatenate([p.data for p in parts]), (row, col)), shape=parts[0].shape))


class _Reduction:
    """T^T K T with a pattern that stays the same from call to call, so that factorizations can reuse their analysis."""

    def __init__(
        self,
        constraints: FiniteConstraints,
        points: F64,
        rotation_index: I32,
        soft: NDArray[np.bool_],
        at_rest: Callable[[], Tangent],
    ) -> None:
        self.constraints = constraints
        self._soft, self._at_rest = soft[constraints.dofs.free // 3], at_rest
        self._nodes = points, rotation_index
        self._meter: TurnMeter | None = None
        n = len(constraints.dofs.free)
        self._structure = csr_array((n, n))
        self._within = csr_array((n, n))
        self._places: tuple[I32, ...] = ()
        self._inner: I64 = np.zeros(0, np.int64)
        self._source: I64 = np.zeros(0, np.int64)

    def __call__(self, x: Configuration, terms: Terms, motion: F64 | None) -> Tangent:
        pattern, dofs = terms.pattern, self.constraints.dofs
        n = 3 * pattern.n_blocks
        K: bsr_array = bsr_array((terms.data, pattern.indices, pattern.indptr), shape=(n, n))
        loose = list(terms.loose)
        if len(self.constraints.bodies.node):
            loose.append(self.constraints.geometric(x, terms.internal - terms.external))
        slaves = self.constraints.slave_map(x)
        C = csr_array(slaves[:, dofs.free])
        matrix = self._fill(K, self._more(K, C, loose))

        def reduce(f: F64) -> F64:
            return np.asarray(f[dofs.free] + C.T @ f[dofs.slave])

        none = np.zeros((len(dofs.free), 0))
        U = np.hstack([none, *(reduce(u) for u, _ in terms.low_rank)])
        V = np.hstack([none, *(reduce(v) for _, v in terms.low_rank)])
        by_motion = np.zeros(len(dofs.free))
        if motion is not None and motion.any():
            step = motion.ravel().copy()
            step[dofs.slave] = slaves @ step
            force = K @ step + sum((m @ step for m in (*loose, *terms.unsymmetric)), np.zeros(n))
            for part in terms.dense:
                force[part.dofs] += part.rough(step[part.dofs])
            by_motion = reduce(force)
        if self._meter is None:
            self._meter = TurnMeter(*self._nodes, dofs.free, pattern, K.data)
        turns, dense = self._meter(x, terms.dense), self._dense(terms.dense, C)
        return Tangent(matrix, U, V, by_motion, turns, dense, self._unsymmetric(terms.unsymmetric, C))

    def _unsymmetric(self, parts: Sequence[csr_array], carry: csr_array) -> csr_array | None:
        """The sum of tangents that need not be symmetric, on the free dofs."""
        if not parts:
            return None
        dofs, n = self.constraints.dofs, carry.shape[1]
        rows = np.concatenate([dofs.free, np.repeat(dofs.slave, np.diff(carry.indptr))])
        values, cols = np.concatenate([np.ones(n), carry.data]), np.concatenate([np.arange(n), carry.indices])
        T = csr_array(coo_array((values, (rows, cols)), shape=(parts[0].shape[0], n)))
        return csr_array(T.T @ _sum(parts) @ T)

    def _dense(self, parts: Sequence[DensePart], carry: csr_array) -> Dense | None:
        """The dense parts, with the places of their dofs."""
        if not parts:
            return None
        if len(self._places) != len(parts):
            dofs = self.constraints.dofs
            place = np.full(3 * self.constraints.n_blocks, len(dofs.free) + len(dofs.slave), np.int32)
            place[dofs.free] = np.arange(len(dofs.free))
            place[dofs.slave] = len(dofs.free) + np.arange(len(dofs.slave))
            self._places = tuple(place[part.dofs] for part in parts)
        return Dense(tuple(parts), self._places, carry, self._soft, self._at_rest)

    def _more(self, K: bsr_array, C: csr_array, loose: Sequence[csr_array]) -> csr_array:
        """What slaves and loose tangents add to the block of the free dofs."""
        dofs = self.constraints.dofs
        out = csr_array((len(dofs.free), len(dofs.free)))
        if len(dofs.slave):
            one_sided = C.T @ _extract(K, dofs.slave, dofs.free)
            out = one_sided + one_sided.T + C.T @ _extract(K, dofs.slave, dofs.slave) @ C
        if loose:
            m = _sum(loose)
            out = out + _extract(m, dofs.free, dofs.free)
            if len(dofs.slave):
                sf = C.T @ _extract(m, dofs.slave, dofs.free)
                out = out + sf + sf.T + C.T @ _extract(m, dofs.slave, dofs.slave) @ C
        return csr_array(out)

    def _fill(self, K: bsr_array, more: csr_array) -> csr_array:
        """Return the block of the free dofs of K, plus `more`, in the kept pattern, which grows for a new entry."""
        more.sort_indices()
        if not len(self._source):
            self._grow(K, more)
        at = _places(self._structure, more)
        if (at < 0).any():
            self._grow(K, more)
            at = _places(self._structure, more)
        data = K.data.ravel()[self._source]
        if len(data) < self._structure.nnz:
            inner, data = data, np.zeros(self._structure.nnz)
            data[self._inner] = inner
        data[at] += more.data
        n = more.shape[0]
        return csr_array((data, self._structure.indices, self._structure.indptr), shape=(n, n))

    def _grow(self, K: bsr_array, more: csr_array) -> None:
        """Let the pattern hold the entries of both, and those that it held already."""
        n, free = more.shape[0], self.constraints.dofs.free
        if not len(self._source):
            numbers = np.arange(K.data.size, dtype=np.float64).reshape(K.data.shape)
            inner = _extract(bsr_array((numbers, K.indices, K.indptr), shape=K.shape), free, free)
            self._source = inner.data.astype(np.int64)
            self._within = csr_array((np.ones(len(inner.data), np.int8), inner.indices, inner.indptr), shape=(n, n))
            self._structure = self._within
        new = csr_array((np.ones(len(more.data), np.int8), more.indices, more.indptr), shape=(n, n))
        total = csr_array(self._structure + new)
        total.sort_indices()
        total.data[:] = 1
        self._structure = total
        self._inner = _places(total, self._within)


def _places(whole: csr_array, part: csr_array) -> I64:
    """Return where the entries of a matrix lie in another with sorted rows, -1 where it has none."""
    out = np.empty(len(part.data), np.int64)
    place_entries(
        *(a.astype(np.int64, copy=False) for a in (whole.indptr, part.indptr)),
        *(a.astype(np.int32, copy=False) for a in (whole.indices, part.indices)),
        out,
    )
    return out


@kernel
def place_entries(indptr, part_indptr, indices, part_indices, out):  # type: ignore[no-untyped-def]
    """Positions (e,) of entries in rows that ascend like their own; -1 for those that are not there."""
    for r in range(len(part_indptr) - 1):
        at, end = indptr[r], indptr[r + 1]
        for e in range(part_indptr[r], part_indptr[r + 1]):
            while at < end and indices[at] < part_indices[e]:
                at += 1
            out[e] = at if at < end and indices[at] == part_indices[e] else -1
    return 0
