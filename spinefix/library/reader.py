"""Typed reader of the sourced data: every number comes with unit, plausible range, source and how it is known.

The data files beside this module are YAML 1.2. A key ends in its unit (``VBHp_mm``); the reader takes the unit off the
name, so ``level_dimensions("L3")["VBHp"]`` is a `Datum` with ``unit == "mm"``. `plain` gives floats in internal units.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from spinefix.errors import UsageError
from spinefix.units import suffix_of, to_internal

FOLDER = Path(__file__).parent
"""Where the data files are."""

PROVENANCES = ("read", "memory", "derived", "assumed")
"""How a number may be known (explained at the head of ``morphometry.yaml``)."""

_FIELDS = {"value", "range", "source", "provenance", "assumed", "note"}


@dataclass(frozen=True, slots=True)
class Datum:
    """One sourced number.

    Parameters
    ----------
    value : float
        In `unit`.
    unit : str
        Unit suffix without the underscore, e.g. ``mm``, ``MPa``, ``N_per_mm3``; ``1`` if dimensionless.
    range : tuple of two float
        Plausible range; `value` lies within.
    source : str
        Key of ``citations.yaml``.
    provenance : str
        One of `PROVENANCES`.
    assumed : bool
        True if the number was not read anywhere: from memory, or a choice of this toolkit.
    note : str
        Caveat.
    """

    value: float
    unit: str
    range: tuple[float, float]
    source: str
    provenance: str
    assumed: bool
    note: str = ""

    @property
    def internal(self) -> float:
        """The value in internal units (mm, MPa, N, rad, 1)."""
        return to_internal(f"_{self.unit}", self.value)

    def with_value(self, value: float, name: str) -> Datum:
        """Return a copy with a user's `value`, marked as such.

        Raises
        ------
        UsageError
            `value` is outside the plausible range.
        """
        _check_range(name, value, self.range)
        return replace(self, value=float(value), assumed=True, note=f"set by the user; the library has {self.value:g}")


def plain(data: Mapping[str, Datum]) -> dict[str, float]:
    """Return the values as floats in internal units (mm, MPa, N, rad, 1), under the same names."""
    return {name: datum.internal for name, datum in data.items()}


def lookup(table: Mapping[str, Any], name: str, what: str) -> Any:
    """Return ``table[name]``; an unknown name is a `UsageError` that lists what there is and suggests the closest."""
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, list(table), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"unknown {what} {name!r} (known: {', '.join(table)}){hint}")


@functools.cache
def load(file: str) -> Mapping[str, Any]:
    """Return the content of a data file of the library as plain mappings.

    Raises
    ------
    UsageError
        The file is not valid YAML 1.2 (duplicate keys included).
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load((FOLDER / file).read_text(encoding="utf-8"))
    except YAMLError as error:
        raise UsageError(f"{file}: {error}") from error
    return MappingProxyType(content)


@functools.cache
def all_citations() -> Mapping[str, str]:
    """Return every citation of the library by key."""
    return load("citations.yaml")


