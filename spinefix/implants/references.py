"""The two references of every study: no implant, without and with the lesion."""

from __future__ import annotations

from typing import Literal

from spinefix.anatomy.segment import Segment
from spinefix.implants.assembly import Assembly
from spinefix.implants.base import BuildResult
from spinefix.spec import Spec


class Intact(Spec):
    """The healthy segment: no lesion and no implant."""

    kind: Literal["intact"] = "intact"
    """Kind of construct."""


class Untreated(Spec):
    """The lesion as it is, without an implant."""

    kind: Literal["untreated"] = "untreated"
    """Kind of construct."""


def build(spec: Intact | Untreated, segment: Segment) -> BuildResult:
    """Return a construct of nothing."""
    return Assembly().result()
