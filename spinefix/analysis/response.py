"""What a solved model answers, whether it was solved linearly or at finite rotation: motions, stresses, forces.

Metrics ask a `Response` and need not know how the answer was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np

from spinefix.analysis.contacts import LAYERS, places
from spinefix.analysis.mirror import MirrorImage
from spinefix.analysis.nonlinear import NonlinearSolution, Step, Structure
from spinefix.analysis.system import System
from spinefix.fem import assembly, beams, newton, recover, rotations
from spinefix.fem.beams import BeamGroup
from spinefix.fem.beams_finite import FiniteBeams
from spinefix.fem.cables import Cables
from spinefix.fem.contact import Contact, Report
from spinefix.fem.couplings_finite import best_fit_motion
from spinefix.fem.finite import FiniteGroup
from spinefix.fem.items import Configuration, Item, State, Terms
from spinefix.fem.links import EmbeddedLinks, SurfaceLinks
from spinefix.fem.links_finite import CorotatedLinks
from spinefix.fem.pattern import BlockPattern
from spinefix.fem.solids_finite import FiniteSolids
from spinefix.mesh.core import F64, I32
from spinefix.model.core import LoadCase, Model
from spinefix.results.solution import Solution

HELD = ("screws", "facet_joints", "ligaments")
"""Kinds of interface whose forces are told apart."""

Cycle = Literal["load", "load_unload", "full"]
"""How far the moment is led: to its full size, back to nothing, through the reversed moment and back to nothing."""

CYCLES: Mapping[Cycle, tuple[tuple[str, float], ...]] = MappingProxyType(
    {
        "load": (),
        "load_unload": (("unloading", 0.0),),
        "full": (("unloading", 0.0), ("reversed_loading", -1.0), ("reversed_unloading", 0.0)),
    }
)
"""Branches of the moment-rotation curve after full load, and the load factor at which each ends."""


@dataclass(frozen=True)
class Branch:
    """A part of the moment-rotation curve after full load.

    Parameters
    ----------
    name : str
        See `CYCLES`.
    end : float
        Load factor at its end, whether that was reached or not.
    factors : (k,) float64
        Load factors at which the motion is kept, in order; negative where the moment is reversed.
    u : (k, n_blocks, 3) float64 [mm, rad]
        Displacements and rotations since the preload.
    """

    name: str
    end: float
    factors: F64
    u: F64


@dataclass(frozen=True)
class Touch:
    """An interface in contact, at the points where pressure is found.

    Parameters
    ----------
    name : str
        Of the interface, e.g. ``implant.prosthesis.superior`` or ``L3-L4.facet_joint.left``.
    nodes, weights : (q, 4) int32, (q, 4) float64
        Corners of the facet of each point, and their shares.
    facet : (q,) int32
        Number of that facet.
    area : (q,) float64 [mm^2]
        At rest.
    pressure : (q,) float64 [MPa]
        Force over that area.
    gap : (q,) float64 [mm]
        Opening since rest, negative where pressed in; infinite where the point faces no surface.
    slip : (q,) float64 [mm]
        Along the surface since rest; not a number where the point faces no surface.
    """

    name: str
    nodes: I32
    weights: F64
    facet: I32
    area: F64
    pressure: F64
    gap: F64
    slip: F64


class Response(Protocol):
    """A model and its answers to load cases, all at full load."""

    @property
    def model(self) -> Model:
        """The model."""
        ...

    @property
    def finite(self) -> bool:
        """Whether displacements and rotations may be large."""
        ...

    def knows(self, case: str) -> bool:
        """Whether something of a case has been solved, beyond its preload."""
        ...

    def forget(self, case: str) -> None:
        """Drop what is kept of a case to save memory."""
        ...

    @property
    def solid_cells(self) -> tuple[I32, ...]:
        """Element ids of each group of solids."""
        ...

    @property
    def beam_groups(self) -> tuple[BeamGroup, ...]:
        """Groups of beams."""
        ...

    def volumes(self) -> tuple[F64, ...]:
        """Volume at rest (e, q) [mm^3] of the integration points of each group of solids."""
        ...

    def displacement(self, case: str) -> F64:
        """Displacements (n_points, 3) [mm]."""
        ...

    def turn(self, case: str, node: int) -> F64:
        """Rotation vector (3,) [rad] of a node that has rotations, since the preload."""
        ...

    def shift(self, case: str, node: int) -> F64:
        """Displacement (3,) [mm] of a node since the preload."""
        ...

    def positions(self, case: str) -> F64:
        """Where forces act in the balance (n_points, 3) [mm]: nodes at rest in a linear solution, else as they are."""
        ...

    def rotation(self, case: str, nodes: I32, weights: F64) -> F64:
        """Rotation vector (3,) [rad] of the best-fit rigid motion of nodes since the preload."""
        ...

    def carry(self, case: str, origin: F64, axes: F64, nodes: I32, weights: F64) -> tuple[F64, F64]:
        """Where a frame (3,), (3, 3) goes that is fixed to some nodes; it stays where it is in a linear solution."""
        ...

    def relative(self, upper: F64, lower: F64) -> F64:
        """Rotation vector (3,) [rad] of one part seen from another, from those of both, in the axes at rest."""
        ...

    def deformation(self, case: str, nodes: I32, carrier: I32, weights: F64) -> F64:
        """Displacements (k, 3) [mm] of nodes relative to the rigid motion of other nodes, in the axes at rest."""
        ...

    def stress(self, case: str) -> tuple[F64, ...]:
        """Cauchy stress (e, q, 6) [MPa] of each group of solids."""
        ...

    def beam_forces(self, case: str) -> tuple[tuple[F64, F64], ...]:
        """Section forces (b, 2, 6) [N, N mm] of each group of beams, and its local axes (b, 3, 3) in rows."""
        ...

    def solid_forces(self, case: str, cells: I32) -> F64:
        """Forces (n_points, 3) [N] that nodes exert on some solid elements."""
        ...

    def interface_forces(self, case: str) -> dict[str, F64]:
        """Forces and moments (n_blocks, 3) [N, N mm] that nodes exert on the interfaces of each kind in `HELD`."""
        ...

    def contacts(self, case: str) -> tuple[Touch, ...]:
        """All interfaces in contact."""
        ...

    def opposite(self, case: str) -> str | None:
        """An earlier case whose answer is exactly the opposite, if that is known."""
        ...

    def path(self, case: str) -> tuple[F64, F64]:
        """Load factors (k,) kept, and displacements (k, n_blocks, 3) [mm, rad] since the preload."""
        ...

    def branches(self, case: str) -> tuple[Branch, ...]:
        """What follows full load, as far as it was solved."""
        ...


def _rows(groups: tuple[I32, ...], n_cells: int, cells: I32) -> list[I32]:
    """Rows of some cells in each group."""
    wanted = np.zeros(n_cells, bool)
    wanted[cells] = True
    return [np.flatnonzero(wanted[ids]).astype(np.int32) for ids in groups]


class LinearResponse:
    """Answers of a linear solution."""

    finite = False

    def __init__(self, system: System, solution: Solution) -> None:
        self.system, self.solution = system, solution
        self.model = system.model
        self.solid_cells = tuple(g.cells for g in system.solids)
        self.beam_groups = system.beams

    @cached_property
    def _volumes(self) -> tuple[F64, ...]:
        return tuple(recover.volumes(self.model.mesh.points, g) for g in self.system.solids)

    def volumes(self) -> tuple[F64, ...]:
        """See `Response`."""
        return self._volumes

    def displacement(self, case: str) -> F64:
        """See `Response`."""
        return self.solution.displacement(case)

    def turn(self, case: str, node: int) -> F64:
        """See `Response`."""
        return self.solution.rotation(case, node)

    def shift(self, case: str, node: int) -> F64:
        """See `Response`."""
        return np.asarray(self.solution.displacement(case)[node])

    def positions(self, case: str) -> F64:
        """See `Response`."""
        return self.model.mesh.points

    def rotation(self, case: str, nodes: I32, weights: F64) -> F64:
        """See `Response`; a small rotation."""
        return best_fit_rotation(self.model.mesh.points[nodes], self.displacement(case)[nodes], weights)[1]

    def carry(self, case: str, origin: F64, axes: F64, nodes: I32, weights: F64) -> tuple[F64, F64]:
        """See `Response`."""
        return origin, axes

    def relative(self, upper: F64, lower: F64) -> F64:
        """See `Response`; small rotations add up."""
        return upper - lower

    def deformation(self, case: str, nodes: I32, carrier: I32, weights: F64) -> F64:
        """See `Response`."""
        X, u = self.model.mesh.points, self.displacement(case)
        shift, theta = best_fit_rotation(X[carrier], u[carrier], weights)
        centre = weights @ X[carrier] / weights.sum()
        return np.asarray(u[nodes] - shift - np.cross(theta, X[nodes] - centre))

    def stress(self, case: str) -> tuple[F64, ...]:
        """See `Response`."""
        u = self.displacement(case)
        return tuple(recover.stress(self.model.mesh.points, g, u) for g in self.system.solids)

    def beam_forces(self, case: str) -> tuple[tuple[F64, F64], ...]:
        """See `Response`."""
        u, points, index = self.solution.blocks(case), self.model.mesh.points, self.solution.rotation_index
        return tuple((beams.beam_end_forces(points, g, index, u), g.axes) for g in self.beam_groups)

    def solid_forces(self, case: str, cells: I32) -> F64:
        """See `Response`."""
        mesh, u = self.model.mesh, self.displacement(case)
        out = np.zeros((mesh.n_points, 3))
        for group, rows in zip(self.system.solids, _rows(self.solid_cells, mesh.n_cells, cells), strict=True):
            if len(rows):
                np.add.at(out, group.conn[rows], assembly.element_forces(mesh.points, group, u, rows))
        return out

    def interface_forces(self, case: str) -> dict[str, F64]:
        """See `Response`."""
        u = self.solution.blocks(case)
        out = {name: np.zeros(u.shape) for name in HELD}
        for rows in self.system.links:
            kind = {EmbeddedLinks: "screws", SurfaceLinks: "facet_joints"}.get(type(rows), "ligaments")
            out[kind] += rows.nodal_forces(u.ravel()).reshape(-1, 3)
        return out

    def contacts(self, case: str) -> tuple[Touch, ...]:
        """None: what presses in a linear solution pulls as well."""
        return ()

    def knows(self, case: str) -> bool:
        """See `Response`."""
        return case in self.solution.cases

    def forget(self, case: str) -> None:
        """Nothing: all cases were solved together."""

    def opposite(self, case: str) -> str | None:
        """See `Response`; opposite loads have opposite answers."""
        cases, loads = self.solution.cases, self.solution.loads
        i = cases.index(case)
        return next((str(cases[j]) for j in range(i) if np.array_equal(loads[j], -loads[i])), None)

    def path(self, case: str) -> tuple[F64, F64]:
        """See `Response`; the full load alone."""
        return np.ones(1), self.solution.blocks(case)[None]

    def branches(self, case: str) -> tuple[Branch, ...]:
        """None: a linear solution comes back the way it went."""
        return ()


class NonlinearResponse:
    """Solves load cases at finite rotation as they are asked for, and answers for them at full load.

    A case with a follower load has two steps: the follower load alone, then the rest of the case on top of it. Cases
    with the same follower load continue from one solution of the first step.

    Parameters
    ----------
    structure : Structure
    cases : mapping, name -> LoadCase
    factors : tuple of float
        Parts of the load (of the second step, where there are two) at which the motion is kept; the last is 1.
    control : newton.Control
    guesses : mapping, name -> pseudo-time -> Configuration
        Where cases may lead, see `spinefix.fem.newton.solve`.
    cycle : {"load", "load_unload", "full"}
        What `go_on` solves of cases with moments.
    mirror : MirrorImage, optional
        Makes what is known of a case a guess for the one that loads the other side.
    """

    finite = True

    def __init__(
        self,
        structure: Structure,
        cases: Mapping[str, LoadCase],
        factors: tuple[float, ...] = (1.0,),
        control: newton.Control | None = None,
        guesses: Mapping[str, Mapping[float, Configuration]] = MappingProxyType({}),
        cycle: Cycle = "load",
        mirror: MirrorImage | None = None,
    ) -> None:
        self.structure, self.cases, self.factors, self.control = structure, cases, factors, control
        self.guesses, self.cycle, self._mirror = {k: dict(v) for k, v in guesses.items()}, cycle, mirror
        self.model = structure.model
        self.solutions: dict[str, NonlinearSolution] = {}
        self.rests: dict[str, NonlinearSolution] = {}
        self._preloads: dict[float, newton.Increment] = {}
        every = (*structure.items, *structure.inside)
        self._groups = tuple(g for i in every if isinstance(i, FiniteSolids) for g in i.groups)
        self.solid_cells = tuple(g.cells for g in self._groups)
        self.beam_items = tuple(i for i in every if isinstance(i, FiniteBeams))
        self.beam_groups = tuple(i.group for i in self.beam_items)

    def follow(self, case: str) -> NonlinearSolution:
        """Solve a case, once.

        Raises
        ------
        NotConverged
            `partial` is the NonlinearSolution so far.
        CheckError
            See `spinefix.analysis.nonlinear.solve`.
        """
        if case not in self.solutions:
            load, steps, start = self.cases[case], self._steps(case), None
            if len(steps) > 1:
                if load.follower not in self._preloads:
                    guesses = {t: x for t, x in self.guesses.get(case, {}).items() if t <= 1.0}
                    found = self.structure.solve(steps[:1], self.control, guesses=guesses)
                    self._preloads[load.follower] = found.increments[-1]
                    self._suggest_preload(load.follower, found.increments[-1])
                start = self._preloads[load.follower]
            guesses = {t: x for t, x in self.guesses.get(case, {}).items() if start is None or t > start.time}
            self.solutions[case] = self.structure.solve(steps, self.control, start=start, guesses=guesses)
            self._suggest_mirrored(load, self.solutions[case])
        return self.solutions[case]

    def _suggest_preload(self, follower: float, found: newton.Increment) -> None:
        """Cases of the follower load alone end where the preload of others does."""
        for name, case in self.cases.items():
            if case.follower == follower and not (case.forces or case.moments):
                self.guesses.setdefault(name, {})[1.0] = found.x

    def _suggest_mirrored(self, load: LoadCase, found: NonlinearSolution) -> None:
        other = None if self._mirror is None else self._mirror.counterpart(load, self.cases.values())
        if self._mirror is not None and other is not None and other not in self.solutions:
            self.guesses.setdefault(other, {}).update({i.time: self._mirror.place(i.x) for i in found.increments})

    def _steps(self, case: str) -> list[Step]:
        """The steps to full load: the preload, where there is one beside other loads, and the case."""
        load, own = self.cases[case], Step(case, self.cases[case], factors=self.factors)
        if not (load.follower and (load.forces or load.moments)):
            return [own]
        return [Step("preload", LoadCase("preload", follower=load.follower)), own]

    def go_on(self, case: str) -> NonlinearSolution | None:
        """Solve what follows full load, once; nothing if the cycle ends there or the case has no moment.

        Raises
        ------
        NotConverged, CheckError
            See `follow`.
        """
        legs = CYCLES[self.cycle] if self.cases[case].moments else ()
        if legs and case not in self.rests:
            steps, before = self._steps(case), 1.0
            for name, end in legs:
                steps.append(Step(name, _scaled(self.cases[case], end), factors=self._kept(before, end)))
                before = end
            self.rests[case] = self.structure.solve(steps, self.control, start=self._last(case))
        return self.rests.get(case)

    def _kept(self, start: float, end: float) -> tuple[float, ...]:
        """Parts of a branch at which motions are kept: the load factors of the way to full load, and the end."""
        sign = -1.0 if min(start, end) < 0.0 else 1.0
        inner = {(sign * f - start) / (end - start) for f in self.factors}
        return (*sorted(part for part in inner if 1e-9 < part < 1.0 - 1e-9), 1.0)

    def places(self, case: str) -> dict[float, Configuration]:
        """Return where a solved case has led, by pseudo-time, its preload included."""
        start = self._neutral(case)
        found = self.solutions[case].increments if case in self.solutions else ()
        return {i.time: i.x for i in (*(() if start is None else (start,)), *found)}

    def knows(self, case: str) -> bool:
        """See `Response`."""
        solution, start = self.solutions.get(case), self._neutral(case)
        first = 0.0 if start is None else start.time
        return solution is not None and len(solution.times) > 0 and bool(solution.times[0] > first)

    def forget(self, case: str) -> None:
        """Drop the solution of a case to save memory."""
        self.solutions.pop(case, None)
        self.rests.pop(case, None)

    def _last(self, case: str) -> newton.Increment:
        return self.follow(case).increments[-1]

    def _neutral(self, case: str) -> newton.Increment | None:
        """The increment from which motions count."""
        load = self.cases[case]
        return self._preloads.get(load.follower) if load.forces or load.moments else None

    @cached_property
    def _volumes(self) -> tuple[F64, ...]:
        return tuple(recover.volumes(self.model.mesh.points, g.linear) for g in self._groups)

    def volumes(self) -> tuple[F64, ...]:
        """See `Response`."""
        return self._volumes

    def displacement(self, case: str) -> F64:
        """See `Response`."""
        return self._last(case).x.u

    def turn(self, case: str, node: int) -> F64:
        """See `Response`."""
        row = int(self.structure.rotation_index[node])
        if row < 0:
            raise KeyError(f"node {node} has no rotations")
        return np.asarray(self.path(case)[1][-1, self.model.mesh.n_points + row])

    def shift(self, case: str, node: int) -> F64:
        """See `Response`."""
        return np.asarray(self.path(case)[1][-1, node])

    def positions(self, case: str) -> F64:
        """See `Response`."""
        return np.asarray(self.model.mesh.points + self.displacement(case))

    def rotation(self, case: str, nodes: I32, weights: F64) -> F64:
        """See `Response`."""
        now, start, X = self.positions(case)[nodes], self._neutral(case), self.model.mesh.points[nodes]
        return rotations.log(best_fit_motion(X if start is None else X + start.x.u[nodes], now, weights)[0])

    def carry(self, case: str, origin: F64, axes: F64, nodes: I32, weights: F64) -> tuple[F64, F64]:
        """See `Response`."""
        X = self.model.mesh.points[nodes]
        R, shift = best_fit_motion(X, self.positions(case)[nodes], weights)
        centre = weights @ X / weights.sum()
        return R @ (origin - centre) + centre + shift, R @ axes

    def relative(self, upper: F64, lower: F64) -> F64:
        """See `Response`."""
        return rotations.log(rotations.exp(lower).T @ rotations.exp(upper))

    def deformation(self, case: str, nodes: I32, carrier: I32, weights: F64) -> F64:
        """See `Response`; the preload counts."""
        X, x = self.model.mesh.points, self.positions(case)
        R, _ = best_fit_motion(X[carrier], x[carrier], weights)
        share = weights / weights.sum()
        return np.asarray((x[nodes] - share @ x[carrier]) @ R - (X[nodes] - share @ X[carrier]))

    def stress(self, case: str) -> tuple[F64, ...]:
        """See `Response`."""
        inc = self._last(case)
        return tuple(item.stress(inc.x, state)[0] for item, state in self._histories(inc))

    def beam_forces(self, case: str) -> tuple[tuple[F64, F64], ...]:
        """See `Response`."""
        inc = self._last(case)
        history = {id(item): state for item, state in zip(self.structure.items, inc.states, strict=False)}
        return tuple(
            (item.end_forces(inc.x, history.get(id(item), ())), item.frames(inc.x).axes.transpose(0, 2, 1))
            for item in self.beam_items
        )

    def solid_forces(self, case: str, cells: I32) -> F64:
        """See `Response`."""
        inc, mesh = self._last(case), self.model.mesh
        picked, history = list[FiniteGroup](), list[F64]()
        rows = _rows(self.solid_cells, mesh.n_cells, cells)
        for (item, state), mine in zip(self._histories(inc), rows, strict=True):
            if len(mine):
                picked.append(item.groups[0].take(mine))
                history += [a[mine] for a in state]
        if not picked:
            return np.zeros((mesh.n_points, 3))
        part = FiniteSolids(mesh.points, tuple(picked))
        pattern = BlockPattern.build(inc.x.n_blocks, list(part.cliques()))
        return self._forces(part, inc, tuple(history), pattern)[: mesh.n_points]

    def interface_forces(self, case: str) -> dict[str, F64]:
        """See `Response`."""
        inc = self._last(case)
        out = {name: np.zeros((inc.x.n_blocks, 3)) for name in HELD}
        problem = self.structure.problem([])
        states = (*inc.states[: len(self.structure.items)], *(item.start() for item in self.structure.inside))
        for item, state in zip((*self.structure.items, *self.structure.inside), states, strict=True):
            kind = _kind(item)
            if kind:
                out[kind] += self._forces(item, inc, _as_evaluated(item, state), problem.pattern)
        return out

    def contacts(self, case: str) -> tuple[Touch, ...]:
        """See `Response`."""
        inc = self._last(case)
        pairs = zip(self.structure.items, inc.states, strict=False)  # loads have states too
        found = [(i, i.report(inc.x, state)) for i, state in pairs if isinstance(i, Contact)]
        return tuple(
            _touch(name, item, report, rows)
            for item, report in found
            for name, rows in places(self.model, item).items()
        )

    def opposite(self, case: str) -> str | None:
        """See `Response`; nothing is known beforehand."""
        return None

    def path(self, case: str) -> tuple[F64, F64]:
        """See `Response`."""
        solution, start = self.follow(case), self._neutral(case)
        return solution.times - (0.0 if start is None else start.time), self._since(case, solution)

    def branches(self, case: str) -> tuple[Branch, ...]:
        """See `Response`."""
        rest = self.rests.get(case)
        if rest is None:
            return ()
        u, out, before = self._since(case, rest), list[Branch](), 1.0
        first = len(self._steps(case))
        for k, (name, end) in enumerate(CYCLES[self.cycle], first):
            own = (rest.times > k + 1e-9) & (rest.times <= k + 1.0 + 1e-9)
            out.append(Branch(name, end, before + (end - before) * (rest.times[own] - k), u[own]))
            before = end
        return tuple(out)

    def _since(self, case: str, solution: NonlinearSolution) -> F64:
        """Displacements and rotations (k, n_blocks, 3) since the preload; rotations about fixed axes."""
        start, n = self._neutral(case), self.model.mesh.n_points
        if start is None:
            return solution.u
        u = solution.u - start.blocks
        for k, inc in enumerate(solution.increments):
            u[k, n:] = rotations.log(inc.x.R @ start.x.R.transpose(0, 2, 1))
        return u

    def _histories(self, inc: newton.Increment) -> list[tuple[FiniteSolids, State]]:
        """Each group of solids as an item, with its history."""
        of_solids = (s for i, s in zip(self.structure.items, inc.states, strict=False) if isinstance(i, FiniteSolids))
        given = (a for state in of_solids for a in state)
        items = (FiniteSolids(self.model.mesh.points, (g,)) for g in self._groups)
        return [(item, tuple(next(given, a) for a in item.start())) for item in items]

    @staticmethod
    def _forces(item: Item, inc: newton.Increment, state: State, pattern: BlockPattern) -> F64:
        terms = Terms.zeros(pattern, tangent=False)
        item.evaluate(inc.x, inc.time, state, terms, 0)
        return terms.internal


def _scaled(load: LoadCase, factor: float) -> LoadCase:
    """A load case with a part of its forces and moments; the follower load stays."""
    forces, moments = ({k: factor * v for k, v in of.items()} for of in (load.forces, load.moments))
    return LoadCase(load.name, forces, moments, load.follower)


def _kind(item: Item) -> str:
    """Which of `HELD` an item is; empty if none."""
    if isinstance(item, Cables):
        return "ligaments"
    if isinstance(item, CorotatedLinks):
        return {EmbeddedLinks: "screws", SurfaceLinks: "facet_joints"}.get(type(item.links), "ligaments")
    return "facet_joints" if isinstance(item, Contact) and item.name == LAYERS else ""


def _touch(name: str, item: Contact, report: Report, rows: I32) -> Touch:
    """Some slave points of a contact."""
    surf = item.surfaces
    return Touch(
        name=name,
        nodes=surf.nodes[rows],
        weights=surf.weights[rows],
        facet=surf.facet[rows],
        area=surf.area[rows],
        pressure=report.pressure[rows],
        gap=report.gap[rows],
        slip=report.slip[rows],
    )


def _as_evaluated(item: Item, state: State) -> State:
    """State with which the last evaluation was made: contacts keep the pressure it started from."""
    return (state[1], *state[1:]) if isinstance(item, Contact) else state


def best_fit_rotation(points: F64, displacement: F64, weights: F64) -> tuple[F64, F64]:
    """Least-squares small rigid motion of a cloud of points.

    Minimizes sum w |u - t - theta x (x - c)|^2 about the weighted centroid c, the linear form of the fit of Söderkvist
    and Wedin (J Biomech 1993;26:1473); `spinefix.fem.couplings_finite.best_fit_motion` is that for finite rotations.

    Parameters
    ----------
    points, displacement : (n, 3) float64 [mm]
    weights : (n,) float64
        Positive, e.g. lumped volumes.

    Returns
    -------
    translation : (3,) float64 [mm]
        Of the weighted centroid.
    rotation : (3,) float64 [rad]
    """
    w = weights / weights.sum()
    r = points - w @ points
    t = w @ displacement
    v = displacement - t
    inertia = np.einsum("n,nk,nk->", w, r, r) * np.eye(3) - np.einsum("n,ni,nj->ij", w, r, r)
    return t, np.linalg.solve(inertia, np.einsum("n,ni->i", w, np.cross(r, v)))
