"""What a moment-rotation curve says beyond its end: neutral, elastic and lax zone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.analysis.response import Branch
from spinefix.mesh.core import F64
from spinefix.metrics.context import Context, Row
from spinefix.metrics.stiffness import turns_about
from spinefix.units import to_surface


def zones(ctx: Context, case: str) -> Iterator[Row]:
    """Curve after full load, residual rotation, neutral and elastic zone; lax zone of the way to full load.

    With the rotation r at the loaded point about the axis of the moment:

    - residual rotation: r when the moment is gone again;
    - neutral zone: r at no moment after full load less that after the full reversed moment, the width of the loop at no
      moment (Wilke HJ, Wenger K, Claes L (1998), Testing criteria for spinal implants, Eur Spine J 7:148-154, from
      memory; there in the third cycle, here in the first). Nothing but friction and flow opens the loop: without them
      it is zero;
    - elastic zone: r at full load less the residual rotation (the same source);
    - lax zone: where the straight line through the last two points on the way to full load meets no moment, on one side
      (Crawford NR, Peles JD, Dickman CA (1998), The spinal lax zone and neutral zone, J Spinal Disord 11:416-429, from
      memory). It needs two load factors and tells how much of the motion meets little resistance.
    """
    moment = ctx.cases[case].moments.get(ctx.reference)
    if moment is None or not np.any(moment) or not ctx.response.finite:
        return
    factors, u = ctx.response.path(case)
    loading = turns_about(ctx, case, u)
    if len(factors) > 1:
        slope = (loading[-1] - loading[-2]) / (factors[-1] - factors[-2])
        yield degrees(case, "lax_zone", loading[-1] - slope * factors[-1])
    residual: dict[str, float] = {}
    for branch in ctx.response.branches(case):
        found = turns_about(ctx, case, branch.u)
        for factor, turn in zip(branch.factors, found, strict=True):
            yield degrees(case, "rom", turn, float(factor), branch.name)
        if complete(branch) and branch.end == 0.0:
            residual[branch.name] = float(found[-1])
    if "unloading" in residual:
        yield degrees(case, "residual_rotation", residual["unloading"])
        yield degrees(case, "elastic_zone", loading[-1] - residual["unloading"])
    if "reversed_unloading" in residual:
        yield degrees(case, "neutral_zone", residual["unloading"] - residual["reversed_unloading"])


def complete(branch: Branch) -> bool:
    """Whether a branch was solved to its end."""
    return len(branch.factors) > 0 and bool(abs(branch.factors[-1] - branch.end) < 1e-9)


def degrees(case: str, name: str, rotation: float | F64, factor: float = 1.0, branch: str = "loading") -> Row:
    """A row of a rotation [rad] of the whole segment."""
    return Row(case, name, "whole", to_surface("_deg", float(rotation)), "deg", factor, branch)
