"""Configurations away from rest, and central differences of items of nonlinear analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from spinefix.fem import rotations
from spinefix.fem.items import Configuration, Item, State, Terms
from spinefix.fem.pattern import BlockPattern
from spinefix.mesh.core import F64, I32

STEP = 1e-6
"""Of the differences [mm, rad]: near the cube root of round-off, where truncation and cancellation balance."""


def random_configuration(
    n_points: int, n_rotations: int, amount: float = 0.3, turn: float = 1.0, seed: int = 0
) -> Configuration:
    """Return points displaced at random and rotations near a common large one."""
    rng = np.random.default_rng(seed)
    u = amount * rng.uniform(-1, 1, (n_points, 3))
    R = rotations.exp(amount * rng.uniform(-1, 1, (n_rotations, 3)))
    return Configuration(u, rotations.exp(turn * np.array([0.5, -0.3, 0.8])) @ R)


def turned(points: F64, x: Configuration, Q: F64, shift: float = 0.0) -> Configuration:
    """Return a configuration after a rigid motion on top."""
    return Configuration((points + x.u) @ Q.T + shift - points, Q @ x.R)


def evaluate(
    item: Item,
    x: Configuration,
    time: float = 1.0,
    *,
    tangent: bool = False,
    state: State | None = None,
    pattern: BlockPattern | None = None,
) -> tuple[F64, F64, float]:
    """Return residual (n_dof,), tangent (n_dof, n_dof; empty unless wanted) and energy of one item.

    Parameters
    ----------
    state : State, optional
        Of the item; that at rest by default.
    pattern : BlockPattern, optional
        Made of the item's cliques; built here by default.
    """
    pattern = pattern or BlockPattern.build(x.n_blocks, item.cliques(), threads=1)
    terms = Terms.zeros(pattern, tangent=tangent)
    old = item.start() if state is None else state
    item.evaluate(x, time, old, terms, 0)
    r = (terms.internal - terms.external).ravel()
    n = 3 * x.n_blocks
    K = np.zeros((0, 0))
    if tangent:
        blocks: Any = (terms.data, pattern.indices, pattern.indptr)
        K = np.asarray(sp.bsr_array(blocks, shape=(n, n)).toarray())
        for more in (*terms.loose, *terms.unsymmetric):
            K = K + more.toarray()
        for U, V in terms.low_rank:
            K = K + U @ V.T
        for part in terms.dense:
            K[np.ix_(part.dofs, part.dofs)] += part.matrix()
    return r, K, item.energy(x, old)


def differences(
    item: Item, x: Configuration, columns: I32, *, time: float = 1.0, state: State | None = None, h: float = STEP
) -> tuple[F64, F64]:
    """Return central differences of residual (n_dof, c) and energy (c,) in displacements and spins.

    Parameters
    ----------
    columns : (c,) int32
        Dofs that are changed, one at a time.
    """
    n = 3 * x.n_blocks
    K, g = np.empty((n, len(columns))), np.empty(len(columns))
    pattern = BlockPattern.build(x.n_blocks, item.cliques(), threads=1)
    for i, dof in enumerate(columns):
        step = np.zeros(n)
        step[dof] = h
        ends = (x.moved(step.reshape(-1, 3)), x.moved(-step.reshape(-1, 3)))
        (plus, _, e1), (minus, _, e0) = (evaluate(item, y, time, state=state, pattern=pattern) for y in ends)
        K[:, i], g[i] = (plus - minus) / (2 * h), (e1 - e0) / (2 * h)
    return K, g


def some_dofs(x: Configuration, most: int = 60, among: I32 | None = None) -> I32:
    """Return dofs at random, all if there are no more than `most`; blocks of rotations always, among `among` [all]."""
    every = np.arange(3 * x.n_blocks) if among is None else np.asarray(among)
    turning = every[every >= 3 * len(x.u)]
    rest = every[every < 3 * len(x.u)]
    few = np.random.default_rng(8).permutation(rest)[: max(most - len(turning), 0)]
    return np.sort(np.concatenate([few, turning])).astype(np.int32)
