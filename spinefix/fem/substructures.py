"""Steps of structures with condensed parts: rigid parts and soft material exactly, what is stiff as it was at rest.

Newton's equations of a spine mix three things: vertebrae that move as rigid bodies, discs that deform and whose
stiffness changes from step to step, and vertebrae, screws and rods that give a little and stay as they are but for
their rotation. The preconditioner takes them in two steps. One is exact for all motions in which condensed parts are
rigid: few unknowns beside those of the discs, so that it can be factorized anew for every tangent. The other lets
everything that is stiff deform while discs hold still inside; its matrix is factorized once, at rest, and turns with
the nodes. Joined as in two-level domain decomposition with an exact coarse problem they leave four to eight Krylov
iterations.

Source: Mandel J (1993), Balancing domain decomposition, Commun Numer Methods Eng 9:233-241, for the way the two are
joined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_array, coo_array, csr_array
from scipy.sparse.linalg import spsolve

from spinefix.errors import ConvergenceError
from spinefix.fem.constraints import _extract
from spinefix.fem.directions import (
    BFGS,
    Apply,
    Direction,
    FrozenKrylov,
    FullNewton,
    _Factor,
    conjugate_gradients,
    gmres,
)
from spinefix.fem.equilibrium import Dense, Tangent
from spinefix.fem.turns import Turns

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

RIGID = 6
"""Rigid motions of a part."""


@dataclass(frozen=True)
class Layout:
    """The unknowns of the coarse problem and of the stiff one.

    Parameters
    ----------
    plain : (p,) int32
        Free dofs that no condensed part depends on: unknowns of the coarse problem as they are.
    modes : (n_free, k) float64
        Rigid motions at rest of the parts that no support holds: the other unknowns of the coarse problem.
    touched : tuple of (k_i,) int32
        Modes that move each part.
    stiff : (s,) int32
        Free dofs of the stiff problem.
    """

    plain: I32
    modes: F64
    touched: tuple[I32, ...]
    stiff: I32

    @classmethod
    def of(cls, rest: Dense, soft: Bool) -> Layout:
        """Find out from the dense parts at rest and from which free dofs are soft (n_free,)."""
        slaves, n = rest.carry.shape
        owner = np.full(n + slaves + 1, -1)
        for i, place in enumerate(rest.places):
            owner[place[place < n]] = i
        used = np.zeros(n, bool)
        modes = []
        for i, (part, place) in enumerate(zip(rest.parts, rest.places, strict=True)):
            rows = csr_array(rest.every()[place])
            dofs = np.unique(rows.indices)
            used[dofs] = True
            own = dofs[(owner[dofs] == -1) | (owner[dofs] == i)]
            if (place == n + slaves).any() or not (owner[dofs] == i).any():
                continue  # held, or moved by others alone
            inner = csr_array(rows[:, own])
            motion = np.zeros((n, 6))
            motion[own] = spsolve((inner.T @ inner).tocsc(), inner.T @ part.stiffness.rigid)
            modes.append(motion)
        every = np.hstack([np.zeros((n, 0)), *modes])
        touched = tuple(
            np.flatnonzero((rest.every()[place] @ every).any(axis=0)).astype(np.int32) for place in rest.places
        )
        return cls(
            np.flatnonzero(~used).astype(np.int32), every, touched, np.flatnonzero(~soft | used).astype(np.int32)
        )


class _Border:
    """Where the matrix of the coarse problem couples plain dofs and modes: found once for each pattern of K."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: csr_array | None = None
        self._row = self._col = np.zeros(0, np.int32)

    def __call__(self, K: csr_array, force: F64) -> csr_array:
        """Return the entries (p, k) of K times the modes, `force` (n_free, k), that are not zero by structure."""
        if self._known is None or self._known.indices is not K.indices:
            self._known = K
            n, k = force.shape
            moves = (self._layout.modes.reshape(n, -1, RIGID) != 0.0).any(axis=2)
            met = csr_array((np.ones(K.nnz, np.int32), K.indices, K.indptr), shape=K.shape) @ csr_array(moves)
            row, group = np.nonzero(met.toarray()[self._layout.plain])
            self._row, self._col = np.repeat(row, RIGID), (RIGID * group[:, None] + np.arange(RIGID)).ravel()
        shape = (len(self._layout.plain), force.shape[1])
        return csr_array((force[self._layout.plain[self._row], self._col], (self._row, self._col)), shape=shape)


