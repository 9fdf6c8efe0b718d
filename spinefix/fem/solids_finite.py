"""Finite-strain and co-rotational solids as an item of nonlinear analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinefix.fem.finite import (
    FiniteGroup,
    FiniteState,
    assemble_finite,
    finite_stress,
    internal_force,
    strain_energy,
)
from spinefix.fem.items import Configuration, State, Terms

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class FiniteSolids:
    """All solid elements of a model.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    groups : tuple of FiniteGroup
    name : str
    """

    points: F64
    groups: tuple[FiniteGroup, ...]
    name: str = "solids"

    def cliques(self) -> Sequence[I32]:
        """Connectivity of each group."""
        return tuple(group.conn for group in self.groups)

    def start(self) -> State:
        """Histories of unloaded groups, one after the other."""
        return tuple(a for g in self.groups for a in FiniteState.virgin(g).history())

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        states = self._states(state)
        tables = range(first, first + len(self.groups))
        where = (self.points, self.groups, x.u, states, out.pattern)
        if out.data is None:
            internal_force(*where, out.internal, tables=tables, add=True)
        else:
            assemble_finite(*where, out.data, out.internal, tables=tables, add=True)
        return tuple(a for s in states for a in s.history())

    def stress(self, x: Configuration, state: State) -> tuple[F64, ...]:
        """Return the Cauchy stress (e, q, 6) [MPa] of each group in an accepted configuration."""
        states = self._states(state)
        return tuple(finite_stress(self.points, g, x.u, s) for g, s in zip(self.groups, states, strict=True))

    def energy(self, x: Configuration, state: State) -> float:
        """Return the strain energy [N mm]; with plasticity, elastic energy plus plastic work."""
        states = self._states(state)
        return sum(float(strain_energy(self.points, g, x.u, s).sum()) for g, s in zip(self.groups, states, strict=True))

    def _states(self, state: State) -> tuple[FiniteState, ...]:
        """Old states with room for new ones."""
        history = iter(state)
        return tuple(FiniteState.take(g, history) for g in self.groups)


@dataclass(frozen=True)
class FixedElasticity:
    """A linear law for co-rotational elements; each row of parameters is an elasticity matrix (36,) [MPa]."""

    name: str = "linear"
    virgin: tuple[float, ...] = ()
    spatial: None = None

    @property
    def update(self) -> Callable[..., int]:
        """Return the matrices as tangents at rest; co-rotational elements ask for nothing else."""

        def update(F: F64, rows: I32, params: F64, axes: F64, old: F64, tangent: int, *out: Any) -> int:
            W, S, C, _ = out
            W[:], S[:] = 0.0, 0.0
            C[:] = params[rows].reshape(-1, 6, 6)
            return 0

        return update

    def check_axes(self, axes: F64) -> None:
        """Need no directions."""
        return