def citations(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the citations of `keys`, sorted, each once."""
    return tuple(sorted({lookup(all_citations(), key, "source") for key in keys}))


def sources(*groups: Mapping[str, Datum]) -> tuple[str, ...]:
    """Return the citations of all data in `groups`, sorted, each once."""
    return citations(datum.source for group in groups for datum in group.values())


def levels() -> tuple[str, ...]:
    """Return the vertebrae of the library from cranial to caudal."""
    return tuple(load("morphometry.yaml")["vertebrae"])


@functools.cache
def level_dimensions(level: str) -> Mapping[str, Datum]:
    """Return the morphometry of a vertebra, e.g. ``level_dimensions("L3")["EPWu"]``.

    Names after Panjabi 1992 (EPWu, EPDu, EPWl, EPDl, VBHp, VBHa, SCW, SCD, PDW, PDH, SPL, TPW) and
    ``pedicle_spacing``, ``pedicle_angle``, ``facet_width``, ``facet_height``.
    """
    return _data("morphometry.yaml", lookup(load("morphometry.yaml")["vertebrae"], level, "level"), level)


@functools.cache
def disc(name: str) -> Mapping[str, Datum]:
    """Return height_anterior, height_middle, height_posterior, lordosis, facet_sagittal of a disc, e.g. ``L3-L4``."""
    return _data("morphometry.yaml", lookup(load("morphometry.yaml")["discs"], name, "disc"), name)


@functools.cache
def shape_parameters() -> Mapping[str, Datum]:
    """Return what the template needs beyond the level table, the same for all levels."""
    return _data("morphometry.yaml", load("morphometry.yaml")["shape"], "shape")


def tissue_sets() -> tuple[str, ...]:
    """Return the names of the tissue sets."""
    return tuple(load("tissues.yaml")["sets"])


@functools.cache
def tissue_set(name: str) -> Mapping[str, Mapping[str, Datum]]:
    """Return the tissues of a set (``normal``, ``osteopenic``, ``osteoporotic``): tissue -> constant -> `Datum`."""
    content = load("tissues.yaml")
    chosen = lookup(content["sets"], name, "tissue set")
    tissues = {}
    for tissue, shared in content["tissues"].items():
        tissues[tissue] = _data("tissues.yaml", {**chosen.get(tissue, {}), **shared}, tissue)
    return MappingProxyType(tissues)


@functools.cache
def fibre_curve() -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Return strain [1] and nominal stress [MPa] of annulus fibres under tension, and the key of their source."""
    table = load("tissues.yaml")["fibre_curve"]
    return tuple(table["strain_1"]), tuple(table["stress_MPa"]), str(table["source"])


@functools.cache
def ligaments() -> Mapping[str, Mapping[str, Datum]]:
    """Return all ligaments: name -> E_low, E_high, switch_strain, area and, where known, stiffness."""
    table = load("ligaments.yaml")["ligaments"]
    return MappingProxyType({name: _data("ligaments.yaml", entry, name) for name, entry in table.items()})


def ligament(name: str) -> Mapping[str, Datum]:
    """Return one ligament, e.g. ``ligament("anterior_longitudinal")["E_low"]``."""
    found: Mapping[str, Datum] = lookup(ligaments(), name, "ligament")
    return found


@functools.cache
def implant_materials() -> Mapping[str, str]:
    """Return the implant materials: name -> title for people."""
    return MappingProxyType({name: entry["title"] for name, entry in load("implants.yaml")["materials"].items()})


@functools.cache
def implant_material(name: str) -> Mapping[str, Datum]:
    """Return E, nu and, where known, yield, fatigue, flexural, compressive of an implant material."""
    entry = lookup(load("implants.yaml")["materials"], name, "implant material")
    return _data("implants.yaml", {key: value for key, value in entry.items() if key != "title"}, name)


@functools.cache
def implant_sizes() -> Mapping[str, Datum]:
    """Return customary sizes with their ranges: screw_diameter, screw_length, screw_core, rod_diameter, ..."""
    return _data("implants.yaml", load("implants.yaml")["sizes"], "sizes")


def catalogue(key: str) -> tuple[float, ...]:
    """Return the sizes on the shelf, increasing, in the unit of the key, e.g. ``catalogue("screw_length_mm")``."""
    return tuple(float(size) for size in lookup(load("implants.yaml")["catalogue"], key, "catalogue"))


def screw_core_diameter(outer: float) -> float:
    """Return the core diameter of a screw of `outer` thread diameter [mm], by the mean ratio of commercial screws."""
    return outer * implant_sizes()["screw_core"].internal


@functools.cache
def f1717() -> Mapping[str, Datum]:
    """Return the test geometry of ASTM F1717: active_length, block_arm, yield_offset."""
    return _data("implants.yaml", load("implants.yaml")["f1717"], "f1717")


def screw_interfaces() -> tuple[str, ...]:
    """Return the names of the bone-screw interfaces."""
    return tuple(load("implants.yaml")["screw_interface"])


@functools.cache
def screw_interface(name: str = "normal") -> Mapping[str, Datum]:
    """Return ``normal`` and ``tangential`` stiffness of the bone-screw interface per area of the cylinder [N/mm^3]."""
    entry = lookup(load("implants.yaml")["screw_interface"], name, "screw interface")
    return _data("implants.yaml", entry, f"screw_interface.{name}")


@functools.cache
def prosthesis_interface() -> Mapping[str, Datum]:
    """Return the coefficient of ``friction`` of a prosthesis on an endplate [1]."""
    return _data("implants.yaml", load("implants.yaml")["prosthesis_interface"], "prosthesis_interface")


def _data(file: str, entries: Mapping[str, Any], where: str) -> Mapping[str, Datum]:
    """Turn raw entries ``name_unit: {...}`` into `Datum` by bare name."""
    out: dict[str, Datum] = {}
    for key, raw in entries.items():
        suffix = suffix_of(key)
        if suffix is None:
            raise UsageError(f"{file}: {where}.{key}: a key of the library ends in its unit")
        out[key.removesuffix(suffix)] = _datum(f"{file}: {where}.{key}", suffix[1:], raw)
    return MappingProxyType(out)


def _datum(where: str, unit: str, raw: Mapping[str, Any]) -> Datum:
    unknown = set(raw) - _FIELDS
    missing = {"value", "range", "source", "provenance"} - set(raw)
    if unknown or missing:
        raise UsageError(f"{where}: unknown {sorted(unknown)}, missing {sorted(missing)}")
    if raw["provenance"] not in PROVENANCES:
        raise UsageError(f"{where}: provenance {raw['provenance']!r} (allowed: {', '.join(PROVENANCES)})")
    lookup(all_citations(), raw["source"], f"source of {where}")
    low, high = (float(x) for x in raw["range"])
    value = float(raw["value"])
    _check_range(where, value, (low, high))
    assumed = bool(raw.get("assumed", False)) or raw["provenance"] in ("memory", "assumed")
    return Datum(value, unit, (low, high), raw["source"], raw["provenance"], assumed, raw.get("note", ""))


def _check_range(where: str, value: float, bounds: tuple[float, float]) -> None:
    if not bounds[0] <= value <= bounds[1]:
        raise UsageError(f"{where}: {value:g} is outside the plausible range {bounds[0]:g} to {bounds[1]:g}")
