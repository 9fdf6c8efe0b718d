"""Fit the two linear constants of the annulus to the isolated L4-L5 disc of Heuer et al. 2007.

Run: python benchmarks/calibrate_annulus.py [n]. Fits the modulus of the ground substance and the share of the fibre
modulus, by least squares of log(model ROM / measured ROM) at 7.5 N·m over the four motions, and prints both with the
ROM beside the measured ones. The values go by hand into spinefix/library/tissues.yaml with this script as their source.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from spinefix.analysis.solve import solve
from spinefix.anatomy.builder import build_segment
from spinefix.anatomy.segment import Segment
from spinefix.library.tissues import materials
from spinefix.metrics.context import Context
from spinefix.metrics.stiffness import work_rotation
from spinefix.scenario.build import Specimen, build_arm
from spinefix.scenario.schema import Study

# Medians at 7.5 N·m, deg, one direction from neutral. Heuer F et al., J Biomech 2007;40:271-280, step "w/o ALL", as
# digitised in github:GruberGabriel/ComparativeAnalysisFEModelsIVD (MIT); data for calibration.
MEASURED = {"flexion": 10.11, "extension": 10.28, "lateral_right": 6.43, "axial_left": 5.73}

STUDY = {
    "schema_version": 1,
    "name": "isolated_disc",
    "segment": {"kind": "spine", "levels": ["L4", "L5"]},
    "arms": {"intact": {"kind": "intact"}},
    "loads": [{"kind": "pure_moment", "directions": list(MEASURED), "moment_Nm": 7.5}],
}


def rom(segment: Segment, ground_MPa: float, share_pct: float) -> dict[str, float]:
    """ROM [deg] of the disc at 7.5 N·m."""
    rings = len({k.rpartition(".")[2] for k in segment.mesh.cells if ".disc.annulus." in k})
    annulus = {"E_MPa": ground_MPa, "fibre_linearisation_pct": share_pct}
    tissues = materials("normal", annulus_rings=rings, overrides={"annulus": annulus})
    arm = build_arm(Study.model_validate(STUDY), Specimen(segment, tissues, None), "intact")
    system, solution = solve(arm.model, arm.cases)
    ctx = Context(system, solution, segment, arm.reference, {c.name: c for c in arm.cases})
    return {c: float(np.degrees(work_rotation(ctx, c)[1])) for c in solution.cases}


def main() -> None:
    """Find the constants and print them."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    segment = replace(build_segment(["L4", "L5"], n), ligaments=(), facet_joints=())

    def misfit(logs: np.ndarray) -> np.ndarray:
        model = rom(segment, *(float(v) for v in np.exp(logs)))
        return np.array([np.log(model[k] / v) for k, v in MEASURED.items()])

    found = least_squares(misfit, np.log([2.0, 15.0]), diff_step=0.05, xtol=1e-3)
    ground, share = np.exp(found.x)
    model = rom(segment, ground, share)
    print(f"annulus E {ground:.3f} MPa, fibre_linearisation {share:.2f} %   (n={n})")
    for k, v in MEASURED.items():
        print(f"{k:14s} model {model[k]:6.2f} deg   measured {v:6.2f} deg")


if __name__ == "__main__":
    main()
