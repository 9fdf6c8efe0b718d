"""The solution value: displacements of all load cases of one model, with what vouches for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spinefix.mesh.core import F64, I32


@dataclass(frozen=True, slots=True)
class Check:
    """One self-check.

    Parameters
    ----------
    name : str
    value, tolerance : float [1]
        Relative error and its bound.
    """

    name: str
    value: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """True when the value is a number within the tolerance (NaN fails)."""
        return self.value <= self.tolerance


@dataclass(frozen=True)
class Solution:
    """Displacements of all load cases of one linear model.

    Parameters
    ----------
    cases : tuple of str
        Load case names.
    u : (n_cases, n_blocks, 3) float64 [mm, rad]
        Translations of all points, then rotations of the rotational nodes in the order of `rotation_index`.
    loads : (n_cases, n_blocks, 3) float64 [N, N mm]
        Applied forces and moments.
    reactions : (n_cases, n_blocks, 3) float64 [N, N mm]
        Support reactions; zero away from supports.
    rotation_index : (n_points,) int32
        Row of the rotations of each point behind the translations, -1 where a point has none.
    checks : tuple of Check
    solver : mapping
        Which linear solver did it, its size, times and residual.
    seconds : mapping of str to float [s]
        Wall time by phase.
    """

    cases: tuple[str, ...]
    u: F64
    loads: F64
    reactions: F64
    rotation_index: I32
    checks: tuple[Check, ...] = ()
    solver: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_points(self) -> int:
        """Number of points of the mesh."""
        return len(self.rotation_index)

    def displacement(self, case: str) -> F64:
        """Translations (n_points, 3) [mm] of one load case."""
        return np.asarray(self.u[self.cases.index(case), : self.n_points])

    def blocks(self, case: str) -> F64:
        """All dofs (n_blocks, 3) of one load case."""
        return np.asarray(self.u[self.cases.index(case)])

    def rotation(self, case: str, node: int) -> F64:
        """Rotation vector (3,) [rad] of a node that has rotations."""
        row = int(self.rotation_index[node])
        if row < 0:
            raise KeyError(f"node {node} has no rotations")
        return np.asarray(self.u[self.cases.index(case), self.n_points + row])
