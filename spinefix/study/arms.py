"""How the load cases of one arm are solved: all at once and linearly, or one by one at finite rotation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spinefix.analysis.nonlinear import NonlinearSolution, Structure
from spinefix.analysis.response import LinearResponse, NonlinearResponse
from spinefix.analysis.solve import Stopwatch, solve
from spinefix.fem.newton import Control, NotConverged
from spinefix.results.solution import Check
from spinefix.scenario.build import ArmModel

if TYPE_CHECKING:
    from spinefix.scenario.schema import Study


CONTROL = Control(residual=1e-7, first=1.0 / 3.0, extrapolate=True)
"""Three extrapolated increments: on a lumbar spine in axial rotation, where facet joints close and fibres tighten, they
took two thirds of the work of a single one, in flexion as much (coarse mesh)."""


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
    """

    def __init__(self, study: Study, arm: ArmModel) -> None:
        system, solution = solve(arm.model, arm.cases, linear_solver=study.solver.linear_solver)
        self.response = LinearResponse(system, solution)
        self.checks: Iterable[Check] = solution.checks
        self.solver: dict[str, object] = {"analysis": "linear", **solution.solver}
        self.seconds = dict(solution.seconds)

    def follow(self, case: str) -> None:
        """Do nothing: all cases are solved."""


class NonlinearArm:
    """The cases of an arm, solved one by one; parameters and attributes as of `LinearArm`, totals over all cases."""

    def __init__(self, study: Study, arm: ArmModel) -> None:
        strategy = "substructures" if study.analysis.superelements else CONTROL.strategy
        control = replace(CONTROL, linear_solver=study.solver.linear_solver, strategy=strategy)
        watch = Stopwatch()
        nodes = {node for c in arm.cases for node in (*c.forces, *c.moments)}
        loaded = np.array(sorted(nodes), np.int32) if study.analysis.superelements else None
        structure = Structure(arm.model, loaded=loaded)
        watch.lap("structure")
        self.seconds = watch.seconds
        cases = {c.name: c for c in arm.cases}
        self.response = NonlinearResponse(structure, cases, tuple(p / 100.0 for p in study.analysis.load_pct), control)
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
        try:
            solution = self.response.follow(case)
        except NotConverged as error:
            if isinstance(error.partial, NonlinearSolution):
                self.response.solutions[case] = error.partial
                self._count(error.partial)
            raise
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


def solve_arm(study: Study, arm: ArmModel) -> LinearArm | NonlinearArm:
    """Solve an arm, or make it ready to be solved case by case.

    Raises
    ------
    SpinefixError
        The model is unusable, or a self-check failed.
    """
    return NonlinearArm(study, arm) if study.analysis.kind == "nonlinear" else LinearArm(study, arm)
