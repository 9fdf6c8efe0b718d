"""Names and colours that all pictures share."""

from __future__ import annotations

from collections.abc import Sequence

OKABE_ITO: tuple[str, ...] = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
"""Colours that people with any common colour vision tell apart (M. Okabe, K. Ito 2008, from memory)."""

_ARM_COLOURS: dict[str, str] = {
    "intact": "#8A8A8A",
    "untreated": "#3A3A3A",
    "posterior": OKABE_ITO[0],
    "anterior": OKABE_ITO[1],
    "posterior_prosthesis": OKABE_ITO[2],
    "combined": OKABE_ITO[3],
}

BONE = "#E3D5B4"
DISC = "#7FA8C9"
METAL = "#9AA0A6"
LESION_LYTIC = "#8E1B2E"
LESION_BLASTIC = "#5B4A86"
STRESS_MAP = "viridis"
BONE_STRESS_MAP = "inferno"
INK = "#22262B"
PAPER = "#FFFFFF"


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """Colour of each arm: fixed for the arms of the standard comparison, the next free one for others."""
    colours = {arm: _ARM_COLOURS[arm] for arm in arms if arm in _ARM_COLOURS}
    free = [c for c in OKABE_ITO if c not in colours.values()] or list(OKABE_ITO)
    others = [arm for arm in arms if arm not in colours]
    return {**colours, **{arm: free[i % len(free)] for i, arm in enumerate(others)}}


def label(name: str) -> str:
    """A name as people read it: ``lateral_left`` becomes ``lateral left``."""
    return name.replace("_", " ")


def joined(names: Sequence[str]) -> str:
    """Several directions as people read them: ``lateral_left``, ``lateral_right`` become ``lateral left / right``."""
    first, *others = [label(n) for n in names]
    head = first.partition(" ")[0]
    return " / ".join([first, *(o.removeprefix(head + " ") for o in others)])
