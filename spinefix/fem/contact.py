"""Contact of two surfaces as an item of nonlinear analysis: no tension, with or without Coulomb friction.

Slave quadrature points press on master facets with the nominal pressure p (force per area at rest),

    p = max(0, lambda - k g),   k = stiffness * E A / V = stiffness * E / size,

g the gap, E the modulus and V / A = size the height of the slave element. `stiffness` has no dimension, so results
and iterations do not depend on the units; without lambda the penetration is ``p / E / stiffness`` of the size.
lambda is the pressure at the last accepted increment (augmented Lagrange, one update of Uzawa per increment); `settle`
repeats updates at constant load until the penetration of all slave facets is below a tolerance.

Without friction the pressure is the derivative of an energy of the gap alone. The tangent is exact and symmetric, both
sides balance in force and moment.

Friction is a spring between each slave point and an anchor, a material point of the master surface, that drags the
anchor along where it would pull with more than mu p. Its traction does work on the motion of the foot over the facet;
so both sides balance here too. Its tangent is symmetric: it leaves out that the traction of slipping points grows with
the pressure, and that the anchor moves a little otherwise than the foot.

Source: Simo JC, Laursen TA (1992), An augmented Lagrangian treatment of contact problems involving friction, Comput
Struct 42:97-116; integration at the slave quadrature points as in Fischer KA, Wriggers P (2005), Frictionless 2D
contact formulations for finite deformations based on the mortar method, Comput Mech 36:226-244.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import coo_array, csr_array

from spinefix.errors import UsageError
from spinefix.fem import newton
from spinefix.fem.contact_gap import Pairs, Surfaces, find_pairs
from spinefix.fem.equilibrium import Problem
from spinefix.fem.items import Configuration, State, Terms
from spinefix.mesh.core import F64, I32, Bool
from spinefix.mesh.locate import closest_facets, facet_functions

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
    """

    kind: Literal["no_tension", "friction"] = "no_tension"
    friction: float = 0.0
    stiffness: float = 10.0
    sticking: float = 0.5
    reach: float = 2.0
    fade: float = 0.0
    penetration: float = 1e-3

    def __post_init__(self) -> None:
        if self.kind not in ("no_tension", "friction"):
            raise UsageError(f"unknown interface {self.kind!r}; known: no_tension, friction (bonded: use a tie)")
        if self.friction < 0.0 or (self.friction > 0.0) != (self.kind == "friction"):
            raise UsageError(f"an interface of kind {self.kind!r} cannot have a friction of {self.friction:g}")
        if min(self.stiffness, self.sticking, self.reach, self.penetration) <= 0.0:
            raise UsageError("stiffness, sticking, reach and penetration of an interface must be positive")


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
    """

    gap: F64
    pressure: F64
    traction: F64
    slipping: Bool
    position: F64
    area: float
    force: F64
    moment: F64
    penetration: float
    relative_penetration: float
    mean_penetration: float


@dataclass(frozen=True)
class Contact:
    """Two surfaces in contact, an `Item`.

    The state holds the pressure, lambda in the evaluation, the master facet of each foot (-1 for none), and with
    friction the anchors (q, 3): master facet (-1 for none) and facet coordinates.

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
        object.__setattr__(self, "modulus", modulus)
        object.__setattr__(self, "offset", np.broadcast_to(np.asarray(self.offset, np.float64), modulus.shape))

    def fitted(self, within: float) -> Contact:
        """Return the contact with gaps and overlaps at rest of up to `within` [mm] taken for exact contact.

        For parts that were placed against each other but whose meshes do not quite agree. They keep their distance.
        """
        pairs = self._pairs(np.zeros_like(self.surfaces.points))
        offset = np.zeros(len(self.surfaces))
        offset[pairs.point] = np.where(np.abs(pairs.gap) <= within, pairs.gap, 0.0)
        return replace(self, offset=offset)

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
        feet = self._feet(self._pairs(np.zeros_like(self.surfaces.points)))
        return (none, none, feet[:, 0], feet) if self.interface.friction else (none, none, feet[:, 0])

    def evaluate(self, x: Configuration, time: float, state: State, out: Terms, first: int) -> State:
        """See `spinefix.fem.items.Item.evaluate`."""
        base = state[0] if self.augmented else np.zeros(len(self.surfaces))
        every = self._pairs(x.u, state[2])
        trial, pressure = self._pressure(every, base)
        new = np.zeros(len(self.surfaces))
        new[every.point] = pressure
        touching = np.flatnonzero(trial >= -_TOUCH * (self.stiffness * self.surfaces.size)[every.point]).astype(
            np.int32
        )
        pairs, pressure = every.take(touching), pressure[touching]
        area = self.surfaces.area[pairs.point]
        gradient = pairs.gradient()
        np.add.at(out.internal, pairs.nodes, -(area * pairs.share * pressure)[:, None, None] * gradient)
        blocks = None
        if out.wants_tangent:
            flat = gradient.reshape(len(pairs), 24)
            k = self.stiffness[pairs.point] * area * pairs.share
            blocks = k[:, None, None] * flat[:, :, None] * flat[:, None, :]
            blocks -= (area * pairs.share * pressure)[:, None, None] * pairs.hessian()
        self._add_fading(pairs, pressure, base, out, blocks)
        feet = self._feet(every)
        states: State = (new, base, feet[:, 0])
        if self.interface.friction:
            states = (*states, self._add_friction(x, state[3], feet, pairs, pressure, out, blocks))
        if blocks is not None and len(pairs):
            out.loose.append(_scatter(pairs.nodes, blocks, 3 * len(out.internal)))
        return states

    def _add_fading(self, pairs: Pairs, pressure: F64, base: F64, out: Terms, blocks: F64 | None) -> None:
        """Add what the energy of points beyond the border loses as they move outwards."""
        rows = np.flatnonzero(pairs.fades).astype(np.int32)
        if not len(rows):
            return
        some, p = pairs.take(rows), pressure[rows]
        area = self.surfaces.area[some.point]
        stored = area * (p**2 - base[some.point] ** 2) / (2.0 * self.stiffness[some.point])
        slope = some.share_gradient()
        np.add.at(out.internal, some.nodes, (stored[:, None] * slope).reshape(-1, 8, 3))
        if blocks is not None:
            mixed = (area * p)[:, None, None] * some.gradient().reshape(-1, 24)[:, :, None] * slope[:, None, :]
            blocks[rows] += stored[:, None, None] * some.share_hessian() - mixed - mixed.transpose(0, 2, 1)

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
        gap, pressure = np.full(len(surf), np.inf), state[0]
        gap[pairs.point] = self._gap(pairs)
        pressed = pressure[pairs.point] > 0.0
        traction, slipping = np.zeros((len(surf), 3)), np.zeros(len(surf), bool)
        traction[pairs.point] = pressure[pairs.point, None] * pairs.normal
        if self.interface.friction:
            pull, _ = self._pull(x, state[3], pairs)
            traction[pairs.point] += pull
            limit = self.interface.friction * pressure[pairs.point]
            slipping[pairs.point] = pressed & (np.linalg.norm(pull, axis=1) >= limit * (1.0 - 1e-6))
        traction[pairs.point] *= pairs.share[:, None]
        position, _ = surf.place(surf.points + x.u)
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
            position=position,
            area=float(surf.area[pressure > 0.0].sum()),
            force=force.sum(axis=0),
            moment=np.cross(position, force).sum(axis=0),
            penetration=float(deep.max(initial=0.0)),
            relative_penetration=float((deep / surf.size).max(initial=0.0)),
            mean_penetration=float(mean.max()),
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

    def _pressure(self, pairs: Pairs, base: F64) -> tuple[F64, F64]:
        """Pressure of each pair, before and after tension is taken away."""
        trial = base[pairs.point] - self.stiffness[pairs.point] * self._gap(pairs)
        return trial, np.maximum(trial, 0.0)

    # --- friction ---

    def _feet(self, pairs: Pairs) -> F64:
        """Feet as anchors (q, 3)."""
        out = np.full((len(self.surfaces), 3), -1.0)
        out[pairs.point, 0], out[pairs.point, 1:] = pairs.facet, pairs.uv
        return out

    def _pull(self, x: Configuration, anchors: F64, pairs: Pairs) -> tuple[F64, F64]:
        """Traction (p, 3) [MPa] of the springs to the anchors on slave points, and the feet (p, 3) [mm]."""
        now = self.surfaces.points + x.u
        own = now[pairs.nodes]
        foot = -np.einsum("pm,pmi->pi", pairs.weights[:, 4:], own[:, 4:])
        mine = anchors[pairs.point]
        has = mine[:, 0] >= 0.0
        corners = self.surfaces.corners[np.maximum(mine[:, 0], 0.0).astype(np.int32)]
        N, _ = facet_functions(corners, mine[:, 1:])
        away = np.where(has[:, None], foot - np.einsum("pm,pmi->pi", N, now[corners]), 0.0)
        away -= np.einsum("pi,pi->p", away, pairs.normal)[:, None] * pairs.normal
        stiffness = self.interface.sticking * self.stiffness[pairs.point]
        return -stiffness[:, None] * away, foot

    def _add_friction(
        self,
        x: Configuration,
        anchors: F64,
        feet: F64,
        pairs: Pairs,
        pressure: F64,
        out: Terms,
        blocks: F64 | None,
    ) -> F64:
        """Add the forces of friction, its stiffness to `blocks` (p, 24, 24), and return the new anchors."""
        area = self.surfaces.area[pairs.point] * pairs.share
        k = self.interface.sticking * self.stiffness[pairs.point]
        pull, foot = self._pull(x, anchors, pairs)
        size = np.linalg.norm(pull, axis=1)
        limit = self.interface.friction * pressure
        slips = size > limit
        part = np.where(slips, limit / np.where(slips, size, 1.0), 1.0)
        traction = part[:, None] * pull
        # How the foot moves over the facet does not change under rigid motion, so neither side gains force or moment.
        slip = pairs.tangents.transpose(0, 2, 1) @ pairs.foot_gradient()
        force = -area[:, None] * np.einsum("pi,pid->pd", traction, slip)
        np.add.at(out.internal, pairs.nodes, force.reshape(-1, 8, 3))
        if blocks is not None:
            along = pull / np.where(size > 0.0, size, 1.0)[:, None]
            D = np.eye(3) - pairs.normal[:, :, None] * pairs.normal[:, None, :]
            D -= slips[:, None, None] * along[:, :, None] * along[:, None, :]
            D *= (k * part * area)[:, None, None]
            blocks += slip.transpose(0, 2, 1) @ D @ slip
        return self._dragged(x, anchors, feet, pairs.point, slips, foot + traction / k[:, None])

    def _dragged(self, x: Configuration, anchors: F64, feet: F64, point: I32, slips: Bool, where: F64) -> F64:
        """Anchors after slip: at `where` (p, 3) if they slip, kept if they stick, at the foot if the point is free."""
        new = feet.copy()
        sticks = point[~slips]
        new[sticks] = np.where(anchors[sticks, :1] >= 0.0, anchors[sticks], feet[sticks])
        if slips.any():
            now = self.surfaces.points + x.u
            now.flags.writeable = False
            facet, uv, _ = closest_facets(now, self.surfaces.corners, np.ascontiguousarray(where[slips]))
            new[point[slips], 0], new[point[slips], 1:] = facet, uv
        return new


