"""Cross-sections of beams, in closed form."""

from __future__ import annotations

import math

from spinefix.model.core import Section

_SHEAR_ROUND = 6.0 * 1.3 / (7.0 + 6.0 * 0.3)
_SHEAR_RECTANGLE = 10.0 * 1.3 / (12.0 + 11.0 * 0.3)
"""Timoshenko shear factors at a Poisson ratio of 0.3: Cowper GR (1966), J Appl Mech 33(2):335-340."""


def round_section(name: str, diameter: float) -> Section:
    """Return a solid circular section of `diameter` [mm]."""
    area = math.pi * diameter**2 / 4
    inertia = math.pi * diameter**4 / 64
    return Section(
        name, area, inertia, inertia, 2 * inertia, _SHEAR_ROUND, _SHEAR_ROUND, diameter / 2, diameter / 2, True
    )


def rectangular_section(name: str, thickness: float, width: float) -> Section:
    """Return a solid rectangle: `thickness` [mm] along local y, `width` [mm] along local z.

    The torsion constant is J = a b^3 (1/3 - 0.21 (b/a) (1 - (b/a)^4 / 12)), a the longer and b the shorter side,
    within 4 % of the series (Young WC, Budynas RG, Roark's Formulas for Stress and Strain, 7th ed., table 10.1).
    """
    long, short = max(thickness, width), min(thickness, width)
    ratio = short / long
    return Section(
        name,
        thickness * width,
        thickness * width**3 / 12,
        width * thickness**3 / 12,
        long * short**3 * (1 / 3 - 0.21 * ratio * (1 - ratio**4 / 12)),
        _SHEAR_RECTANGLE,
        _SHEAR_RECTANGLE,
        thickness / 2,
        width / 2,
        False,
    )
