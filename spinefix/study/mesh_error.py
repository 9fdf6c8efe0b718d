"""The discretization error of every stiffness ratio, printed beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spinefix.anatomy.builder import REFINEMENTS
from spinefix.errors import SpinefixError
from spinefix.study.outcome import ArmOutcome

if TYPE_CHECKING:
    from spinefix.scenario.schema import Study

ORDER = 2.0
"""Convergence order of the stiffness in the element size, assumed by the estimate: that of the energy for elements
with a complete linear field (Zienkiewicz, Taylor, The Finite Element Method vol. 1). Singular corners lower it, which
is why the estimate is checked against a fine mesh."""


def add_mesh_error(
    study: Study, outcomes: list[ArmOutcome], solve_comparison: Callable[[Study], list[ArmOutcome]]
) -> list[str]:
    """Fill in ``mesh_error_pct`` of every row, by the mesh check that the study asks for.

    ``fine`` measures: the ratio of this mesh against that of the fine one. ``coarse`` estimates: the difference to
    the coarse mesh, extrapolated by Richardson with order `ORDER`, e = |r - r_c| / ((n / n_c)^p - 1). ``none`` does
    nothing.

    Returns
    -------
    list of str
        Warnings: rows whose error exceeds five percent, or what has no solution on the other mesh.
    """
    n = study.segment.refinement()
    other = REFINEMENTS.get(study.outputs.mesh_check)
    if other is None:
        return []
    if other == n:
        return [f"the mesh is the {study.outputs.mesh_check} one itself: no mesh error is given"]
    try:
        twin = solve_comparison(study.with_refinement(other))
    except SpinefixError as failure:
        return [f"mesh check: nothing can be built at n={other}: {failure}"]
    key = "stiffness_ratio_to_intact" if "intact" in study.arms else "stiffness_Nm_per_deg"
    reference = {(o.name, r["case"]): r.get(key) for o in twin for r in o.comparison}
    factor = 1.0 if other > n else 1.0 / ((n / other) ** ORDER - 1.0)
    label = f"measured against n={other}" if other > n else f"extrapolated from n={other}"
    warnings = [f"mesh check: arm {o.name} has no solution at n={other}: {o.error}" for o in twin if o.error]
    for outcome in outcomes:
        for row in outcome.comparison:
            own, theirs = row.get(key), reference.get((outcome.name, row["case"]))
            if not (isinstance(own, float) and isinstance(theirs, float)):
                continue
            base = theirs if other > n else own
            error = 100.0 * factor * abs(own - theirs) / abs(base)
            row["mesh_error_pct"], row["mesh_error_source"] = error, label
            if error > 5.0:
                warnings.append(f"mesh error of {outcome.name}, {row['direction']}: {error:.1f} % ({label})")
    return warnings