def _scatter(nodes: I32, blocks: F64, size: int) -> csr_array:
    """Sum blocks (p, 24, 24) of nodes (p, 8) into a matrix."""
    dofs = (3 * nodes[:, :, None] + np.arange(3)).reshape(len(nodes), 24)
    row, col = np.broadcast_to(dofs[:, :, None], blocks.shape), np.broadcast_to(dofs[:, None, :], blocks.shape)
    return csr_array(coo_array((blocks.ravel(), (row.ravel(), col.ravel())), shape=(size, size)))


# --- augmentation ---

Worst = Callable[[F64], list[str]]
"""Names of the worst places for a residual (n_blocks,) [N]."""


@dataclass(frozen=True)
class Settled:
    """A path whose increments keep to the tolerance of penetration.

    Attributes
    ----------
    path : newton.Path
    reports : tuple of dict, contact name -> Report
        One for each time asked for.
    updates : tuple of int
        Repetitions at constant load that each of them took.
    """

    path: newton.Path
    reports: tuple[dict[str, Report], ...]
    updates: tuple[int, ...]


def solve(
    problem: Problem,
    times: Sequence[float],
    control: newton.Control | None = None,
    *,
    tolerance: float | None = None,
    most: int = 12,
    start: newton.Increment | None = None,
    kinks: Sequence[float] = (),
    worst: Worst | None = None,
    guesses: Mapping[float, Configuration] | None = None,
) -> Settled:
    """Follow the load program as `newton.solve` does, and settle all contacts at each of the times.

    Parameters
    ----------
    problem, times, control, start, kinks, worst, guesses : see `newton.solve`
    tolerance : float [1], optional
        Instead of `Interface.penetration`.
    most : int
        Updates of lambda at one time.

    Raises
    ------
    NotConverged
        As `newton.solve`, or the penetration stays above the tolerance.
    """
    here = start
    kept: list[newton.Increment] = []
    history: list[newton.Attempt] = []
    reports, updates = [], []
    for time in times:
        try:
            path = newton.solve(problem, [time], control, start=here, kinks=kinks, worst=worst, guesses=guesses)
            history += path.history
            here, count, more = settle(
                problem, path.increments[-1], control, tolerance=tolerance, most=most, worst=worst
            )
        except newton.NotConverged as error:
            late = [i for i in error.partial.increments if not kept or i.time > kept[-1].time]
            partial = newton.Path((*kept, *late), (*history, *error.history))
            raise newton.NotConverged(str(error), partial, error.worst) from None
        history += more
        kept.append(here)
        updates.append(count)
        reports.append(contact_reports(problem, here))
    return Settled(newton.Path(tuple(kept), tuple(history)), tuple(reports), tuple(updates))


