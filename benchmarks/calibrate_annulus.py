"""Fit the linear share of the annulus fibre modulus to the isolated L4-L5 disc of Heuer et al. 2007.

Run: python benchmarks/calibrate_annulus.py [n]. Prints the share and the ROM of the four motions beside the measured ones.
The value goes by hand into spinefix/library/tissues.yaml (annulus.fibre_linearisation) with this script as its source.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from spinefix.anatomy.builder import build_segment
from spinefix.library.tissues import materials
from spinefix.metrics.context import Context
from spinefix.metrics.stiffness import work_rotation
from spinefix.analysis.solve import solve
from spinefix.scenario.build import Specimen, build_arm
from spinefix.scenario.schema import Study

# Medians at 7.5 N·m, deg, one direction from neutral. Heuer F et al., J Biomech 2007;40:271-280, step "w/o ALL", as
# digitised in github:GruberGabriel/ComparativeAnalysisFEModelsIVD (MIT).
MEASURED = {"flexion": 10.11, "extension": 10.28, "lateral_right": 6.43, "axial_left": 5.73}


def rom(share_pct: float, n: int) -> dict[str, float]:
    """ROM [deg] of the isolated disc at 7.5 N·m with a given fibre share."""
    study = Study.model_validate(
        {
            "schema_version": 1,
            "name": "isolated_disc",
            "segment": {"kind": "spine", "levels": ["L4", "L5"], "resolution": n},
            "arms": {"intact": {"kind": "intact"}},
            "loads": [{"kind": "pure_moment", "directions": list(MEASURED), "moment_Nm": 7.5}],
        }
    )
    segment = replace(build_segment(["L4", "L5"], n), ligaments=(), facet_joints=())
    rings = len({k.rpartition(".")[2] for k in segment.mesh.cells if ".disc.annulus." in k})
    tissues = materials("normal", annulus_rings=rings, overrides={"annulus.fibre_linearisation_pct": share_pct})
    arm = build_arm(study, Specimen(segment, tissues, None), "intact")
    system, solution = solve(arm.model, arm.cases)
    ctx = Context(system, solution, segment, arm.reference, {c.name: c for c in arm.cases})
    return {c: float(np.degrees(work_rotation(ctx, c)[1])) for c in solution.cases}


def main() -> None:
    """Find the share and print it."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 3

    def misfit(log_share: float) -> float:
        model = rom(float(np.exp(log_share)), n)
        return float(np.mean([np.log(model[k] / v) for k, v in MEASURED.items()]))

    share = float(np.exp(brentq(misfit, np.log(0.5), np.log(100.0), xtol=1e-3)))
    model = rom(share, n)
    print(f"fibre_linearisation {share:.2f} %   (n={n})")
    for k, v in MEASURED.items():
        print(f"{k:14s} model {model[k]:6.2f} deg   measured {v:6.2f} deg")


if __name__ == "__main__":
    main()
