"""Body replacement held by pedicle screws and rods alone."""

from __future__ import annotations

from typing import Literal

from spinefix.anatomy.segment import Segment
from spinefix.errors import UsageError
from spinefix.implants.assembly import Assembly
from spinefix.implants.base import BuildResult
from spinefix.implants.corpectomy import BodyReplacement, replace_bodies
from spinefix.implants.posterior import PosteriorInstrumentation, instrument
from spinefix.implants.screws import Screw, check_crossing


class PosteriorProsthesis(BodyReplacement, PosteriorInstrumentation):
    """Resection, prosthesis, and pedicle screws with rods; no anterior plate."""

    kind: Literal["posterior_prosthesis"] = "posterior_prosthesis"
    """Kind of construct."""


def build(spec: PosteriorProsthesis, segment: Segment) -> BuildResult:
    """Build prosthesis, screws and rods on `segment`.

    Raises
    ------
    UsageError
        The resection or a part cannot be made.
    """
    assembly = Assembly()
    above, below = replace_bodies(assembly, segment, spec)
    check_crossing(assembly, bridge(assembly, segment, spec, spec.resect, (above, below)))
    return assembly.result()


def bridge(
    assembly: Assembly,
    segment: Segment,
    spec: PosteriorInstrumentation,
    resected: tuple[str, ...],
    neighbours: tuple[str, str],
) -> dict[str, list[Screw]]:
    """Add posterior instrumentation across a resection, by default at its two `neighbours`."""
    levels = spec.screws.levels or neighbours
    empty = [level for level in levels if level in resected]
    if empty:
        raise UsageError(
            f"the body of {', '.join(empty)} is resected; instrument {' and '.join(neighbours)}",
            key=("screws", "levels"),
        )
    return instrument(assembly, segment, spec, levels)
