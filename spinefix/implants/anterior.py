"""Body replacement with a plate or rods from the front or the side."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spinefix.anatomy.segment import Segment
from spinefix.errors import under
from spinefix.implants.assembly import Assembly
from spinefix.implants.base import BuildResult
from spinefix.implants.corpectomy import BodyReplacement, replace_bodies
from spinefix.implants.plate import AnteriorRods, Plate, fix_anterior
from spinefix.implants.screws import check_crossing


class AnteriorReconstruction(BodyReplacement):
    """Resection, prosthesis and anterior fixation."""

    plate: Annotated[Plate | AnteriorRods, Field(discriminator="kind")] = AnteriorRods()
    """A plate or a pair of rods between the neighbours of the resected bodies."""


class Anterior(AnteriorReconstruction):
    """Prosthetic replacement from the front with a plate or rods; no pedicle screws."""

    kind: Literal["anterior"] = "anterior"
    """Kind of construct."""


def build(spec: Anterior, segment: Segment) -> BuildResult:
    """Build prosthesis and anterior fixation on `segment`.

    Raises
    ------
    UsageError
        The resection or a part cannot be made.
    """
    assembly = Assembly()
    above, below = replace_bodies(assembly, segment, spec)
    with under("plate"):
        check_crossing(assembly, fix_anterior(assembly, segment, spec.plate, above, below))
    return assembly.result()
