"""Deformation and response of finite-strain solids at their integration points, some elements at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinefix.fem import kernels_enhanced as enhanced
from spinefix.fem import kernels_finite as kernels
from spinefix.fem.finite_groups import FiniteGroup, FiniteState, inverted, unsettled, without_answer

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

CHUNK = 256
"""Elements whose integration points go through the law together: small enough for the cache."""

SETTLED, SETTLED_PLASTIC = 1e-7, 1e-9
"""Step [1] of the amplitudes of enhanced elements below which the last one may be taken linearly: the error is its
square where the law is smooth, but up to the step itself where plastic points change sides.
"""

TINY = 1e-8
"""Step below which round-off may hide a fall of the energy."""

MAX_SETTLING = (8, 80)
"""Evaluations of an element's law while its amplitudes settle by plain Newton steps, and then downhill."""


@dataclass(frozen=True)
class Chunk:
    """Kinematics and response of some elements: views into work arrays that the next chunk overwrites.

    Attributes
    ----------
    elements : (t,) int32
        Rows of the group.
    g : (t, r, m) float64 [1/mm]
        Spatial gradients, row 3 q + i.
    F : (t, q, 3, 3) float64
        Deformation gradients that the law was given.
    dv, dv_now : (t, q) float64 [mm^3]
        Volumes at rest and now.
    W, S, C : (t, q), (t, q, 6), (t, q, 6, 6) float64 [MPa]
        Response of the law; C only where wanted.
    modes : Modes or None
        Of enhanced elements.
    spatial : bool
        S and C are Kirchhoff stress and spatial tangent.
    """

    elements: I32
    g: F64
    F: F64
    dv: F64
    dv_now: F64
    W: F64
    S: F64
    C: F64
    modes: Modes | None = None
    spatial: bool = False


@dataclass(frozen=True)
class Modes:
    """What enhanced elements have besides; see `spinefix.fem.kernels_enhanced`."""

    F0: F64
    G0: F64
    base: F64
    shape: F64


def formulation_code(group: FiniteGroup) -> int:
    """Return the code of the formulation in `kernels_finite`."""
    return kernels.MEAN_DILATATION if group.formulation == "mean_dilatation" else kernels.STANDARD


def chunks(
    points: F64,
    group: FiniteGroup,
    u: F64,
    state: FiniteState,
    elements: I32,
    tangent: int,
    *,
    keep: bool,
    spatial: bool = False,
) -> Iterator[Chunk]:
    """Evaluate the law over `elements`; the new state is kept in `state` if asked.

    With `spatial`, S and C are Kirchhoff stress and spatial tangent where the law offers that (`Chunk.spatial` tells).

    Raises
    ------
    InvertedElement, ElementFailure
    """
    if group.enhanced:
        return _enhanced_chunks(points, group, u, state, elements, tangent, keep)
    return _chunks(points, group, u, state, elements, tangent, keep, spatial and group.law.spatial is not None)


