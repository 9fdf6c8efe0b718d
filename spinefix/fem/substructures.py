"""Steps of structures with condensed parts: rigid parts and soft material exactly, what is stiff as it was at rest.

Newton's equations of a spine mix three things: vertebrae that move as rigid bodies, discs that deform and whose
stiffness changes from step to step, and vertebrae, screws and rods that give a little and stay as they are but for
their rotation. The equations are solved in two steps that take turns. One is exact for all motions in which condensed
parts are rigid or give way easily (`spinefix.fem.coarse_space`): few unknowns beside those of the discs, so that it can
be factorized anew for every tangent. The other lets everything that is stiff deform while discs hold still inside; its
matrix is factorized once, at rest, and turns with the nodes. Joined as in two-level domain decomposition with an exact
coarse problem they leave four to ten Krylov iterations.

Source: Mandel J (1993), Balancing domain decomposition, Commun Numer Methods Eng 9:233-241, for the way the two are
joined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import ConvergenceError
from spinefix.fem.coarse_space import Border, Coarse, Layout
from spinefix.fem.constraints import _extract
from spinefix.fem.directions import (
    BFGS,
    Direction,
    FrozenKrylov,
    FullNewton,
    _Factor,
    conjugate_gradients,
    gmres,
)
from spinefix.fem.equilibrium import Tangent

F64 = NDArray[np.float64]


class Substructured(FrozenKrylov):
    """Krylov iterations for structures with condensed parts, see the module; as `FrozenKrylov` for others.

    Where the tangent leads nowhere no step is made at any price: a smaller increment costs less than a factorization of
    everything.
    """

    def __init__(self, solver: str = "auto", *, tolerance: float = 3e-3, fresh: int = 8, most: int = 40) -> None:
        super().__init__(solver, tolerance=tolerance, fresh=fresh, most=most)
        self._stiff, self._soft = _Factor(solver, self.work, rough=True), _Factor(solver, self.work)
        self._border: Border | None = None

    def find(self, residual: F64, tangent: Callable[[], Tangent]) -> F64:
        """See `Direction.find`."""
        K = tangent()
        if K.dense is None:
            return super().find(residual, lambda: K)
        if self._border is None:
            rest = K.dense.at_rest()
            self._border = Border(Layout.of(rest, rest.dense or K.dense), rest.matrix.diagonal())
            self._renew(rest, self._border.layout)
        elif self._wasted > self._stiff.worth:
            self._renew(K, self._border.layout)
        coarse = Coarse(K, K.dense, self._border, self._soft)
        step = self._try(coarse, residual)
        if step is None:
            self._renew(K, coarse.layout)
            step = self._try(coarse, residual)
        if step is None:
            raise ConvergenceError(f"no step after {self.most} Krylov iterations")
        return step

    def _try(self, coarse: Coarse, residual: F64) -> F64 | None:
        """Solve by Krylov iterations; None if that takes too long.

        They start from the answer of the coarse problem and stay where its residual is zero, so that it is solved once
        in each.
        """
        K, stiff = coarse.tangent, coarse.layout.stiff
        since = K.turns.since(self._made or K.turns)

        def precondition(r: F64) -> F64:
            y = np.zeros_like(r)
            y[stiff] = self._stiff(since.back(r)[stiff])
            y = since.turn(y)
            return y - coarse.correction(y)

        first, left = coarse.answer(-residual)
        run = conjugate_gradients if K.is_symmetric else gmres
        energy = abs(float(first @ residual))
        more, iterations = run(K.__matmul__, precondition, left, self.tolerance, self.most, energy)
        self._wasted += max(iterations - self.fresh, 0)
        return None if more is None else first + more

    def _renew(self, K: Tangent, layout: Layout) -> None:
        """Factorize the stiff problem of another tangent, or that at rest where it leads nowhere."""
        try:
            self._factorize(K, layout)
        except ConvergenceError:
            if K.dense is None or self._made is None:  # that at rest itself
                raise
            self._factorize(K.dense.at_rest(), layout)

    def _factorize(self, K: Tangent, layout: Layout) -> None:
        self._stiff.replace(_extract(K.symmetric(), layout.stiff, layout.stiff), indefinite=False)
        self._made, self._wasted = K.turns, 0.0

    def release(self) -> None:
        """Free the factorizations; the next step begins anew."""
        super().release()
        self._stiff.release()
        self._soft.release()
        self._border = self._made = None


STRATEGIES: dict[str, Callable[[str], Direction]] = {
    "newton": FullNewton,
    "krylov": FrozenKrylov,
    "substructures": Substructured,
    "bfgs": BFGS,
}
"""Strategies by name; each takes the name of the linear solver."""
