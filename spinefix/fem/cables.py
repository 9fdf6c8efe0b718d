"""Ligaments and follower loads: axial force along lines whose direction follows the current configuration.

Both are gradients of an energy of lengths, so tangents are symmetric and rigid motion costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, PPoly
from scipy.sparse import coo_array, csr_array

from spinefix.errors import ConstraintError, MaterialError
from spinefix.fem.items import Configuration, Program, State, Terms
from spinefix.fem.kernels_pattern import scatter_blocks

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


class ForceCurve:
    """A tabulated force-elongation curve, continued by straight lines at both ends.

    Parameters
    ----------
    elongation : (k,) float64 [mm]
        Ascending; of the strand, or over its gauge length where `Cables.gauge` is given [1].
    force : (k,) float64 [N]
    smooth : bool
        Monotone cubic interpolation (no overshoot, continuous stiffness) instead of piecewise linear.
    tension_only : bool
        No force below the first row, which must have none.

    Raises
    ------
    MaterialError
        The table is too short, does not ascend, or starts with a force although `tension_only`.

    Notes
    -----
    Source of the monotone interpolation: Fritsch FN, Butland J (1984), SIAM J Sci Stat Comput 5:300-304.
    """

    def __init__(self, elongation: F64, force: F64, *, smooth: bool = False, tension_only: bool = True) -> None:
        x, y = np.asarray(elongation, np.float64), np.asarray(force, np.float64)
        if len(x) < 2 or x.shape != y.shape or not (np.diff(x) > 0.0).all() or not np.isfinite(y).all():
            raise MaterialError("a force curve needs two rows or more with ascending elongations")
        if tension_only and (y[0] != 0.0 or (y < 0.0).any()):
            raise MaterialError(f"a tension-only curve must start at zero force and never push, got {y.min():g} N")
        if smooth:
            inner = PchipInterpolator(x, y)
            c, slopes = inner.c, inner.derivative()(x[[0, -1]])
        else:
            slope = np.diff(y) / np.diff(x)
            c, slopes = np.stack([slope, y[:-1]]), slope[[0, -1]]
        ends = np.zeros((len(c), 2))
        ends[-2:, 1] = slopes[1], y[-1]
        reach = 10.0 * (np.abs(x).max() + 1.0)
        before = 0.0 if tension_only else slopes[0]
        ends[-2:, 0] = before, y[0] - before * reach
        grid = np.concatenate([[x[0] - reach], x, [x[-1] + reach]])
        self._force = PPoly(np.hstack([ends[:, :1], c, ends[:, 1:]]), grid)
        self._stiffness = self._force.derivative()
        self._energy = self._force.antiderivative()
        self._rest = float(self._energy(0.0))

    def __call__(self, elongation: F64) -> tuple[F64, F64, F64]:
        """Return energy [N mm], force [N] and stiffness [N/mm] at elongations of any shape."""
        return (
            np.asarray(self._energy(elongation) - self._rest),
            np.asarray(self._force(elongation)),
            np.asarray(self._stiffness(elongation)),
        )


@dataclass(frozen=True)
class Cables:
    """Strands between pairs of nodes, each with a force that depends on its length.

    Parameters
    ----------
    name : str
        Region name, e.g. ``L3-L4.ligament.supraspinous``.
    points : (n, 3) float64 [mm]
        At rest.
    nodes : (s, 2) int32
    curve : ForceCurve
    factor : (s,) float64 [1]
        Share of the curve's force that each strand takes.
    slack : (s,) float64 [mm] or None
        Unstressed length less the length at rest; negative: pretensioned.
    gauge : (s,) float64 [mm] or None
        Length over which the elongation counts: the curve is then in terms of strain.
    """

    name: str
    points: F64
    nodes: I32
    curve: ForceCurve
    factor: F64
    slack: F64 | None = None
    gauge: F64 | None = None

    def __post_init__(self) -> None:
        bad = ~(self.unstressed > 0.0)
        if bad.any():
            i = int(np.argmax(bad))
            raise ConstraintError(f"strand {i} of {self.name} has an unstressed length of {self.unstressed[i]:.3g} mm")

    @property
    def unstressed(self) -> F64:
        """Unstressed lengths (s,) [mm]."""
        a, b = self.nodes.T
        rest = np.linalg.norm(self.points[b] - self.points[a], axis=1)
        return np.asarray(rest if self.slack is None else rest + self.slack)

    def cliques(self) -> Sequence[I32]:
        """Pairs of nodes."""
        return (self.nodes,)

    def start(self) -> State:
        """No history."""
        return ()

    def response(self, x: Configuration) -> tuple[F64, F64, F64, F64, F64]:
        """Return energy (s,) [N mm], force (s,) [N], stiffness (s,) [N/mm], length (s,) [mm] and direction (s, 3)."""
        a, b = self.nodes.T
        now = self.points + x.u
        line = now[b] - now[a]
        length = np.linalg.norm(line, axis=1)
        rest = self.unstressed
        unit = np.ones_like(rest) if self.gauge is None else self.gauge
        energy, force, stiffness = self.curve((length - rest) / unit)
        share = self.factor
        direction = line / np.maximum(length, 1e-300)[:, None]
        return share * unit * energy, share * force, share * stiffness / unit, length, direction

    def energy(self, x: Configuration, state: State) -> float:
        """Return the stored energy [N mm]."""
        return float(self.response(x)[0].sum())

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        _, force, stiffness, length, e = self.response(x)
        pull = force[:, None] * e
        np.add.at(out.internal, self.nodes[:, 1], pull)
        np.add.at(out.internal, self.nodes[:, 0], -pull)
        if out.data is not None:
            along = e[:, :, None] * e[:, None, :]
            across = (force / np.maximum(length, 1e-300))[:, None, None] * (np.eye(3) - along)
            k = stiffness[:, None, None] * along + across
            pair = np.array([[1.0, -1.0], [-1.0, 1.0]])
            blocks = np.einsum("ab,sij->sabij", pair, k)
            scatter_blocks(np.ascontiguousarray(blocks), out.pattern.maps[first], out.data)
        return ()


@dataclass(frozen=True)
class FollowerLoad:
    """A compressive load guided along a path of points, its force the same in every segment.

    As a cable of tension N that runs through guides without friction: its potential is N times its length. With the
    guides at the centres of the vertebral bodies the load follows the curve of the spine and bends it little.

    Parameters
    ----------
    name : str
    points : (n, 3) float64 [mm]
        At rest.
    guides : csr (g, n) [1]
        Each guide is a weighted mean of nodes (rows sum to one), from one end of the path to the other; few nodes per
        guide keep the tangent sparse.
    tension : Program of () [N]

    Notes
    -----
    Source: Patwardhan AG, Havey RM, Meade KP, Lee B, Dunlap B (1999), A follower load increases the load-carrying
    capacity of the lumbar spine in compression, Spine 24:1003-1009.
    """

    name: str
    points: F64
    guides: csr_array
    tension: Program

    def __post_init__(self) -> None:
        total = np.asarray(self.guides.sum(axis=1))
        if self.guides.shape[0] < 2 or not np.allclose(total, 1.0, atol=1e-9):
            raise ConstraintError(f"{self.name}: needs two guides or more whose weights sum to one")
        if (np.linalg.norm(np.diff(self.guides @ self.points, axis=0), axis=1) <= 0.0).any():
            raise ConstraintError(f"{self.name}: two neighbouring guides coincide")

    def cliques(self) -> Sequence[I32]:
        """None; the tangent is loose."""
        return ()

    def start(self) -> State:
        """No history."""
        return ()

    def energy(self, x: Configuration, state: State) -> float:
        """Loads store nothing."""
        return 0.0

    def path(self, x: Configuration) -> F64:
        """Return the guides (g, 3) [mm] in a configuration."""
        return np.asarray(self.guides @ (self.points + x.u))

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        N = float(self.tension.at(time))
        line = np.diff(self.path(x), axis=0)
        length = np.linalg.norm(line, axis=1)
        e = line / length[:, None]
        at_guides = np.zeros((self.guides.shape[0], 3))
        at_guides[:-1] += N * e
        at_guides[1:] -= N * e
        out.external[: len(self.points)] += self.guides.T @ at_guides
        if out.wants_tangent and N != 0.0:
            out.loose.append(self._tangent(N / length, e, 3 * x.n_blocks))
        return ()

    def _tangent(self, ratio: F64, e: F64, n_dof: int) -> csr_array:
        """Geometric stiffness N / l (1 - e e^T) of each segment, between the nodes of its guides."""
        k = ratio[:, None, None] * (np.eye(3) - e[:, :, None] * e[:, None, :])
        segments = np.arange(len(ratio))
        g = self.guides.shape[0]
        total = csr_array((3 * g, 3 * g))
        for a, b, sign in ((0, 0, 1.0), (1, 1, 1.0), (0, 1, -1.0), (1, 0, -1.0)):
            row = np.broadcast_to(3 * (segments + a)[:, None, None] + np.arange(3)[:, None], k.shape)
            col = np.broadcast_to(3 * (segments + b)[:, None, None] + np.arange(3), k.shape)
            total = total + csr_array(coo_array((sign * k.ravel(), (row.ravel(), col.ravel())), shape=total.shape))
        table = coo_array(self.guides)
        row = (3 * table.row[:, None] + np.arange(3)).ravel()
        col = (3 * table.col[:, None] + np.arange(3)).ravel()
        W = csr_array(coo_array((np.repeat(table.data, 3), (row, col)), shape=(3 * g, n_dof)))
        return csr_array(W.T @ total @ W)
