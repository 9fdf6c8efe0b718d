"""Small-strain solves of bare groups of elements."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from spinefix import materials
from spinefix.fem import linsolve
from spinefix.fem.assembly import KINDS, SolidGroup, assemble
from spinefix.mesh.core import F64, I32, Bool
from spinefix.mesh.elements import ELEMENTS

SMALL = tuple((kind, formulation) for formulation, kinds in KINDS.items() for kind in kinds)
"""Every solid kind with every small-strain formulation that it has."""

ORTHOTROPIC: Mapping[str, float] = dict(
    E1_MPa=20.0, E2_MPa=12.0, E3_MPa=9.0, G12_MPa=4.0, G23_MPa=3.0, G31_MPa=5.0, nu12=0.3, nu23=0.2, nu31=0.1
)
"""Nine constants without a symmetry to hide behind; no tissue."""


def isotropic(E: float, nu: float) -> F64:
    """Return the elasticity (1, 6, 6) [MPa] of an isotropic material."""
    return np.asarray(materials.elasticity("isotropic", {"E_MPa": E, "nu": nu}))


def small_group(kind: str, formulation: str, conn: I32, D: F64) -> SolidGroup:
    """Return a group of one elasticity (1, 6, 6)."""
    n = len(conn)
    scale = np.ones((n, ELEMENTS[kind].n_points))
    return SolidGroup(kind, formulation, np.arange(n, dtype=np.int32), conn, D, np.zeros(n, np.int32), scale)


def stiffness(points: F64, *groups: SolidGroup) -> sp.csr_array:
    """Return the stiffness matrix of solids."""
    return sp.csr_array(assemble(points, groups, [], np.full(len(points), -1, np.int32)).tocsr())


def solve_linear(K: sp.csr_array, fixed: Bool, values: F64, load: F64) -> F64:
    """Return displacements (n, 3) that take prescribed `values` where `fixed` (both (n, 3)) under `load` (n, 3)."""
    held, u = fixed.ravel(), np.where(fixed, values, 0.0).ravel()
    free = np.flatnonzero(~held)
    rhs = (load.ravel() - K @ u)[free]
    with linsolve.factorize(K[free][:, free]) as factor:
        u[free] = factor.solve(rhs)
    return np.asarray(u.reshape(-1, 3))
