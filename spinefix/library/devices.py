"""Implant materials of the library as materials of a model."""

from __future__ import annotations

from spinefix.library import reader
from spinefix.model.core import Material


def material(name: str) -> Material:
    """Return the isotropic elastic material of an implant, e.g. ``material("ti6al4v")``.

    Raises
    ------
    UsageError
        Unknown name.
    """
    data = reader.implant_material(name)
    elastic = {"E": data["E"], "nu": data["nu"]}
    return Material(
        name=reader.implant_materials()[name],
        law="isotropic",
        parameters={"E_MPa": data["E"].internal, "nu": data["nu"].internal},
        source="; ".join(reader.sources(elastic)),
        assumed=any(datum.assumed for datum in elastic.values()),
    )


def strength(name: str) -> float | None:
    """Return the yield strength, else the flexural strength of an implant material [MPa], or None if unknown."""
    data = reader.implant_material(name)
    for key in ("yield", "flexural"):
        if key in data:
            return data[key].internal
    return None
