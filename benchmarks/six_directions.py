"""Time the moments of a nonlinear study about all axes by each strategy; print JSON.

    python benchmarks/six_directions.py [--resolution coarse] [--arm posterior] [--out FILE]

`newton` factorizes the tangent at every iteration, with the same direct solver; `krylov` keeps one factorization for
iterations, increments and directions as long as it pays. With superelements vertebrae are condensed beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from spinefix.analysis.nonlinear import Step, Structure
from spinefix.fem.newton import Control
from spinefix.scenario.build import build_arm, build_specimen
from spinefix.scenario.loader import load_study

ROOT = Path(__file__).resolve().parents[1]
CASES = ("flexion", "extension", "lateral_left", "lateral_right", "axial_left", "axial_right")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", default="coarse")
    parser.add_argument("--arm", default="posterior")
    parser.add_argument("--strategies", nargs="*", default=["newton", "krylov", "substructures"])
    parser.add_argument("--superelements", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    study = load_study(ROOT / "scenarios" / "l3_lytic_nonlinear.yaml", (f"segment.resolution={options.resolution}",))
    arm = build_arm(study, build_specimen(study), options.arm)
    cases = [c for c in arm.cases if c.name in CASES]
    nodes = np.array(sorted({n for c in arm.cases for n in (*c.forces, *c.moments)}), np.int32)
    factors = tuple(p / 100.0 for p in study.analysis.load_pct)
    report: dict[str, object] = {"arm": options.arm, "resolution": options.resolution, "load_average": os.getloadavg()}
    answers = {}
    for condensed in options.superelements:
        for strategy in ("warm", *options.strategies):  # the first run compiles
            wall, processor = time.perf_counter(), time.process_time()
            structure = Structure(arm.model, loaded=nodes if condensed else None)
            built = time.process_time() - processor
            control = Control(strategy="krylov" if strategy == "warm" else strategy)
            work = {"factorizations": 0, "solves": 0, "iterations": 0, "cutbacks": 0}
            ends = []
            for case in cases[: 1 if strategy == "warm" else None]:
                solution = structure.solve([Step(case.name, case, factors=factors)], control)
                ends.append(solution.u[-1, : arm.model.mesh.n_points])
                for key in work:
                    work[key] += int(solution.solver[key])
            if strategy == "warm":
                continue
            unknowns = len(structure.problem([Step("none", cases[0])]).free)
            told = {
                "unknowns": unknowns,
                "wall_s": round(time.perf_counter() - wall, 2),
                "cpu_s": round(time.process_time() - processor, 2),
                "cpu_build_s": round(built, 2),
                **work,
            }
            answers[strategy, condensed] = np.array(ends)
            report[f"{strategy}{', superelements' if condensed else ''}"] = told
            print(strategy, condensed, told, flush=True)
    first = next(iter(answers.values()))
    report["difference"] = max(float(np.abs(a - first).max() / np.abs(first).max()) for a in answers.values())
    text = json.dumps(report, indent=2) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