def settle(
    problem: Problem,
    increment: newton.Increment,
    control: newton.Control | None = None,
    *,
    tolerance: float | None = None,
    most: int = 12,
    worst: Worst | None = None,
) -> tuple[newton.Increment, int, tuple[newton.Attempt, ...]]:
    """Update lambda at constant load until no contact penetrates more than `tolerance`; see `solve`.

    Returns
    -------
    increment : newton.Increment
        At the time of the one given.
    updates : int
    history : tuple of newton.Attempt
    """
    here, history = increment, list[newton.Attempt]()
    for count in range(most + 1):
        depths = _depths(problem, here, tolerance)
        deepest = max(depths, key=lambda name: depths[name][0] / depths[name][1], default="")
        depth, allowed = depths.get(deepest, (0.0, 0.0))
        if depth <= allowed:
            return here, count, tuple(history)
        if count < most:
            path = _again(problem, here, control, worst)
            history += path.history
            here = replace(path.increments[-1], before=here.before, before_time=here.before_time, pace=here.pace)
    message = (
        f"contact {deepest!r} penetrates {depth:.3g} of the element size at time {here.time:g} after {most} updates; "
        f"tolerance {allowed:g}. A stiffer interface, or a finer slave surface, helps."
    )
    raise newton.NotConverged(message, newton.Path((here,), tuple(history)), [deepest])


