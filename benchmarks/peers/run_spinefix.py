"""Solve a case with spinefix: python run_spinefix.py case.npz answer.npy [strategy=krylov] [tolerance=1e-8]."""

from __future__ import annotations

import sys
import time

BEGAN = time.perf_counter()

import numpy as np  # noqa: E402
from clock import arguments, finish  # noqa: E402
from problems import Case  # noqa: E402

from spinefix.analysis.nonlinear import Step, solve  # noqa: E402
from spinefix.fem.newton import Control  # noqa: E402
from spinefix.mesh.core import CellBlock, Mesh  # noqa: E402
from spinefix.model.core import LoadCase, Material, Model, Support  # noqa: E402


def model_of(case: Case) -> Model:
    """Return the case as a model."""
    e = len(case.conn)
    materials = tuple(
        Material(f"m{i}", "neo_hookean", {"mu_MPa": mu, "K_MPa": K, "volumetric": "quadratic"}, "standard")
        for i, (mu, K) in enumerate(zip(case.mu, case.K, strict=True))
    )
    nodes = np.unique(case.fixed // 3).astype(np.int32)
    if len(nodes) * 3 != len(case.fixed):
        raise ValueError("supports must hold whole nodes")
    return Model(
        Mesh(case.points, (CellBlock("hex8", case.conn),)), materials, case.material, np.ones((e, 8)),
        np.zeros((e, 2, 3)), (), np.full(e, -1, np.int32), np.zeros((e, 3)), supports=(Support("held", nodes),),
    )  # fmt: skip


def step_of(case: Case) -> Step:
    """Return the load program."""
    motion = np.zeros_like(case.points)
    motion.reshape(-1)[case.fixed] = case.motion
    forces = {int(i): case.force[i] for i in np.flatnonzero(case.force.any(axis=1))}
    motions = {int(i): (motion[i], np.zeros(3)) for i in np.flatnonzero(motion.any(axis=1))}
    factors = tuple(((np.arange(case.increments) + 1.0) / case.increments).tolist())
    return Step("load", LoadCase("load", forces=forces), motions=motions, factors=factors)


def main() -> None:
    """Solve and report."""
    path, answer, options = arguments(sys.argv)
    case = Case.load(path)
    ready = time.perf_counter()
    control = Control(strategy=options.get("strategy", "krylov"), residual=float(options.get("tolerance", "1e-8")))
    solution = solve(model_of(case), [step_of(case)], control=control)
    finish(
        answer, solution.u[-1, : len(case.points)], BEGAN, ready,
        iterations=[a.iterations for a in solution.history], seconds=dict(solution.seconds),
        solver=dict(solution.solver),
    )  # fmt: skip


if __name__ == "__main__":
    main()
