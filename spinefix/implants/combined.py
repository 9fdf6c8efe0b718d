"""Circumferential (360 degree) reconstruction: prosthesis, anterior fixation and pedicle screws."""

from __future__ import annotations

from typing import Literal

from spinefix.anatomy.segment import Segment
from spinefix.errors import under
from spinefix.implants.anterior import AnteriorReconstruction
from spinefix.implants.assembly import Assembly
from spinefix.implants.base import BuildResult
from spinefix.implants.corpectomy import replace_bodies
from spinefix.implants.plate import fix_anterior
from spinefix.implants.posterior import PosteriorInstrumentation
from spinefix.implants.posterior_prosthesis import bridge
from spinefix.implants.screws import check_crossing


class Combined(AnteriorReconstruction, PosteriorInstrumentation):
    """Everything of `anterior` and of `posterior`."""

    kind: Literal["combined"] = "combined"
    """Kind of construct."""


def build(spec: Combined, segment: Segment) -> BuildResult:
    """Build prosthesis, anterior fixation, screws and rods on `segment`.

    Raises
    ------
    UsageError
        The resection or a part cannot be made.
    """
    assembly = Assembly()
    above, below = replace_bodies(assembly, segment, spec)
    screws = bridge(assembly, segment, spec, spec.resect, (above, below))
    with under("plate"):
        anterior = fix_anterior(assembly, segment, spec.plate, above, below)
    for level, body_screws in anterior.items():
        screws.setdefault(level, []).extend(body_screws)
    check_crossing(assembly, screws)
    return assembly.result()