def _chunks(
    points: F64,
    group: FiniteGroup,
    u: F64,
    state: FiniteState,
    elements: I32,
    tangent: int,
    keep: bool,
    spatial: bool,
) -> Iterator[Chunk]:
    """Elements whose gradients follow from the displacements."""
    dN, w = group.tables
    q, m, s = len(w), group.conn.shape[1], group.n_state
    size = min(CHUNK, len(elements))
    g = np.zeros((size, 4 * ((3 * q + 3) // 4), m))
    F, S, C = np.empty((size, q, 3, 3)), np.empty((size, q, 6)), np.empty((size if tangent else 1, q, 6, 6))
    dv, dv_now, W = np.empty((size, q)), np.empty((size, q)), np.empty((size, q))
    new = np.empty((size, q, s))
    for start in range(0, len(elements), size or 1):
        some = elements[start : start + size]
        n = len(some)
        status = kernels.finite_kinematics(
            points, group.conn, u, dN, w, formulation_code(group), some, g[:n], F[:n], dv[:n], dv_now[:n]
        )
        if status != 0:
            raise inverted(points, group, u, status - 1)
        _respond(points, group, state, some, F[:n], tangent, W[:n], S[:n], C[:n], new[:n], spatial)
        if s and keep:
            state.new[some] = new[:n]
        yield Chunk(some, g[:n], F[:n], dv[:n], dv_now[:n], W[:n], S[:n], C[:n], spatial=spatial)


def _respond(
    points: F64, group: FiniteGroup, state: FiniteState, some: I32, F: F64, tangent: int,
    out_W: F64, out_S: F64, out_C: F64, out_new: F64, spatial: bool = False,
) -> None:  # fmt: skip
    """Call the law at all points of `some` elements with gradients F (t, q, 3, 3)."""
    n, q = F.shape[:2]
    s = group.n_state
    rows = np.repeat(group.param_id[some], q)
    axes = np.repeat(group.axes[some], q, axis=0)
    C = out_C.reshape(-1, 6, 6) if tangent else np.empty((n * q, 6, 6))
    update = group.law.spatial if spatial and group.law.spatial is not None else group.law.update
    status = update(
        F.reshape(-1, 3, 3), rows, group.params, axes, state.old[some].reshape(n * q, s), tangent,
        out_W.reshape(-1), out_S.reshape(-1, 6), C, out_new.reshape(n * q, s),
    )  # fmt: skip
    if status != 0:
        raise without_answer(points, group, int(some[(status - 1) // q]))


def _enhanced_chunks(
    points: F64, group: FiniteGroup, u: F64, state: FiniteState, elements: I32, tangent: int, keep: bool
) -> Iterator[Chunk]:
    """Enhanced elements, their amplitudes settled; tangents of the law always, the modes need them."""
    dN, w = group.tables
    q, m = len(w), group.conn.shape[1]
    size = min(CHUNK, len(elements))
    G, G0, h = np.empty((size, 3 * q, m)), np.empty((size, 3, m)), np.empty((size, 3 * q, m))
    base, shape, F0 = np.empty((size, 3, 3)), np.empty((size, q, 6)), np.empty((size, 3, 3))
    F, S, C = np.empty((size, q, 3, 3)), np.empty((size, q, 6)), np.empty((size, q, 6, 6))
    dv, dv_now, W = np.empty((size, q)), np.empty((size, q)), np.empty((size, q))
    new = np.empty((size, q, group.n_state))
    for start in range(0, len(elements), size or 1):
        some = elements[start : start + size]
        n = len(some)
        status = enhanced.enhanced_reference(
            points, group.conn, dN, w, group.centre, group.modes, some, G, G0, base, shape, dv
        )
        if status != 0:
            raise inverted(points, group, u, status - 1)
        modes = Modes(F0[:n], G0[:n], base[:n], shape[:n])
        chunk = Chunk(some, h[:n], F[:n], dv[:n], dv_now[:n], W[:n], S[:n], C[:n], modes)
        amplitudes = _settle(points, group, u, state, chunk, modes, G[:n], new[:n])
        if keep:
            state.new[some] = new[:n]
            state.new_modes[some] = amplitudes
        yield chunk


def _settle(
    points: F64, group: FiniteGroup, u: F64, state: FiniteState, c: Chunk, modes: Modes, G: F64, new: F64
) -> F64:
    """Find the amplitudes that balance each element; the chunk is filled just before the last, linear step.

    Newton's method from the amplitudes of the last increment: first as it is, which is quick even where the volume
    hardly yields; elements that do not settle start again and go strictly downhill, which plasticity may need.
    Elements leave the loop one by one, so none depends on its neighbours.

    Returns
    -------
    (t, 12) float64
    """
    alpha = state.old_modes[c.elements]
    active = np.arange(len(alpha), dtype=np.int32)
    for downhill, evaluations in enumerate(MAX_SETTLING):
        active = _newton(points, group, u, state, c, modes, G, new, alpha, active, downhill, evaluations)
        if not len(active):
            return alpha
        alpha[active] = state.old_modes[c.elements[active]]
    raise unsettled(points, group, int(c.elements[active[0]]))


def _newton(
    points: F64, group: FiniteGroup, u: F64, state: FiniteState, c: Chunk, modes: Modes, G: F64, new: F64,
    alpha: F64, active: I32, downhill: int, evaluations: int,
) -> I32:  # fmt: skip
    """Improve the amplitudes of some rows of a chunk in place; return those that have not settled.

    A step that turns an element inside out is halved; with `downhill` = 1 also one that raises the energy.
    """
    settled = SETTLED_PLASTIC if group.n_state else SETTLED
    before, least, step = alpha.copy(), np.full(len(alpha), np.inf), np.zeros_like(alpha)
    for evaluation in range(evaluations):
        enhanced.enhanced_kinematics(
            group.conn, u, c.elements, active, alpha, G, modes.G0, modes.base, modes.shape, c.dv,
            c.g, modes.F0, c.F, c.dv_now,
        )  # fmt: skip
        fits = np.asarray((c.dv_now[active] > 0.0).all(axis=1))
        if evaluation == 0 and not fits.all():
            raise inverted(points, group, u, int(c.elements[active[np.argmin(fits)]]))
        valid = active[fits]
        _respond_some(points, group, state, c, valid, new)
        energy = np.einsum("tq,tq,tq->t", c.W[valid], c.dv[valid], group.scale[c.elements[valid]])
        tiny = np.abs(step[valid]).max(axis=1) < TINY
        lower = (energy <= least[valid] + 1e-12 * np.abs(energy)) | tiny | (downhill == 0)
        fits[fits] = lower
        better, worse = active[fits], active[~fits]
        least[better], before[better] = energy[lower], alpha[better]
        step[worse] *= 0.5
        status = enhanced.mode_steps(
            c.elements, better, modes.F0, c.F, c.S, c.C, c.dv, group.scale, modes.base, modes.shape, downhill, step
        )
        if status != 0:
            raise unsettled(points, group, status - 1)
        alpha[active] = before[active] + step[active]
        active = active[~fits | (np.abs(step[active]).max(axis=1) > settled)]
        if not len(active):
            break
    return active


def _respond_some(points: F64, group: FiniteGroup, state: FiniteState, c: Chunk, some: I32, new: F64) -> None:
    """Call the law for some rows of a chunk."""
    if len(some) == len(c.elements):
        _respond(points, group, state, c.elements, c.F, 1, c.W, c.S, c.C, new)
        return
    W, S, C, got = (np.empty((len(some), *a.shape[1:])) for a in (c.W, c.S, c.C, new))
    _respond(points, group, state, c.elements[some], c.F[some], 1, W, S, C, got)
    c.W[some], c.S[some], c.C[some], new[some] = W, S, C, got
