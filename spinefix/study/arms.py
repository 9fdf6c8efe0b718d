"""How the load cases of one arm are solved: all at once and linearly, or one by one at finite rotation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spinefix.analysis.mirror import MirrorImage
from spinefix.analysis.nonlinear import NonlinearSolution, Structure
from spinefix.analysis.response import LinearResponse, NonlinearResponse
from spinefix.analysis.solve import Stopwatch, solve
from spinefix.fem.newton import Control, NotConverged
from spinefix.results.solution import Check
from spinefix.scenario.build import ArmModel
from spinefix.study.nested import Trail

if TYPE_CHECKING:
    from spinefix.scenario.schema import Study


CONTROL = Control(patience=1)
"""Load at once, and step lengths searched from the second iteration on: more increments took more iterations."""

UNBONDED = replace(CONTROL, first=0.5, growth=2.0, max_iterations=40, stagnation=12, max_failures=6, max_cutbacks=4)
"""Where a prosthesis is not bonded, points touch, part, stick and slip until an increment has sorted them out. That
takes more iterations, and step lengths that are searched as soon as the residual grows. What sorts nothing out ends
early. Stiff parts do not stay joined as they were at rest, which takes the strategy ``substructures`` most of its
worth."""


class LinearArm:
    """All cases of an arm, solved with one factorization.

    Parameters
    ----------
    study : Study
    arm : ArmModel

    Attributes
    ----------
    response : Response
    checks : iterable of Check
    solver : dict
        For the manifest.
    seconds : dict, phase -> float [s]
    trail : Trail or None
        For a finer mesh.
    """

    def __init__(self, study: Study, arm: ArmModel) -> None:
        system, solution = solve(arm.model, arm.cases, linear_solver=study.solver.linear_solver)
        self.response = LinearResponse(system, solution)
        self.checks: Iterable[Check] = solution.checks
        self.solver: dict[str, object] = {"analysis": "linear", **solution.solver}
        self.seconds = dict(solution.seconds)
        self.trail: Trail | None = None

    def follow(self, case: str) -> None:
        """Do nothing: all cases are solved."""

    def go_on(self, case: str) -> None:
        """Do nothing: a linear solution comes back the way it went."""


class NonlinearArm:
    """The cases of an arm, solved one by one; attributes as of `LinearArm`, totals over all cases.

    Parameters
    ----------
    study : Study
    arm : ArmModel
    coarse : Trail, optional
        Of the same arm on a coarser mesh, to start from.
    keep : bool
        Keep a trail of what is found, for a finer mesh.
    """

    def __init__(self, study: Study, arm: ArmModel, coarse: Trail | None = None, *, keep: bool = False) -> None:
        bonded = not arm.model.contact_pairs
        strategy = "substructures" if study.analysis.superelements and bonded else CONTROL.strategy
        base = CONTROL if bonded else UNBONDED
        control = replace(base, linear_solver=study.solver.linear_solver, strategy=strategy)
        watch = Stopwatch()
        nodes = {node for c in arm.cases for node in (*c.forces, *c.moments)}
        loaded = np.array(sorted(nodes), np.int32) if study.analysis.superelements else None
        structure = Structure(arm.model, loaded=loaded)
        watch.lap("structure")
        self.seconds = watch.seconds
        cases = {c.name: c for c in arm.cases}
        # Where points slip the way there matters: no jump to where a coarse mesh has led.
        guesses = coarse.onto(arm.model.mesh, structure.rotation_index) if coarse and bonded else {}
        factors = tuple(p / 100.0 for p in study.analysis.load_pct)
        mirror = MirrorImage.of(arm.model.mesh, structure.rotation_index) if bonded else None
        self.response = NonlinearResponse(structure, cases, factors, control, guesses, study.analysis.cycle, mirror)
        self.trail = Trail(arm.model.mesh, structure.rotation_index) if keep else None
        self.solver: dict[str, object] = {
            "analysis": "nonlinear",
            "strategy": control.strategy,
            "superelements": len(structure.superelements),
        }
        self._checks: dict[str, Check] = {}
        self._totals: dict[str, float] = {}

    @property
    def checks(self) -> Iterable[Check]:
        """Each check, at its worst over all cases."""
        return self._checks.values()

    def follow(self, case: str) -> None:
        """Solve a case.

        Raises
        ------
        NotConverged, CheckError
            See `NonlinearResponse.follow`. The part that was solved stays in `response`.
        """
        self._solve(case, self.response.follow, self.response.solutions)
        if self.trail is not None:
            self.trail.places[case] = self.response.places(case)

    def go_on(self, case: str) -> None:
        """Solve what follows full load, if the study asks for it.

        Raises
        ------
        NotConverged, CheckError
            See `NonlinearResponse.go_on`. The part that was solved stays in `response`.
        """
        self._solve(case, self.response.go_on, self.response.rests)

    def _solve(
        self, case: str, find: Callable[[str], NonlinearSolution | None], kept: dict[str, NonlinearSolution]
    ) -> None:
        """Solve, take note of the work and the checks, and keep what was solved of a case that fails."""
        try:
            solution = find(case)
        except NotConverged as error:
            if isinstance(error.partial, NonlinearSolution):
                kept[case] = error.partial
                self._count(error.partial)
            raise
        if solution is not None:
            self._note(solution)

    def _note(self, solution: NonlinearSolution) -> None:
        self._count(solution)
        for check in solution.checks:
            known = self._checks.get(check.name)
            if known is None or not known.value >= check.value:
                self._checks[check.name] = check

    def _count(self, solution: NonlinearSolution) -> None:
        for key, value in solution.solver.items():
            if isinstance(value, int | float):
                self._totals[key] = self._totals.get(key, 0) + value
        self.solver.update(self._totals)
        for phase, value in solution.seconds.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + value


def solve_arm(
    study: Study, arm: ArmModel, coarse: Trail | None = None, *, keep: bool = False
) -> LinearArm | NonlinearArm:
    """Solve an arm, or make it ready to be solved case by case; parameters of `NonlinearArm`.

    Raises
    ------
    SpinefixError
        The model is unusable, or a self-check failed.
    """
    if study.analysis.kind == "nonlinear":
        return NonlinearArm(study, arm, coarse, keep=keep)
    return LinearArm(study, arm)
