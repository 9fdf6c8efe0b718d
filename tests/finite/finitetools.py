"""Meshes and groups of the verification, and a bare assembly with Newton's method for finite-strain tests."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg

from spinefix.fem.finite import FiniteState, assemble_finite, strain_energy
from spinefix.fem.pattern import BlockPattern
from spinefix.verification.bodies import FINITE as ALL
from spinefix.verification.bodies import finite_group as group
from spinefix.verification.meshes import distorted
from spinefix.verification.meshes import solid_box as mesh_of

__all__ = ["ALL", "Body", "distorted", "group", "mesh_of"]


class Body:
    """One group with its pattern and state."""

    def __init__(self, points, g, threads=1):
        self.points, self.group = points, g
        self.pattern = BlockPattern.build(len(points), [g.conn], threads=threads)
        self.state = FiniteState.virgin(g)

    def __call__(self, u):
        """Tangent (csr) and internal force (n, 3)."""
        p = self.pattern
        data, force = np.full((len(p.indices), 3, 3), np.nan), np.full((p.n_blocks, 3), np.nan)
        assemble_finite(self.points, [self.group], u, [self.state], p, data, force)
        size = 3 * p.n_blocks
        return sp.csr_array(sp.bsr_array((data, p.indices, p.indptr), shape=(size, size)).tocsr()), force

    def energy(self, u):
        return strain_energy(self.points, self.group, u, self.state).sum()

    def solve(self, fixed, values, load=None, u=None, steps=1, tolerance=1e-10):
        """Newton's method with prescribed `values` where `fixed` (n, 3), reached in equal steps."""
        u = np.zeros_like(self.points) if u is None else u.copy()
        free = np.flatnonzero(~fixed.ravel())
        begin, load = u[fixed], np.zeros_like(u) if load is None else load
        for step in range(1, steps + 1):
            # The first iteration carries prescribed changes through the tangent, so that inner nodes follow.
            change = np.where(fixed, values, 0.0)
            change[fixed] = begin + (values[fixed] - begin) * step / steps - u[fixed]
            change[~fixed] = 0.0
            for _ in range(30):
                K, force = self(u)
                rhs = (load * step / steps - force).ravel()[free] - (K @ change.ravel())[free]
                size = max(np.abs(force).max(), np.abs(K.diagonal()).max() * 1e-8)
                if not change.any() and np.abs(rhs).max(initial=0.0) < tolerance * size:
                    break
                if len(free):
                    change.ravel()[free] = scipy.sparse.linalg.spsolve(K[free][:, free].tocsc(), rhs)
                u = u + change
                change[:] = 0.0
            else:
                raise AssertionError("Newton's method did not converge")
            self.state.commit()
        return u
