"""Co-rotational Timoshenko beams: finite displacements and rotations, small strains.

A frame follows the chord of each element and the mean of its end rotations; in it the linear stiffness of
`spinefix.fem.beams`, or the fibre sections of `spinefix.fem.beams_plastic` where bars may yield, acts on the elongation
and on the rotation vectors of the ends. Forces are the exact gradient of that energy. The tangent in spins is exact
too; its symmetric part is assembled (`spinefix.fem.items` says why that loses nothing).

Sources: Crisfield MA (1990), A consistent co-rotational formulation for non-linear, three-dimensional beam-elements,
Comput Methods Appl Mech Eng 81:131-150; Battini JM, Pacoste C (2002), Co-rotational beam elements with warping effects
in instability problems, Comput Methods Appl Mech Eng 191:1755-1789, section 3 (notation followed here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spinefix.fem import rotations
from spinefix.fem.beams import BeamGroup, beam_blocks, beam_lengths, local_stiffness
from spinefix.fem.beams_plastic import FibreBeams, Yielding
from spinefix.fem.items import Configuration, State, Terms
from spinefix.fem.kernels_pattern import scatter_blocks
from spinefix.fem.kinematics import cross_matrix

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

_LOCAL = np.array([6, 3, 4, 5, 9, 10, 11])
"""Elongation, rotations of node 0, rotations of node 1, among the twelve dofs of `local_stiffness`."""


@dataclass(frozen=True)
class _Frames:
    """Co-rotated frames and local deformations of beams.

    axes (b, 3, 3) with the unit vectors as columns; length (b,); deformation (b, 7): elongation and two rotation
    vectors in local axes; q, q0, q1 (b, 3): the directions that fix the second axis, in local axes.
    """

    axes: F64
    length: F64
    deformation: F64
    q: F64
    q0: F64
    q1: F64


@dataclass(frozen=True)
class FiniteBeams:
    """An item of co-rotational beams.

    Parameters
    ----------
    points : (n, 3) float64 [mm]
    group : BeamGroup
    rotation_index : (n,) int32
    name : str
    yielding : Yielding, optional
        Plasticity of solid round bars; elastic without.

    Raises
    ------
    MaterialError
        Bars that may yield are not solid and round.
    """

    points: F64
    group: BeamGroup
    rotation_index: I32
    name: str = "beams"
    yielding: Yielding | None = None

    def __post_init__(self) -> None:
        _ = self.fibres

    @cached_property
    def fibres(self) -> FibreBeams | None:
        """The sections of bars that may yield."""
        if self.yielding is None:
            return None
        return FibreBeams(self.group, beam_lengths(self.points, self.group), self.yielding)

    def cliques(self) -> Sequence[I32]:
        """Four blocks of each beam."""
        return (beam_blocks(self.group, self.rotation_index, len(self.points)),)

    def start(self) -> State:
        """Plastic strains of the fibres, where bars may yield."""
        return () if self.fibres is None else (self.fibres.virgin(),)

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        frames = self.frames(x)
        K, local, new, _ = self._respond(frames.deformation, state)
        force, tangent = _global(frames, K, local, out.wants_tangent)
        np.add.at(out.internal, self.cliques()[0], force.reshape(-1, 4, 3))
        if out.data is not None:
            symmetric = 0.5 * (tangent + tangent.transpose(0, 2, 1))
            blocks = symmetric.reshape(-1, 4, 3, 4, 3).transpose(0, 1, 3, 2, 4)
            scatter_blocks(np.ascontiguousarray(blocks), out.pattern.maps[first], out.data)
        return new

    def energy(self, x: Configuration, state: State) -> float:
        """Return the strain energy [N mm]; where bars may yield, elastic energy plus plastic work."""
        return float(self._respond(self.frames(x).deformation, state)[3])

    def _respond(self, deformation: F64, state: State) -> tuple[F64, F64, State, float]:
        """Stiffness (b, 7, 7), local forces (b, 7), new state and energy at local deformations (b, 7)."""
        if self.fibres is None:
            K = self._stiffness()
            local = np.einsum("bij,bj->bi", K, deformation)
            return K, local, (), float(0.5 * np.einsum("bi,bi->", local, deformation))
        r = self.fibres.respond(deformation, state[0])
        return r.stiffness, r.force, (r.state,), float(r.energy.sum())

    def _stiffness(self) -> F64:
        """Stiffness (b, 7, 7) against elongation and end rotations."""
        return np.asarray(local_stiffness(self.points, self.group)[:, _LOCAL[:, None], _LOCAL])

    def frames(self, x: Configuration) -> _Frames:
        """Return frames and deformations in a configuration."""
        conn, rest = self.group.conn, self.group.axes.transpose(0, 2, 1)
        chord = self.points[conn[:, 1]] - self.points[conn[:, 0]]
        du = x.u[conn[:, 1]] - x.u[conn[:, 0]]
        L = beam_lengths(self.points, self.group)
        length = np.linalg.norm(chord + du, axis=1)
        # (l^2 - L^2) / (l + L), written without the difference of nearly equal squares
        elongation = np.einsum("bi,bi->b", 2.0 * chord + du, du) / (length + L)
        turned = x.R[self.rotation_index[conn]] @ rest[:, None]
        e1 = (chord + du) / length[:, None]
        q0, q1 = turned[:, 0, :, 1], turned[:, 1, :, 1]
        q = 0.5 * (q0 + q1)
        e3 = np.cross(e1, q)
        e3 = e3 / np.linalg.norm(e3, axis=1, keepdims=True)
        axes = np.stack([e1, np.cross(e3, e1), e3], axis=2)
        inward = axes.transpose(0, 2, 1)
        local = rotations.log(inward[:, None] @ turned)
        deformation = np.concatenate([elongation[:, None], local.reshape(-1, 6)], axis=1)
        q, q0, q1 = (np.einsum("bij,bj->bi", inward, v) for v in (q, q0, q1))
        return _Frames(axes, length, deformation, q, q0, q1)

    def end_forces(self, x: Configuration, state: State = ()) -> F64:
        """Return the section forces (b, 2, 6) [N, N mm] in the co-rotated axes, signs as in `beams.beam_end_forces`.

        `state` is that of the increment, for bars that may yield; virgin by default.
        """
        local = self._respond(self.frames(x).deformation, state or self.start())[1]
        L = beam_lengths(self.points, self.group)
        out = np.zeros((len(self.group), 2, 6))
        out[:, :, 0] = local[:, :1]
        out[:, 0, 3:], out[:, 1, 3:] = -local[:, 1:4], local[:, 4:7]
        # Moments of the ends balance a couple of transverse forces.
        out[:, :, 1] = -((local[:, 3] + local[:, 6]) / L)[:, None]
        out[:, :, 2] = ((local[:, 2] + local[:, 5]) / L)[:, None]
        return out


def _global(frames: _Frames, K: F64, local: F64, tangent: bool) -> tuple[F64, F64]:
    """Forces (b, 12) in global axes and the tangent (b, 12, 12) in spins (empty unless wanted).

    `local` (b, 7) is conjugate to the local deformation, K (b, 7, 7) its derivative.
    """
    b = len(local)
    E = np.zeros((b, 12, 12))
    for i in range(0, 12, 3):
        E[:, i : i + 3, i : i + 3] = frames.axes
    r = np.zeros((b, 12))
    r[:, 0:3], r[:, 6:9] = -frames.axes[:, :, 0], frames.axes[:, :, 0]
    G = _spin_of_frame(frames)
    P = np.zeros((b, 6, 12))
    P[:, 0:3, 3:6] = P[:, 3:6, 9:12] = np.eye(3)
    P -= np.concatenate([G, G], axis=1)
    B = np.concatenate([r[:, None], P @ E.transpose(0, 2, 1)], axis=1)
    H = np.zeros((b, 7, 7))  # spins of the ends in the frame -> rates of the local deformation
    H[:, 0, 0] = 1.0
    theta = frames.deformation[:, 1:].reshape(b, 2, 3)
    inverse = rotations.inverse_spin_operator(theta)
    H[:, 1:4, 1:4], H[:, 4:7, 4:7] = inverse[:, 0], inverse[:, 1]
    conjugate = np.einsum("bji,bj->bi", H, local)
    force = np.einsum("bji,bj->bi", B, conjugate)
    if not tangent:
        return force, np.zeros((0, 12, 12))
    K = H.transpose(0, 2, 1) @ K @ H
    change = rotations.moment_derivative(theta, local[:, 1:].reshape(b, 2, 3)) @ inverse
    K[:, 1:4, 1:4] += change[:, 0]
    K[:, 4:7, 4:7] += change[:, 1]
    out = B.transpose(0, 2, 1) @ K @ B
    out += _chord_tangent(frames, conjugate[:, 0])
    n = np.einsum("bji,bj->bi", P, conjugate[:, 1:]).reshape(b, 4, 3)
    Q = cross_matrix(n).reshape(b, 12, 3)
    out -= E @ Q @ G @ E.transpose(0, 2, 1)
    change = _change_of_spin(frames, P, conjugate[:, 1:4] + conjugate[:, 4:7])
    out -= E @ change @ E.transpose(0, 2, 1)
    return force, out


def _spin_of_frame(frames: _Frames) -> F64:
    """Spin of the frame as a function of the nodal displacements and spins, all in local axes; (b, 3, 12)."""
    size, length = frames.q[:, 1], frames.length
    eta = frames.q[:, 0] / size
    G = np.zeros((len(length), 3, 12))
    G[:, 0, 2], G[:, 0, 8] = eta / length, -eta / length
    G[:, 0, 3], G[:, 0, 4] = 0.5 * frames.q0[:, 1] / size, -0.5 * frames.q0[:, 0] / size
    G[:, 0, 9], G[:, 0, 10] = 0.5 * frames.q1[:, 1] / size, -0.5 * frames.q1[:, 0] / size
    G[:, 1, 2], G[:, 1, 8] = 1.0 / length, -1.0 / length
    G[:, 2, 1], G[:, 2, 7] = -1.0 / length, 1.0 / length
    return G


def _change_of_spin(frames: _Frames, P: F64, m: F64) -> F64:
    """Derivative (b, 12, 12) of G^T m at constant m (b, 3) by displacements and spins, all in local axes."""
    q, q0, q1 = frames.q, frames.q0, frames.q1
    size, length = q[:, 1, None], frames.length[:, None]
    dq0, dq1 = -cross_matrix(q0) @ P[:, 0:3], -cross_matrix(q1) @ P[:, 3:6]
    dq = 0.5 * (dq0 + dq1)
    eta = q[:, 0, None] / size
    deta = (dq[:, 0] - eta * dq[:, 1]) / size
    dlength = np.zeros((len(m), 12))
    dlength[:, 0], dlength[:, 6] = -1.0, 1.0
    m0, m1, m2 = m[:, 0, None], m[:, 1, None], m[:, 2, None]
    out = np.zeros((len(m), 12, 12))
    out[:, 1] = m2 / length**2 * dlength
    out[:, 2] = m0 * deta / length - (eta * m0 + m1) / length**2 * dlength
    out[:, 7:9] = -out[:, 1:3]
    for row, v, dv in ((3, q0, dq0), (9, q1, dq1)):
        half = 0.5 * m0 / size
        out[:, row] = half * (dv[:, 1] - v[:, 1, None] / size * dq[:, 1])
        out[:, row + 1] = -half * (dv[:, 0] - v[:, 0, None] / size * dq[:, 1])
    return out


def _chord_tangent(frames: _Frames, axial: F64) -> F64:
    """Stiffness of the axial force across the chord, (b, 12, 12)."""
    e = frames.axes[:, :, 0]
    across = (np.eye(3) - e[:, :, None] * e[:, None, :]) * (axial / frames.length)[:, None, None]
    out = np.zeros((len(e), 12, 12))
    out[:, 0:3, 0:3] = out[:, 6:9, 6:9] = across
    out[:, 0:3, 6:9] = out[:, 6:9, 0:3] = -across
    return out