class _Coarse:
    """The coarse problem of one tangent K: V^T K V with V = unknowns of the layout in the configuration of K."""

    def __init__(self, K: Tangent, dense: Dense, layout: Layout, border: _Border, factor: _Factor) -> None:
        self._K, self._dense, self._layout, self._factor = K, dense, layout, factor
        k = layout.modes.shape[1]
        self._modes = np.stack([K.turns.turn(m) for m in layout.modes.T], axis=1) if k else layout.modes
        moved = [dense.spread(m) for m in self._modes.T]
        self._pulls = []  # force of each part per unit of the modes that move it
        rigid = np.zeros((k, k))
        for i, (part, touched) in enumerate(zip(dense.parts, layout.touched, strict=True)):
            own = np.array([moved[j][i] for j in touched]).reshape(len(touched), len(part.dofs)).T
            self._pulls.append(part.of_modes(own))
            rigid[np.ix_(touched, touched)] += own.T @ self._pulls[-1]
        force = K.matrix @ self._modes
        rigid += self._modes.T @ force
        inner = _extract(K.matrix, layout.plain, layout.plain)
        side = border(K.matrix, force)
        corner = coo_array(0.5 * (rigid + rigid.T) + np.finfo(float).tiny)  # all entries stay in the pattern
        A = csr_array(block_array([[inner, side], [side.T, corner]], format="csr"))
        A.sort_indices()
        factor.replace(A, indefinite=False)

    def solve(self, c: F64) -> F64:
        """Return the coefficients for the coarse right-hand side c."""
        return self._factor(c)

    def restrict(self, r: F64) -> F64:
        """Return V^T r."""
        return np.concatenate([r[self._layout.plain], self._modes.T @ r])

    def extend(self, c: F64) -> F64:
        """Return V c."""
        plain = self._layout.plain
        v = np.asarray(self._modes @ c[len(plain) :])
        v[plain] += c[: len(plain)]
        return v

    def force(self, c: F64, v: F64) -> F64:
        """Return K V c for v = V c."""
        moving = c[len(self._layout.plain) :]
        pulls = [p @ moving[t] for p, t in zip(self._pulls, self._layout.touched, strict=True)]
        return np.asarray(self._K.matrix @ v + self._dense.gather(pulls))

    def restricted_force(self, y: F64) -> F64:
        """Return V^T K y."""
        out = self.restrict(np.asarray(self._K.matrix @ y))
        moving = out[len(self._layout.plain) :]
        for pull, touched, own in zip(self._pulls, self._layout.touched, self._dense.spread(y), strict=True):
            moving[touched] += pull.T @ own
        return out


class Substructured(FrozenKrylov):
    """Krylov iterations for structures with condensed parts, see the module; as `FrozenKrylov` for others.

    Where the tangent leads nowhere no step is made at any price: a smaller increment costs less than a factorization of
    everything.
    """

    def __init__(self, solver: str = "auto", *, tolerance: float = 3e-3, fresh: int = 8, most: int = 40) -> None:
        super().__init__(solver, tolerance=tolerance, fresh=fresh, most=most)
        self._stiff = _Factor(solver, self.work, rough=True)
        self._soft, self._spare = _Factor(solver, self.work), _Factor(solver, self.work)
        self._layout: Layout | None = None
        self._border: _Border | None = None
        self._last: tuple[Apply, Turns] | None = None

    def find(self, residual: F64, tangent: Callable[[], Tangent]) -> F64:
        """See `Direction.find`."""
        K = tangent()
        if K.dense is None:
            return super().find(residual, lambda: K)
        if self._layout is None:
            self._begin(K.dense)
        elif self._wasted > self._stiff.worth:
            self._renew(K)
        step = self._try(K, K.dense, residual)
        if step is None:
            self._renew(K)
            step = self._try(K, K.dense, residual)
        if step is None:
            raise ConvergenceError(f"no step after {self.most} Krylov iterations")
        return step

    def _try(self, K: Tangent, dense: Dense, residual: F64) -> F64 | None:
        """Solve by Krylov iterations; None if that takes too long."""
        run = conjugate_gradients if K.is_symmetric else gmres
        try:
            precondition = self._preconditioner(K, dense)
            self._last = precondition, K.turns
        except ConvergenceError:  # far from equilibrium tangents need not be positive definite
            if self._last is None:
                raise
            run, precondition = gmres, _turned(*self._last, K.turns)
        step, iterations = run(K.__matmul__, precondition, -residual, self.tolerance, self.most)
        self._wasted += max(iterations - self.fresh, 0)
        return step

    def _begin(self, dense: Dense) -> None:
        """Prepare the two problems, the stiff one at rest."""
        rest = dense.at_rest()
        self._layout = Layout.of(rest.dense or dense, dense.soft)
        self._border = _Border(self._layout)
        self._renew(rest)

    def _renew(self, K: Tangent) -> None:
        """Factorize the stiff problem of another tangent, or that at rest where it leads nowhere."""
        dofs = self._layout.stiff if self._layout is not None else np.zeros(0, np.int32)
        try:
            self._stiff.replace(_extract(K.symmetric(), dofs, dofs), indefinite=False)
        except ConvergenceError:
            if K.dense is None or self._made is K.turns:
                raise
            K = K.dense.at_rest()
            self._stiff.replace(_extract(K.symmetric(), dofs, dofs), indefinite=False)
        self._made, self._wasted, self._last = K.turns, 0.0, None

    def release(self) -> None:
        """Free the factorizations; the next step begins anew."""
        super().release()
        for factor in (self._stiff, self._soft, self._spare):
            factor.release()
        self._layout = self._border = self._last = self._made = None

    def _preconditioner(self, K: Tangent, dense: Dense) -> Callable[[F64], F64]:
        if self._layout is None or self._border is None or self._made is None:
            raise AssertionError("the problems are prepared first")
        layout, since = self._layout, K.turns.since(self._made)
        coarse = _Coarse(K, dense, layout, self._border, self._spare)
        self._soft, self._spare = self._spare, self._soft

        def precondition(r: F64) -> F64:
            c = coarse.solve(coarse.restrict(r))
            x = coarse.extend(c)
            left = since.back(r - coarse.force(c, x))
            y = np.zeros_like(r)
            y[layout.stiff] = self._stiff(left[layout.stiff])
            y = since.turn(y)
            return x + y - coarse.extend(coarse.solve(coarse.restricted_force(y)))

        return precondition


def _turned(apply: Apply, made: Turns, now: Turns) -> Apply:
    """Return an operator that turns with the nodes."""
    since = now.since(made)
    return lambda r: since.turn(apply(since.back(r)))


STRATEGIES: dict[str, Callable[[str], Direction]] = {
    "newton": FullNewton,
    "krylov": FrozenKrylov,
    "substructures": Substructured,
    "bfgs": BFGS,
}
"""Strategies by name; each takes the name of the linear solver."""