def _depths(problem: Problem, here: newton.Increment, tolerance: float | None) -> dict[str, tuple[float, float]]:
    """Mean penetration and its tolerance of each contact."""
    reports = contact_reports(problem, here)
    return {
        item.name: (reports[item.name].mean_penetration, tolerance or item.interface.penetration)
        for item in problem.items
        if isinstance(item, Contact) and item.augmented  # a layer that gives may be pressed
    }


def _again(
    problem: Problem, here: newton.Increment, control: newton.Control | None, worst: Worst | None
) -> newton.Path:
    """Find equilibrium anew at the same load with the state of `here`."""
    blink = 1e-9 * max(here.time - here.before_time, 1e-3 * abs(here.time))
    start = replace(here, time=here.time - blink, pace=blink, before=None)
    return newton.solve(problem, [here.time], control, start=start, worst=worst)


def follow(
    problem: Problem,
    times: Sequence[float],
    control: newton.Control | None = None,
    *,
    start: newton.Increment | None = None,
    kinks: Sequence[float] = (),
    worst: Worst | None = None,
    guesses: Mapping[float, Configuration] | None = None,
) -> newton.Path:
    """Return the path of `solve` if the problem has contacts, else that of `newton.solve`."""
    if any(isinstance(item, Contact) for item in problem.items):
        return solve(problem, times, control, start=start, kinks=kinks, worst=worst, guesses=guesses).path
    return newton.solve(problem, times, control, start=start, kinks=kinks, worst=worst, guesses=guesses)


def contact_reports(problem: Problem, increment: newton.Increment) -> dict[str, Report]:
    """Return the reports of all contacts of a problem in an accepted increment."""
    return {
        item.name: item.report(increment.x, state)
        for item, state in zip(problem.items, increment.states, strict=True)
        if isinstance(item, Contact)
    }
