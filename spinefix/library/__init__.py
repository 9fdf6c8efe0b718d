"""Sourced data: morphometry, tissues, ligaments, implant materials, each number with unit, range and source."""

from spinefix.library.reader import (
    Datum,
    catalogue,
    citations,
    disc,
    fibre_curve,
    implant_material,
    implant_sizes,
    level_dimensions,
    levels,
    ligament,
    plain,
    screw_core_diameter,
    screw_interface,
    shape_parameters,
    tissue_set,
)

__all__ = [
    "Datum",
    "catalogue",
    "citations",
    "disc",
    "implant_material",
    "implant_sizes",
    "level_dimensions",
    "levels",
    "fibre_curve",
    "ligament",
    "plain",
    "screw_core_diameter",
    "screw_interface",
    "shape_parameters",
    "tissue_set",
]
