"""Load stepping with contact: pressures and springs that hold are brought to rest at each load.

`settle` finds equilibrium anew at constant load with the pressures of the last answer (updates of Uzawa), until the
penetration of all slave facets is below a tolerance, and, where springs hold a loose part, until these carry next to
nothing; see `spinefix.fem.contact`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spinefix.fem import newton
from spinefix.fem.contact import Contact, Report
from spinefix.fem.equilibrium import Problem
from spinefix.fem.items import Configuration
from spinefix.mesh.core import F64

_DRAG = 1e-3
"""Part of the greatest load or reaction so far that springs of `Interface.hold` may carry once a contact is settled."""

_PATIENCE = 5
"""Repetitions at constant load after which those springs should carry less than half of what they did at first."""

_LOST = 0.5
"""Slip over `Interface.reach`, beyond which a part that still moves at constant load is given up."""

Worst = Callable[[F64], list[str]]
"""Names of the worst places for a residual (n_blocks,) [N]."""

Reported = tuple[Contact, Report]
"""A contact and its report in one increment."""


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
    worst: Worst | None = None,
    guesses: Mapping[float, Configuration] | None = None,
) -> Settled:
    """Follow the load program as `newton.solve` does, and settle all contacts at each of the times.

    Parameters
    ----------
    problem, times, control, start, worst, guesses : see `newton.solve`
    tolerance : float [1], optional
        Instead of `Interface.penetration`.
    most : int
        Updates of lambda at one time.

    Raises
    ------
    NotConverged
        As `newton.solve`, or a contact does not settle. `partial` ends before a state that is held in place by springs.
    """
    here = start
    kept: list[newton.Increment] = []
    history: list[newton.Attempt] = []
    reports, updates = [], []
    most_load = 0.0 if start is None else _load(problem, start)
    for time in times:
        try:
            path = newton.solve(problem, [time], control, start=here, worst=worst, guesses=guesses)
            history += path.history
            most_load = max(most_load, _load(problem, path.increments[-1]))
            here, count, more = settle(
                problem, path.increments[-1], control, tolerance=tolerance, most=most, worst=worst, load=most_load
            )
        except newton.NotConverged as error:
            late = [i for i in error.partial.increments if not kept or i.time > kept[-1].time]
            partial = newton.Path((*kept, *([] if _holding(problem) else late)), (*history, *error.history))
            reached = (*kept, *error.partial.increments)
            message = str(error) + (_situation(_reported(problem, reached[-1])) if reached else "")
            raise newton.NotConverged(message, partial, error.worst) from None
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
    load: float | None = None,
) -> tuple[newton.Increment, int, tuple[newton.Attempt, ...]]:
    """Find equilibrium anew at constant load, with new lambda and new places of springs that hold, until both settle.

    Parameters
    ----------
    load : float [N]
        What the springs of `Interface.hold` are measured by; by default the greatest load or reaction of `increment`.
    problem, increment, control, tolerance, most, worst : see `solve`

    Returns
    -------
    increment : newton.Increment
        At the time of the one given.
    updates : int
    history : tuple of newton.Attempt
    """
    here, history, drags = increment, list[newton.Attempt](), list[float]()
    scale = _load(problem, increment) if load is None else load
    count = 0
    while (found := _unsettled(reported := _reported(problem, here), tolerance, scale)) is not None:
        drags.append(sum(report.drag for _, report in reported))
        tired = count >= _PATIENCE and drags[-1] > 0.5 * drags[0]
        if count == most or tired or any(map(_lost, reported)):
            name, what, repair = found
            message = f"contact {name!r} {what} at time {here.time:g} after {count} repetitions; {repair}"
            raise newton.NotConverged(message, newton.Path((here,), tuple(history)), [name])
        path = _again(problem, here, control, worst)
        history += path.history
        here = replace(path.increments[-1], before=here.before, before_time=here.before_time, pace=here.pace)
        count += 1
    return here, count, tuple(history)


def _unsettled(reported: Sequence[Reported], tolerance: float | None, load: float) -> tuple[str, str, str] | None:
    """Name of the contact farthest from its tolerances, what is wrong and what may help; None if all keep to them."""
    worst = 1.0
    found: tuple[str, str, str] | None = None
    for item, report in reported:
        allowed = tolerance or item.interface.penetration
        depth = report.mean_penetration / allowed if item.augmented else 0.0  # a layer that gives may be pressed
        drag = report.drag / (_DRAG * load) if report.drag > 0.0 else 0.0
        if max(depth, drag) <= worst:
            continue
        worst = max(depth, drag)
        if depth > drag:
            what = f"penetrates {report.mean_penetration:.3g} of the element size (tolerance {allowed:g})"
            found = item.name, what, "a stiffer interface, or a finer slave surface, helps"
        else:
            hint = "nothing holds the parts in place; friction or a compressive preload may"
            found = item.name, "does not come to rest", hint
    return found


def _lost(reported: Reported) -> bool:
    """Whether a part that springs hold has left its place."""
    item, report = reported
    limit = _LOST * item.interface.reach * item.surfaces.size
    return item.interface.hold > 0.0 and bool((report.slip > limit).any())


def _situation(reported: Sequence[Reported]) -> str:
    """Say how far parts that springs hold have slid."""
    slid = {item.name: np.nanmax(report.slip, initial=0.0) for item, report in reported if item.interface.hold}
    return "".join(f"; {name} has slid {slip:.2g} mm" for name, slip in slid.items())


def _load(problem: Problem, here: newton.Increment) -> float:
    """The greatest load or reaction on a node [N]; moments over the size of the model."""
    n = len(problem.points)
    forces = np.abs(here.external), np.abs(here.reactions)
    return float(max(max(f[:n].max(initial=0.0), f[n:].max(initial=0.0) / problem.size) for f in forces))


def _holding(problem: Problem) -> bool:
    """Whether increments that are not settled lean on springs that hold."""
    return any(isinstance(item, Contact) and item.interface.hold > 0.0 for item in problem.items)


def _again(
    problem: Problem, here: newton.Increment, control: newton.Control | None, worst: Worst | None
) -> newton.Path:
    """Find equilibrium anew at the same load with the state of `here`; there is nothing to cut on the way."""
    once = replace(control or newton.Control(), max_cutbacks=0)
    blink = 1e-9 * max(here.time - here.before_time, 1e-3 * abs(here.time))
    start = replace(here, time=here.time - blink, pace=2.0 * blink)  # in one increment, whatever round-off
    return newton.solve(problem, [here.time], once, start=start, worst=worst)


def follow(
    problem: Problem,
    times: Sequence[float],
    control: newton.Control | None = None,
    *,
    start: newton.Increment | None = None,
    worst: Worst | None = None,
    guesses: Mapping[float, Configuration] | None = None,
) -> newton.Path:
    """Return the path of `solve` if the problem has contacts, else that of `newton.solve`."""
    if any(isinstance(item, Contact) for item in problem.items):
        return solve(problem, times, control, start=start, worst=worst, guesses=guesses).path
    return newton.solve(problem, times, control, start=start, worst=worst, guesses=guesses)


def contact_reports(problem: Problem, increment: newton.Increment) -> dict[str, Report]:
    """Return the reports of all contacts of a problem in an accepted increment."""
    return {item.name: report for item, report in _reported(problem, increment)}


def _reported(problem: Problem, increment: newton.Increment) -> list[Reported]:
    return [
        (item, item.report(increment.x, state))
        for item, state in zip(problem.items, increment.states, strict=True)
        if isinstance(item, Contact)
    ]
