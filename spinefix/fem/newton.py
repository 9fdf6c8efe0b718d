"""Load stepping: increments that shrink on trouble, grow again and land exactly on the times asked for.

Within an increment Newton's method runs with a line search on the work of the step. Slender parts overshoot and come
back by themselves, so the search waits; stiffening fibres do not. An increment that fails is therefore tried again with
the search on from the first iteration before it is cut, and what helped is kept. All tolerances are relative:
residuals to the loads and reactions of the increment, moments through the size of the model. So the same model in
other units takes the same iterations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import ConvergenceError
from spinefix.fem import rotations
from spinefix.fem.directions import Direction
from spinefix.fem.equilibrium import Balance, Problem, Tangent
from spinefix.fem.items import Configuration, State
from spinefix.fem.substructures import STRATEGIES

F64 = NDArray[np.float64]


NEAR = 0.02
"""Relative residual from which on steps heed what friction makes unsymmetric. A choice: near the answer that makes the
convergence quadratic; far off, where points still touch, part and slip anew, steps without it go astray less."""


MISLED = 4
"""Iterations without a smaller residual after which a guess is forgotten."""


@dataclass(frozen=True)
class Control:
    """Tolerances and limits; none of them has a dimension.

    Parameters
    ----------
    residual : float
        Greatest residual force over the greatest load or reaction at the start or end of the increment; moments count
        over the size of the model. (Residuals that round-off of the positions alone may cause are accepted as well.)
    correction : float
        Also accepted: the next correction would do less than this squared of the work of the increment's first step.
        (Where stiff parts move far, round-off alone may exceed `residual`.)
    max_iterations : int
        Of one increment.
    max_cutbacks : int
        Halvings of the increment asked for before the analysis is given up.
    max_failures : int or None
        Attempts of increments that may fail before the analysis is given up.
    stagnation : int or None
        Iterations without a smaller residual after which an attempt has failed.
    growth : float
        Factor on the increment after an easy one.
    easy : float
        An increment that took no more than this part of `max_iterations` is easy.
    first : float or None
        First increment of pseudo-time; by default the whole way to the first time asked for.
    line_search : float
        Step lengths are searched while the work of the residual along the step exceeds this part of that at its
        start.
    patience : int
        Iterations before such searches, unless the last attempt failed without them.
    strategy : str
        Key of `spinefix.fem.substructures.STRATEGIES`.
    linear_solver : str
        See `spinefix.fem.linsolve.factorize`.
    """

    residual: float = 1e-8
    correction: float = 1e-9
    max_iterations: int = 20
    max_cutbacks: int = 8
    max_failures: int | None = None
    stagnation: int | None = None
    growth: float = 1.5
    easy: float = 0.4
    first: float | None = None
    line_search: float = 0.8
    patience: int = 6
    strategy: str = "krylov"
    linear_solver: str = "auto"


@dataclass(frozen=True)
class Increment:
    """An accepted increment; a solution can be continued from it.

    Parameters
    ----------
    time : float
    x : Configuration
    blocks : (n_blocks, 3) float64 [mm, rad]
        Displacements and rotation vectors, continued beyond half a turn.
    states : tuple of State
    external, reactions : (n_blocks, 3) float64 [N, N mm]
    gradient : (n_blocks, 3) float64 [N, N mm]
        Internal less external forces on all blocks.
    energy, work : float [N mm]
        Stored energy; work of loads and reactions so far (trapezoidal rule over the increments).
    pace : float
        Length of the next increment to try.
    before, before_time : Configuration or None, float
        Where the increment began.
    """

    time: float
    x: Configuration
    blocks: F64
    states: tuple[State, ...]
    external: F64
    reactions: F64
    gradient: F64
    energy: float = 0.0
    work: float = 0.0
    pace: float = 0.0
    before: Configuration | None = None
    before_time: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """One try of an increment.

    Parameters
    ----------
    start, end : float
        Pseudo-time.
    converged : bool
    errors : tuple of float [1]
        Relative residual at each iteration.
    searches : int
        Evaluations beyond one per iteration.
    factorizations, solves : int
    seconds : float
    reason : str
        Why it failed.
    """

    start: float
    end: float
    converged: bool
    errors: tuple[float, ...]
    searches: int
    factorizations: int
    solves: int
    seconds: float
    reason: str = ""

    @property
    def iterations(self) -> int:
        """Number of steps taken."""
        return max(len(self.errors) - 1, 0)


@dataclass(frozen=True)
class Path:
    """Increments at the times asked for (and the last one reached), and all attempts."""

    increments: tuple[Increment, ...]
    history: tuple[Attempt, ...]


class NotConverged(ConvergenceError):
    """The solver gave up.

    Attributes
    ----------
    partial : Path
        Up to the last accepted increment.
    history : tuple of Attempt
    worst : list of str
        The three worst regions by residual at the last iteration.
    """

    def __init__(self, message: str, partial: Path, worst: list[str]) -> None:
        super().__init__(message, partial=partial, worst=worst)
        self.history = partial.history


@dataclass
class _Trace:
    """What happens within one attempt."""

    errors: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    searches: int = 0
    last: Balance | None = None


def begin(problem: Problem) -> Increment:
    """Return the undeformed state as an increment at time 0."""
    x, states = problem.start()
    zero = np.zeros((x.n_blocks, 3))
    return Increment(0.0, x, zero, states, zero, zero, zero)


def solve(
    problem: Problem,
    times: Sequence[float],
    control: Control | None = None,
    *,
    start: Increment | None = None,
    worst: Callable[[F64], list[str]] | None = None,
    guesses: Mapping[float, Configuration] | None = None,
) -> Path:
    """Follow the load program through all `times`.

    Parameters
    ----------
    problem : Problem
    times : ascending pseudo-times at which increments are kept; each is hit exactly
    control : Control
    start : Increment, optional
        Continue from there; the undeformed state at time 0 by default.
    worst : callable, optional
        Names of the worst places for a residual (n_blocks,) [N].
    guesses : mapping, time -> Configuration, optional
        Where the structure may be at some of the times. Each is tried once, in one increment, before anything else.

    Returns
    -------
    Path

    Raises
    ------
    NotConverged
        The increment became too small. The error carries the path so far.
    UsageError
        The linear solver is unknown.
    """
    control = control or Control()
    key = control.strategy, control.linear_solver
    if key not in problem.directions:
        problem.directions[key] = STRATEGIES[control.strategy](control.linear_solver)
    walk = _Walk(problem, control, problem.directions[key], worst, dict(guesses or {}))
    return walk.through(list(times), start or begin(problem))


class _Walk:
    """Steps through pseudo-time."""

    def __init__(
        self,
        problem: Problem,
        control: Control,
        direction: Direction,
        worst: Callable[[F64], list[str]] | None,
        guesses: dict[float, Configuration],
    ) -> None:
        self.problem, self.control, self.direction, self.worst = problem, control, direction, worst
        self.guesses = guesses
        self.history: list[Attempt] = []
        self.careful = direction.careful  # search step lengths from the first iteration on

    def through(self, times: list[float], here: Increment) -> Path:
        """Visit all times."""
        kept: list[Increment] = []
        if times and not (np.diff([here.time, *times]) > 0.0).all():
            raise ValueError(f"times must ascend from the start at {here.time:g}, got {times}")
        pace = here.pace or self.control.first or (times[0] - here.time if times else 0.0)
        least = pace * 0.5**self.control.max_cutbacks
        failures = 0
        for target in times:
            while here.time < target:
                left = ceil((target - here.time) / pace - 1e-9)
                guess = self.guesses.pop(target, None)
                end = target if left <= 1 or guess else here.time + (target - here.time) / left
                trace = _Trace()
                found, attempt = self._attempt(here, end, trace, guess)
                self.history.append(attempt)
                if found is None and guess:
                    continue
                if found is None:
                    failures += 1
                    if failures == self.control.max_failures:  # a hopeless case should end soon
                        raise self._give_up(kept, here, attempt, trace)
                    stepped = len(attempt.errors) > 1  # else shorter steps change nothing
                    self.careful = (stepped and not self.careful) or self.direction.careful
                    if self.careful and not self.direction.careful:
                        continue
                    pace = 0.5 * (end - here.time)
                    if pace < least * (1.0 - 1e-9):
                        raise self._give_up(kept, here, attempt, trace)
                    continue
                if attempt.iterations <= self.control.easy * self.control.max_iterations:
                    pace = max(pace, (end - here.time) * self.control.growth)
                here = replace(found, pace=pace)
            kept.append(here)
        return Path(tuple(kept), tuple(self.history))

    def _attempt(
        self, here: Increment, end: float, trace: _Trace, guess: Configuration | None
    ) -> tuple[Increment | None, Attempt]:
        """Try one increment."""
        work = self.direction.work
        before = work.factorizations, work.solves
        began = time.perf_counter()
        reason = ""
        found = None
        try:
            found = self._accept(here, end, self._newton(here, end, trace, guess))
        except ConvergenceError as error:
            reason = str(error)
        attempt = Attempt(
            here.time, end, found is not None, tuple(trace.errors), trace.searches,
            work.factorizations - before[0], work.solves - before[1], time.perf_counter() - began, reason,
        )  # fmt: skip
        return found, attempt

    def _newton(self, here: Increment, end: float, trace: _Trace, guess: Configuration | None) -> Balance:
        """Iterate to equilibrium at time `end`, from a guess if there is one."""
        problem, control = self.problem, self.control
        self.direction.restart()
        x, states = here.x, here.states
        motion = problem.prescribed(x, end)
        if guess is not None:
            x, motion = problem.moved(guess, np.zeros(len(problem.free)), problem.prescribed(guess, end)), motion * 0.0
        balance = problem.evaluate(x, end, states)
        floor = first_work = largest = 0.0
        for _ in range(control.max_iterations + 1):
            trace.last = balance
            size = _force_norm(problem, balance.residual)
            largest = max(largest, size)
            error = _relative(problem, here, balance, largest)
            moving = motion.any()
            if not moving:
                trace.errors.append(error)
                trace.sizes.append(size)
                if error <= control.residual or size <= floor:
                    return balance
                if error > 1e6 * min(trace.errors) or not size <= 1e12 * min(trace.sizes):
                    raise ConvergenceError(f"diverged: relative residual {error:.3g}")
                stagnation = control.stagnation if guess is None else MISLED
                if stagnation and _stagnates(trace.sizes, stagnation):
                    why = f"no progress in {stagnation} iterations"
                    raise ConvergenceError(f"{why} (relative residual {error:.3g})")
            near = bool(trace.errors) and trace.errors[-1] <= NEAR
            step, stiffest = self._direction(balance, end, states, motion, near)
            floor = max(floor, 8.0 * np.finfo(float).eps * stiffest * problem.size)
            work = abs(float(step @ balance.residual))
            if not np.isfinite(work):
                raise ConvergenceError("the step is not finite")
            if not moving and first_work > 0.0 and work <= control.correction**2 * first_work and error <= 1e-4:
                return balance
            first_work = max(first_work, work)
            old = balance
            balance, taken = self._search(balance, end, states, step, motion, trace)
            if not moving:
                self.direction.learn(taken * step, balance.residual - old.residual)
            motion = np.zeros_like(motion)
        raise ConvergenceError(
            f"no equilibrium after {control.max_iterations} iterations (relative residual {trace.errors[-1]:.3g})"
        )

    def _direction(
        self, balance: Balance, end: float, states: tuple[State, ...], motion: F64, near: bool
    ) -> tuple[F64, float]:
        """Step of the free dofs, the prescribed motion acting through the tangent, and the stiffest diagonal [N/mm].

        The stiffness is 0 where the tangent was not needed.
        """
        made: list[Tangent] = []

        def tangent() -> Tangent:
            if not made:
                found = self.problem.tangent(balance.x, end, states, motion)
                made.append(found if near else replace(found, unsymmetric=None))
            return made[0]

        residual = balance.residual
        if motion.any():
            residual = residual + tangent().by_motion
        step = self.direction.find(residual, tangent)
        split = _first_rotation(self.problem)
        return step, made[0].stiffest(split) if made else 0.0

    def _search(
        self, old: Balance, end: float, states: tuple[State, ...], step: F64, motion: F64, trace: _Trace
    ) -> tuple[Balance, float]:
        """Take the step, shorter where it overshoots or cannot be evaluated; returns the new balance and the length."""
        problem = self.problem

        def at(length: float) -> _Trial:
            balance = problem.evaluate(problem.moved(old.x, length * step, motion), end, states)
            return _Trial(length, balance, float(step @ balance.residual))

        if motion.any():  # the supports must arrive; there is no equilibrium to compare with on the way
            return at(1.0).balance, 1.0
        length, trial = 1.0, None
        while trial is None:
            try:
                trial = at(length)
            except ConvergenceError:
                length *= 0.5
                trace.searches += 1
                if length < 1e-2:
                    raise
        start = float(step @ old.residual)
        stalls = len(trace.errors) > self.control.patience and trace.errors[-1] > min(trace.errors[:-1])
        if (stalls or self.careful) and start < 0.0 and trial.slope > self.control.line_search * abs(start):
            trial = _bisect(at, start, trial, trace)
        return trial.balance, trial.length

    def _accept(self, here: Increment, end: float, b: Balance) -> Increment:
        """Make an increment of a balance."""
        x = Configuration(b.x.u, rotations.orthonormal(b.x.R))
        step = x.step_from(here.x)
        forces = here.external + here.reactions + b.external + b.reactions
        return Increment(
            time=end,
            x=x,
            blocks=x.vectors(here.blocks),
            states=b.states,
            external=b.external,
            reactions=b.reactions,
            gradient=b.gradient,
            energy=self.problem.energy(x, b.states),
            work=here.work + 0.5 * float(np.sum(forces * step)),
            before=here.x,
            before_time=here.time,
        )

    def _give_up(self, kept: list[Increment], here: Increment, attempt: Attempt, trace: _Trace) -> NotConverged:
        """The error to raise."""
        increments = (*kept, here) if not kept or kept[-1].time < here.time else tuple(kept)
        worst = self._worst(trace.last)
        places = f"; largest residual: {', '.join(worst)}" if worst else ""
        message = f"no solution beyond time {here.time:.6g} (tried {attempt.end:.6g}): {attempt.reason}{places}"
        return NotConverged(message, Path(increments, tuple(self.history)), worst)

    def _worst(self, balance: Balance | None) -> list[str]:
        if self.worst is None or balance is None:
            return []
        flat = np.zeros(3 * balance.x.n_blocks)
        flat[self.problem.free] = balance.residual
        flat[3 * len(self.problem.points) :] /= self.problem.size
        return self.worst(np.linalg.norm(flat.reshape(-1, 3), axis=1))


@dataclass(frozen=True)
class _Trial:
    """A step length, the balance there and the work of its residual along the step."""

    length: float
    balance: Balance
    slope: float


def _bisect(at: Callable[[float], _Trial], start: float, far: _Trial, trace: _Trace) -> _Trial:
    """Find where the residual does no more work along the step (regula falsi, Illinois rule)."""
    low, low_slope, high, high_slope = 0.0, start, far.length, far.slope
    best = far
    for _ in range(6):
        length = low + (high - low) * low_slope / (low_slope - high_slope)
        margin = 0.1 * (high - low)
        trial = at(float(np.clip(length, low + margin, high - margin)))
        trace.searches += 1
        if abs(trial.slope) < abs(best.slope):
            best = trial
        if abs(trial.slope) <= 0.5 * abs(start):
            break
        if trial.slope < 0.0:
            low, low_slope, high_slope = trial.length, trial.slope, 0.5 * high_slope
        else:
            high, high_slope, low_slope = trial.length, trial.slope, 0.5 * low_slope
    return best


def _stagnates(sizes: Sequence[float], iterations: int) -> bool:
    """Whether the last iterations brought no smaller residual than those before."""
    return len(sizes) > iterations and min(sizes[-iterations:]) >= min(sizes[:-iterations])


def _block_norm(problem: Problem, blocks: F64) -> float:
    """Largest component of forces (n_blocks, 3), moments over the size of the model [N]."""
    n = len(problem.points)
    return max(float(np.abs(blocks[:n]).max(initial=0.0)), float(np.abs(blocks[n:]).max(initial=0.0)) / problem.size)


def _first_rotation(problem: Problem) -> int:
    """Number of free displacements; free rotations come behind them."""
    return int(np.searchsorted(problem.free, 3 * len(problem.points)))


def _force_norm(problem: Problem, residual: F64) -> float:
    """The same of a residual on the free dofs [N]."""
    split = _first_rotation(problem)
    force = np.abs(residual[:split]).max(initial=0.0)
    return max(float(force), float(np.abs(residual[split:]).max(initial=0.0)) / problem.size)


def _relative(problem: Problem, here: Increment, balance: Balance, largest: float) -> float:
    """Residual over loads and reactions; where both vanish, over the largest residual of the attempt."""
    size = _force_norm(problem, balance.residual)
    forces = (here.external, here.reactions, balance.external, balance.reactions)
    scale = max(_block_norm(problem, f) for f in forces)
    if scale <= 1e-12 * largest:
        scale = largest
    return size / scale if size > 0.0 else 0.0
