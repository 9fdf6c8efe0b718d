"""Random configurations, and finite differences of an item."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from spinefix.fem import rotations
from spinefix.fem.items import Configuration, Terms
from spinefix.fem.pattern import BlockPattern


def random_configuration(n_points, n_rotations, amount=0.3, turn=1.0, seed=0):
    """All points displaced at random on top of a common large rotation."""
    rng = np.random.default_rng(seed)
    u = amount * rng.uniform(-1, 1, (n_points, 3))
    R = rotations.exp(amount * rng.uniform(-1, 1, (n_rotations, 3)))
    return Configuration(u, rotations.exp(turn * np.array([0.5, -0.3, 0.8])) @ R)


def evaluate(item, x, time=1.0, tangent=False, state=None):
    """Residual (n_dof,), tangent (n_dof, n_dof) and energy of one item."""
    cliques = item.cliques()
    pattern = BlockPattern.build(x.n_blocks, cliques, threads=1)
    terms = Terms.zeros(pattern, tangent=tangent)
    state = item.start() if state is None else state
    item.evaluate(x, time, state, terms, 0)
    r = (terms.internal - terms.external).ravel()
    if not tangent:
        return r, None, item.energy(x, state)
    n = 3 * x.n_blocks
    K = sp.bsr_array((terms.data, pattern.indices, pattern.indptr), shape=(n, n)).toarray()
    for more in terms.loose:
        K = K + more.toarray()
    for U, V in terms.low_rank:
        K = K + U @ V.T
    return r, K, item.energy(x, state)


def difference_tangent(item, x, h=1e-6, time=1.0):
    """Central differences of residual and energy in displacements and spins."""
    n = 3 * x.n_blocks
    K, g = np.empty((n, n)), np.empty(n)
    for i in range(n):
        step = np.zeros(n)
        step[i] = h
        plus, _, e1 = evaluate(item, x.moved(step.reshape(-1, 3)), time)
        minus, _, e0 = evaluate(item, x.moved(-step.reshape(-1, 3)), time)
        K[:, i], g[i] = (plus - minus) / (2 * h), (e1 - e0) / (2 * h)
    return K, g
