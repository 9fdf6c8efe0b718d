"""Contact of two surfaces as an item of nonlinear analysis: no tension, with or without Coulomb friction.

Slave quadrature points press on master facets with the nominal pressure p (force per area at rest),

    p = max(0, lambda - k g),   k = stiffness * E A / V = stiffness * E / size,

g the gap, E the modulus and V / A = size the height of the slave element. `stiffness` has no dimension, so results
and iterations do not depend on the units; without lambda the penetration is ``p / E / stiffness`` of the size.
lambda is the pressure at the last accepted increment (augmented Lagrange, one update of Uzawa per increment);
`spinefix.fem.augmentation.settle` repeats updates at constant load until the penetration of all slave facets is below a
tolerance.

Without friction the pressure is the derivative of an energy of the gap alone. The tangent is exact and symmetric, both
sides balance in force and moment.

Friction is a spring between each slave point and an anchor, a material point of the master surface, that drags the
anchor along where it would pull with more than mu p. Its traction does work on the motion of the foot over the facet;
so both sides balance here too. Its tangent leaves out that the anchor moves a little otherwise than the foot. That the
traction of slipping points grows with the pressure makes it unsymmetric.

A part that nothing but contacts hold floats where they part. With `hold`, each slave point has weak springs, normal and
tangential, to where it was over the master surface at the last accepted increment. `settle` repeats that at constant
load, from each answer to the next, until the springs carry next to nothing: the answer is in balance without them, and
of all places where a loose part may be it is near the last one. Where the load drives a part on and on, `settle` gives
up and names the contact. (Proximal point method: Rockafellar RT (1976), SIAM J Control Optim 14:877-898.)

Source: Simo JC, Laursen TA (1992), An augmented Lagrangian treatment of contact problems involving friction, Comput
Struct 42:97-116; integration at the slave quadrature points as in Fischer KA, Wriggers P (2005), Frictionless 2D
contact formulations for finite deformations based on the mortar method, Comput Mech 36:226-244.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.sparse import coo_array, csr_array, eye_array, kron, vstack

from spinefix.errors import UsageError
from spinefix.fem.contact_gap import Pairs, Surfaces, find_pairs, master_functions, pairs_on
from spinefix.fem.items import Configuration, State, Terms
from spinefix.mesh.core import F64, I32, Bool
from spinefix.mesh.locate import closest_facets

_TOUCH = 1e-9
"""Points nearer than this part of their size get stiffness, so that bodies laid on each other are held."""


@dataclass(frozen=True)
class Interface:
    """What an interface can carry.

    Parameters
    ----------
    kind : {"no_tension", "friction"}
        Smooth and unilateral, or unilateral with Coulomb friction. (A bonded interface is a `Tie`.)
    friction : float [1]
        Coefficient of Coulomb friction.
    stiffness : float [1]
        Normal stiffness over E A / V of the slave element.
    sticking : float [1]
        Tangential stiffness over the normal one while a point sticks.
    reach : float [1]
        Points farther from, or deeper in, the master surface than this times their size do not see it.
    fade : float [1]
        Beyond its border the master surface goes on and fades to nothing over this part of half a facet, so that points
        that slide off lose their pressure gradually; 0 for a sharp border.
    penetration : float [1]
        Tolerance of `settle`: mean penetration of the points of a slave facet over their size. (Single points of
        meshes that do not match keep some more; `Report` tells how much.)
    hold : float [1]
        Stiffness over the normal one of the springs that hold slave points where they were at the last increment.
    """

    kind: Literal["no_tension", "friction"] = "no_tension"
    friction: float = 0.0
    stiffness: float = 10.0
    sticking: float = 0.5
    reach: float = 2.0
    fade: float = 0.0
    penetration: float = 1e-3
    hold: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("no_tension", "friction"):
            raise UsageError(f"unknown interface {self.kind!r}; known: no_tension, friction (bonded: use a tie)")
        if self.friction < 0.0 or (self.friction > 0.0) != (self.kind == "friction"):
            raise UsageError(f"an interface of kind {self.kind!r} cannot have a friction of {self.friction:g}")
        if min(self.stiffness, self.sticking, self.reach, self.penetration) <= 0.0:
            raise UsageError("stiffness, sticking, reach and penetration of an interface must be positive")
        if min(self.hold, self.fade) < 0.0 or (self.hold and self.fade):
            raise UsageError("hold and fade of an interface must not be negative, and one of them is zero")


@dataclass(frozen=True)
class Report:
    """A contact in one configuration.

    Attributes
    ----------
    gap : (q,) float64 [mm]
        Positive where apart; infinite where the slave point faces no master facet.
    pressure : (q,) float64 [MPa]
        Nominal, per area at rest.
    traction : (q, 3) float64 [MPa]
        Nominal, on the slave surface: pressure and friction.
    slipping : (q,) bool
        Friction is at its limit.
    slip : (q,) float64 [mm]
        Along the master surface, since rest; not a number where the point faces no master facet now or did not then.
    position : (q, 3) float64 [mm]
        Of the slave points.
    area : float [mm^2]
        At rest, of the slave points under pressure.
    force, moment : (3,) float64 [N], [N mm]
        On the slave surface; the moment about the origin.
    penetration : float [mm]
        Largest, of points under pressure.
    relative_penetration : float [1]
        Largest over size.
    mean_penetration : float [1]
        Over size, mean of the points under pressure of a slave facet, worst facet.
    drag : float [N]
        Sum of the sizes of what the springs of `Interface.hold` carry.
    """

    gap: F64
    pressure: F64
    traction: F64
    slipping: Bool
    slip: F64
    position: F64
    area: float
    force: F64
    moment: F64
    penetration: float
    relative_penetration: float
    mean_penetration: float
    drag: float


@dataclass
class _Action:
    """Tractions on the slave points of some pairs, and their derivatives.

    Parameters
    ----------
    pressure, stiffness : (p,) float64 [MPa], [MPa/mm]
        Along the normal.
    shear, shear_stiffness : (p, 3) float64 [MPa], (p, 3, 3) float64 [MPa/mm]
        In the surface; no rows where nothing acts there.
    shear_by_gap : (p, 3) float64 [MPa/mm]
        What `shear` loses as the gap opens; no rows without friction.
    """

    pressure: F64
    stiffness: F64
    shear: F64
    shear_stiffness: F64
    shear_by_gap: F64

    @classmethod
    def normal(cls, pressure: F64, stiffness: F64, *, shear: bool, friction: bool) -> _Action:
        """Return what acts along the normal, with room for the rest."""
        n, m = len(pressure) * shear, len(pressure) * friction
        return cls(pressure, stiffness, np.zeros((n, 3)), np.zeros((n, 3, 3)), np.zeros((m, 3)))

    def take(self, rows: I32) -> _Action:
        """Return those of some pairs."""
        optional = (self.shear, self.shear_stiffness, self.shear_by_gap)
        return _Action(self.pressure[rows], self.stiffness[rows], *(a[rows] if len(a) else a for a in optional))


@dataclass(frozen=True)
class Contact:
    """Two surfaces in contact, an `Item`.

    The state holds the pressure, lambda in the evaluation, the master facet of each foot (-1 for none); with friction
    the anchors (q, 3): master facet (-1 for none) and facet coordinates; with hold the gap (infinite for none), the
    feet (q, 3), and the size (q,) [MPa] of what the springs carried.

    Parameters
    ----------
    name : str
    surfaces : Surfaces
    modulus : (q,) float64 [MPa]
        Young's modulus of the slave element at each slave point; any fair measure of its stiffness does.
    interface : Interface
    augmented : bool
        False: plain penalty, lambda stays zero.
    offset : (q,) float64 [mm]
        What counts as gap zero; see `fitted`.
    """

    name: str
    surfaces: Surfaces
    modulus: F64
    interface: Interface = Interface()
    augmented: bool = True
    offset: F64 | float = 0.0

    def __post_init__(self) -> None:
        modulus = np.broadcast_to(np.asarray(self.modulus, np.float64), (len(self.surfaces),))
        if not (modulus > 0.0).all():
            raise UsageError(f"contact {self.name!r} needs positive moduli")
        if self.surfaces.patch is not None and self.interface.friction + self.interface.hold > 0.0:
            raise UsageError(f"contact {self.name!r}: smooth surfaces have no friction and do not hold parts in place")
        object.__setattr__(self, "modulus", modulus)
        object.__setattr__(self, "offset", np.broadcast_to(np.asarray(self.offset, np.float64), modulus.shape))

    def fitted(self, within: float) -> Contact:
        """Return the contact with gaps and overlaps at rest of up to `within` [mm] taken for exact contact.

        For parts that were placed against each other but whose meshes do not quite agree. They keep their distance.
        """
        pairs = self._rest
        offset = np.zeros(len(self.surfaces))
        offset[pairs.point] = np.where(np.abs(pairs.gap) <= within, pairs.gap, 0.0)
        return replace(self, offset=offset)

    @cached_property
    def _rest(self) -> Pairs:
        """Pairs at rest."""
        return self._pairs(np.zeros_like(self.surfaces.points))

    @property
    def stiffness(self) -> F64:
        """Normal stiffness (q,) [MPa/mm]."""
        return self.interface.stiffness * self.modulus / self.surfaces.size

    def cliques(self) -> Sequence[I32]:
        """None: who touches whom may change."""
        return ()

    def start(self) -> State:
        """No pressure; anchors where the surfaces face each other at rest."""
        none = np.zeros(len(self.surfaces))
        feet = self._feet(self._rest)
        out: State = (none, none, feet[:, 0])
        out = (*out, feet) if self.interface.friction else out
        return (*out, self._gaps(self._rest), feet, none) if self.interface.hold else out

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        base = state[0] if self.augmented else np.zeros(len(self.surfaces))
        every = self._pairs(x.u, state[2])
        trial, pressure = self._pressure(every, base)
        new = np.zeros(len(self.surfaces))
        new[every.point] = pressure
        stiffness = self.stiffness[every.point]
        touching = trial >= -_TOUCH * stiffness * self.surfaces.size[every.point]
        friction = self.interface.friction > 0.0
        action = _Action.normal(pressure, stiffness * touching, shear=friction, friction=friction)
        feet = self._feet(every)
        states: State = (new, base, feet[:, 0])
        if friction:
            states = (*states, self._add_friction(x, state[3], feet, every, _rows(touching), pressure, action))
        acting = _rows(touching)
        pairs = every.take(acting)
        blocks = self._add(pairs, action.take(acting), out)
        self._add_fading(pairs, pressure[acting], base, out, blocks)
        self._spread(pairs.nodes, blocks, out)
        return (*states, self._gaps(every), feet, self._add_hold(x, state[-3:], out)) if self.interface.hold else states

    def _add_fading(self, pairs: Pairs, pressure: F64, base: F64, out: Terms, blocks: F64) -> None:
        """Add what the energy of points beyond the border loses as they move outwards."""
        rows = _rows(pairs.fades)
        if not len(rows):
            return
        some, p = pairs.take(rows), pressure[rows]
        area = self.surfaces.area[some.point]
        stored = area * (p**2 - base[some.point] ** 2) / (2.0 * self.stiffness[some.point])
        slope = some.share_gradient()
        self._put(out, some.nodes, (stored[:, None] * slope).reshape(*some.nodes.shape, 3))
        if len(blocks):
            mixed = (area * p)[:, None, None] * some.gradient().reshape(slope.shape)[:, :, None] * slope[:, None, :]
            blocks[rows] += stored[:, None, None] * some.share_hessian() - mixed - mixed.transpose(0, 2, 1)

    def _add(self, pairs: Pairs, action: _Action, out: Terms) -> F64:
        """Add the forces of pairs; return the symmetric part of their tangent (p, 3 m, 3 m), or nothing."""
        area = self.surfaces.area[pairs.point] * pairs.share
        gradient = pairs.gradient()
        force = -(area * action.pressure)[:, None, None] * gradient
        # How the foot moves over the facet does not change under rigid motion: neither side gains force or moment.
        slip = pairs.tangents.transpose(0, 2, 1) @ pairs.foot_gradient() if len(action.shear) else np.zeros(0)
        if len(slip):
            force -= area[:, None, None] * np.einsum("pi,pid->pd", action.shear, slip).reshape(gradient.shape)
        self._put(out, pairs.nodes, force)
        if not out.wants_tangent:
            return np.zeros((0, 1, 1))
        flat = gradient.reshape(len(pairs), 3 * pairs.nodes.shape[1])
        blocks = (action.stiffness * area)[:, None, None] * flat[:, :, None] * flat[:, None, :]
        blocks -= (area * action.pressure)[:, None, None] * pairs.hessian()
        if len(slip):
            blocks += slip.transpose(0, 2, 1) @ (area[:, None, None] * action.shear_stiffness) @ slip
        rows = _rows(np.asarray(action.shear_by_gap.any(axis=1)))
        if len(rows):
            side = np.einsum("pi,pid->pd", area[rows, None] * action.shear_by_gap[rows], slip[rows])
            grows = side[:, :, None] * flat[rows, None, :]
            out.unsymmetric.append(self._scattered(pairs.nodes[rows], grows, len(out.internal)))
        return np.asarray(blocks)

    @cached_property
    def _carry(self) -> csr_array | None:
        """Motions of nodes and coefficients of patches from those of the nodes, by component."""
        carry = self.surfaces.carry
        return None if carry is None else csr_array(kron(vstack([eye_array(carry.shape[1]), carry]), np.eye(3)))

    def _put(self, out: Terms, nodes: I32, force: F64) -> None:
        """Add forces (p, m, 3) on nodes and coefficients of patches (p, m)."""
        if self._carry is None:
            np.add.at(out.internal, nodes, force)
            return
        every = np.zeros((self._carry.shape[0] // 3, 3))
        np.add.at(every, nodes, force)
        out.internal[: len(self.surfaces.points)] += (self._carry.T @ every.ravel()).reshape(-1, 3)

    def _spread(self, nodes: I32, blocks: F64, out: Terms) -> None:
        """Add a symmetric tangent, if there is any, see `_scattered`."""
        if len(blocks):
            out.loose.append(self._scattered(nodes, blocks, len(out.internal)))

    def _scattered(self, nodes: I32, blocks: F64, n_blocks: int) -> csr_array:
        """Sum blocks (p, 3 m, 3 m) of nodes and coefficients of patches (p, m) into a matrix."""
        if self._carry is None:
            return _scatter(nodes, blocks, 3 * n_blocks)
        K = coo_array(self._carry.T @ _scatter(nodes, blocks, self._carry.shape[0]) @ self._carry)
        return csr_array((K.data, (K.row, K.col)), shape=(3 * n_blocks, 3 * n_blocks))

    def energy(self, x: Configuration, state: State) -> float:
        """Return the energy [N mm] whose derivative the pressure is; it vanishes with the penetration. No friction."""
        pairs = self._pairs(x.u, state[2])
        base = state[1]
        total, share = np.zeros(len(base)), np.ones(len(base))
        total[pairs.point], share[pairs.point] = self._pressure(pairs, base)[1], pairs.share
        return float(np.sum(self.surfaces.area * share * (total**2 - base**2) / (2.0 * self.stiffness)))

    def report(self, x: Configuration, state: State) -> Report:
        """Return pressures, gaps and resultants of an accepted increment (its configuration and state)."""
        surf = self.surfaces
        pairs = self._pairs(x.u, state[2])
        gap, pressure = self._gaps(pairs), state[0].copy()
        pressure[pairs.point] *= pairs.share
        pressed = pressure[pairs.point] > 0.0
        traction, slipping = np.zeros((len(surf), 3)), np.zeros(len(surf), bool)
        traction[pairs.point] = pressure[pairs.point, None] * pairs.normal
        if self.interface.friction:
            away, _ = self._away(x, state[3], pairs)
            pull = -(self.interface.sticking * self.stiffness[pairs.point])[:, None] * away
            traction[pairs.point] += pull
            limit = self.interface.friction * pressure[pairs.point]
            slipping[pairs.point] = pressed & (np.linalg.norm(pull, axis=1) >= limit * (1.0 - 1e-6))
        slip, at_rest = np.full(len(surf), np.nan), self._feet(self._rest)
        away, _ = self._away(x, at_rest, pairs)
        slip[pairs.point] = np.where(at_rest[pairs.point, 0] >= 0.0, np.linalg.norm(away, axis=1), np.nan)
        position, _ = surf.place(surf.at(x.u))
        force = surf.area[:, None] * traction
        deep = np.where(pressure > 0.0, np.maximum(-gap, 0.0), 0.0)
        weight = surf.area * (pressure > 0.0)
        share = np.bincount(surf.facet, weight)
        mean = np.bincount(surf.facet, weight * deep / surf.size) / np.where(share > 0.0, share, 1.0)
        return Report(
            gap=gap,
            pressure=pressure,
            traction=traction,
            slipping=slipping,
            slip=slip,
            position=position,
            area=float(surf.area[pressure > 0.0].sum()),
            force=force.sum(axis=0),
            moment=np.cross(position, force).sum(axis=0),
            penetration=float(deep.max(initial=0.0)),
            relative_penetration=float((deep / surf.size).max(initial=0.0)),
            mean_penetration=float(mean.max()),
            drag=float(surf.area @ state[-1]) if self.interface.hold else 0.0,
        )

    def facet_pressure(self, report: Report) -> F64:
        """Return the mean pressure (f,) [MPa] of each slave facet; pressures at points waver where meshes differ."""
        area, facet = self.surfaces.area, self.surfaces.facet
        return np.asarray(np.bincount(facet, area * report.pressure) / np.bincount(facet, area))

    def _pairs(self, u: F64, facet: F64 | None = None) -> Pairs:
        known = None if facet is None else facet.astype(np.int32)
        return find_pairs(self.surfaces, u, self.interface.reach * self.surfaces.size, known, self.interface.fade)

    def _gap(self, pairs: Pairs) -> F64:
        """Gap [mm] that counts."""
        return np.asarray(pairs.gap - np.asarray(self.offset)[pairs.point])

    def _gaps(self, pairs: Pairs) -> F64:
        """The same of all slave points (q,), infinite without a pair."""
        out = np.full(len(self.surfaces), np.inf)
        out[pairs.point] = self._gap(pairs)
        return out

    def _pressure(self, pairs: Pairs, base: F64) -> tuple[F64, F64]:
        """Pressure of each pair, before and after tension is taken away."""
        trial = base[pairs.point] - self.stiffness[pairs.point] * self._gap(pairs)
        return trial, np.maximum(trial, 0.0)

    # --- friction and hold ---

    def _feet(self, pairs: Pairs) -> F64:
        """Feet as anchors (q, 3)."""
        out = np.full((len(self.surfaces), 3), -1.0)
        out[pairs.point, 0], out[pairs.point, 1:] = pairs.facet, pairs.uv
        return out

    def _away(self, x: Configuration, anchors: F64, pairs: Pairs) -> tuple[F64, F64]:
        """From anchors to feet along the surface (p, 3) [mm], zero without an anchor, and the feet (p, 3) [mm]."""
        now = self.surfaces.at(x.u)
        own = now[pairs.nodes]
        foot = -np.einsum("pm,pmi->pi", pairs.weights[:, 4:], own[:, 4:])
        mine = anchors[pairs.point]
        has = mine[:, 0] >= 0.0
        corners = self.surfaces.corners[np.maximum(mine[:, 0], 0.0).astype(np.int32)]
        N, _, _ = master_functions(corners, mine[:, 1:])
        away = np.where(has[:, None], foot - np.einsum("pm,pmi->pi", N, now[corners]), 0.0)
        away -= np.einsum("pi,pi->p", away, pairs.normal)[:, None] * pairs.normal
        return away, foot

    def _add_friction(
        self, x: Configuration, anchors: F64, feet: F64, every: Pairs, rows: I32, pressure: F64, action: _Action
    ) -> F64:
        """Add friction to the `rows` of pairs that touch; return the new anchors."""
        pairs = every.take(rows)
        k = self.interface.sticking * self.stiffness[pairs.point]
        away, foot = self._away(x, anchors, pairs)
        pull = -k[:, None] * away
        size = np.linalg.norm(pull, axis=1)
        limit = self.interface.friction * pressure[rows]
        slips = size > limit
        part = np.where(slips, limit / np.where(slips, size, 1.0), 1.0)
        traction = part[:, None] * pull
        along = pull / np.where(size > 0.0, size, 1.0)[:, None]
        D = _in_plane(pairs)
        D -= slips[:, None, None] * along[:, :, None] * along[:, None, :]
        action.shear[rows] += traction
        action.shear_stiffness[rows] += D * (k * part)[:, None, None]
        grows = slips & (pressure[rows] > 0.0)
        action.shear_by_gap[rows] = (self.interface.friction * self.stiffness[pairs.point] * grows)[:, None] * along
        return self._dragged(x, anchors, feet, pairs.point, slips, foot + traction / k[:, None])

    def _add_hold(self, x: Configuration, before: State, out: Terms) -> F64:
        """Add springs to where points were; return what they carry (q,) [MPa].

        Points keep to the facets that they faced then: springs are smooth, whatever points face now.
        """
        gap, feet, _ = before
        known = _rows(np.isfinite(gap) & (feet[:, 0] >= 0.0))
        pairs = pairs_on(self.surfaces, x.u, known, feet[known, 0].astype(np.int32))
        k = self.interface.hold * self.stiffness[known]
        push = -k * (self._gap(pairs) - gap[known])
        action = _Action.normal(push, k, shear=True, friction=False)
        away, _ = self._away(x, feet, pairs)
        action.shear -= k[:, None] * away
        action.shear_stiffness += k[:, None, None] * _in_plane(pairs)
        self._spread(pairs.nodes, self._add(pairs, action, out), out)
        carried = np.zeros(len(self.surfaces))
        carried[known] = np.hypot(push, np.linalg.norm(action.shear, axis=1))
        return carried

    def _dragged(self, x: Configuration, anchors: F64, feet: F64, point: I32, slips: Bool, where: F64) -> F64:
        """Anchors after slip: at `where` (p, 3) if they slip, kept if they stick, at the foot if the point is free."""
        new = feet.copy()
        sticks = point[~slips]
        new[sticks] = np.where(anchors[sticks, :1] >= 0.0, anchors[sticks], feet[sticks])
        if slips.any():
            now = self.surfaces.at(x.u)
            now.flags.writeable = False
            facet, uv, _ = closest_facets(now, self.surfaces.corners, np.ascontiguousarray(where[slips]))
            new[point[slips], 0], new[point[slips], 1:] = facet, uv
        return new


def _rows(chosen: Bool) -> I32:
    return np.flatnonzero(chosen).astype(np.int32)


def _in_plane(pairs: Pairs) -> F64:
    """Projectors (p, 3, 3) into the surface."""
    return np.asarray(np.eye(3) - pairs.normal[:, :, None] * pairs.normal[:, None, :])


def _scatter(nodes: I32, blocks: F64, size: int) -> csr_array:
    """Sum blocks (p, 3 m, 3 m) of nodes (p, m) into a matrix."""
    # Many points of a slave facet face the same master facet; their blocks are summed before they are sorted.
    nodes, group = np.unique(nodes, axis=0, return_inverse=True)
    gather = csr_array((np.ones(len(group)), (group.ravel(), np.arange(len(group)))), shape=(len(nodes), len(group)))
    sums = gather @ blocks.reshape(len(group), -1)
    m = 3 * nodes.shape[1]
    dofs = (3 * nodes[:, :, None] + np.arange(3)).reshape(len(nodes), m)
    row, col = np.repeat(dofs, m, axis=1), np.tile(dofs, m)
    return csr_array(coo_array((sums.ravel(), (row.ravel(), col.ravel())), shape=(size, size)))
