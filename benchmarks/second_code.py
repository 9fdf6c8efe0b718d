"""Compare spinefix with CalculiX on the arms of the example scenario (L2-L4): the table of docs/how-to/export.md.

    python benchmarks/second_code.py [--resolution coarse] [--arms intact posterior]

Needs `ccx` (Debian package calculix-ccx).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "export"))

import calculix  # noqa: E402

from spinefix.analysis.deck import averaged, with_formulation  # noqa: E402
from spinefix.analysis.export_abaqus import write_abaqus  # noqa: E402
from spinefix.analysis.solve import solve  # noqa: E402
from spinefix.scenario.build import build_arm, build_specimen  # noqa: E402
from spinefix.scenario.loader import load_study  # noqa: E402

CASES = ("flexion", "lateral_left", "axial_left", "compression")
VARIANTS = {
    "all standard": ("standard", "abaqus"),
    "as is, deck for Abaqus": ("as_is", "abaqus"),
    "as is, deck for CalculiX": ("as_is", "calculix"),
}


def main() -> None:
    """Print one row per arm and variant: greatest difference of the loaded end's motion, per load case."""
    options = argparse.ArgumentParser()
    options.add_argument("--resolution", default="coarse")
    options.add_argument("--levels", default="[L2,L3,L4]")
    options.add_argument("--arms", nargs="*")
    options.add_argument("--variants", nargs="*", default=list(VARIANTS))
    args = options.parse_args()
    settings = (f"segment.levels={args.levels}", f"segment.resolution={args.resolution}")
    study = load_study(ROOT / "scenarios" / "l3_lytic.yaml", settings)
    specimen = build_specimen(study)
    print("| arm | variant | " + " | ".join(CASES) + " | ccx s | spinefix s |")
    for arm in args.arms or study.arms:
        built = build_arm(study, specimen, arm)
        cases = [case for case in built.cases if case.name in CASES]
        for variant in args.variants:
            formulation, code = VARIANTS[variant]
            model, _ = averaged(built.model)
            model = model if formulation == "as_is" else with_formulation(model, formulation)
            start = time.perf_counter()
            _, ours = solve(model, cases)
            middle = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                theirs = calculix.run(write_abaqus(Path(folder) / "m.inp", model, cases, code=code))
            seconds = (time.perf_counter() - middle, middle - start)
            turn = model.mesh.n_points + 1 + int(ours.rotation_index[built.reference])
            differences = []
            for table, name in zip(theirs, ours.cases, strict=True):
                pairs = (
                    (ours.displacement(name)[built.reference], table[built.reference + 1]),
                    (ours.rotation(name, built.reference), table[turn]),
                )
                differences.append(max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs))
            numbers = " | ".join(f"{d:.1e}" for d in differences)
            print(f"| {arm} | {variant} | {numbers} | {seconds[0]:.1f} | {seconds[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
