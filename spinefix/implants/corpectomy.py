"""Resection of vertebral bodies and their replacement, shared by all arms that have a prosthesis."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spinefix.anatomy.segment import Segment
from spinefix.errors import under
from spinefix.implants.assembly import Assembly
from spinefix.implants.levels import in_order, neighbours
from spinefix.implants.prosthesis import Prosthesis, place_prosthesis, resected_regions
from spinefix.spec import Spec


class BodyReplacement(Spec):
    """What is resected and what replaces it."""

    resect: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    """One body or two consecutive ones; the discs above, between and below go with them."""
    prosthesis: Prosthesis = Prosthesis()
    """What replaces the bodies."""


def replace_bodies(assembly: Assembly, segment: Segment, spec: BodyReplacement) -> tuple[str, str]:
    """Resect, place the prosthesis, and return the levels above and below it."""
    resected = in_order(segment, spec.resect, "resect")
    above, below = neighbours(segment, resected)
    assembly.resect(*resected_regions(segment, resected))
    with under("prosthesis"):
        place_prosthesis(assembly, segment, spec.prosthesis, above, below)
    return above, below
