"""From sourced constants to the materials of a segment, by region.

A region of the segment is named ``<level or disc>.<part>``; `materials` maps the part (``body.cancellous``,
``disc.annulus.2``, ...) to a material. `PARTS` says which bone part is which tissue.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from spinefix.errors import UsageError
from spinefix.library import reader
from spinefix.library.reader import Datum
from spinefix.model.core import Material

PARTS: Mapping[str, str] = MappingProxyType(
    {
        "body.cancellous": "cancellous",
        "body.cortical": "cortical",
        "endplate": "endplate",
        "pedicle": "posterior",
        "lamina": "posterior",
        "pars": "posterior",
        "articular": "posterior",
        "transverse": "posterior",
        "spinous": "posterior",
        "disc.nucleus": "nucleus",
    }
)
"""Part of a vertebra or disc (with all below it) -> tissue; the annulus rings come on top."""

_FIBRE_DEPTHS = ("fibre_outer", "fibre_outer_middle", "fibre_inner_middle", "fibre_inner")


def materials(
    set_name: str,
    *,
    annulus_rings: int = 4,
    overrides: Mapping[str, Mapping[str, float]] | None = None,
    finite: bool = False,
) -> dict[str, Material]:
    """Return the material of each part of a segment.

    Parameters
    ----------
    set_name : str
        Tissue set: ``normal``, ``osteopenic`` or ``osteoporotic``.
    annulus_rings : int
        Rings of the annulus in the mesh; ring 1 is the innermost.
    overrides : mapping, tissue -> ``constant_unit`` -> float
        Values in place of the library's, e.g. ``{"annulus": {"fibre_linearisation_pct": 30}}``.
    finite : bool
        Finite-strain laws for nucleus and annulus, for nonlinear analysis. Bone is linear in both.

    Returns
    -------
    materials : dict
        Keys are the parts of `PARTS` and ``disc.annulus.1`` ... ``disc.annulus.<annulus_rings>``.

    Raises
    ------
    UsageError
        Unknown set, tissue or constant, or a value outside its plausible range.

    Notes
    -----
    The fibre modulus of a ring is interpolated between the four depths of the source, then multiplied by the volume
    fraction of one of the two families and by the linearisation share (see ``tissues.yaml: annulus``). At finite strain
    all rings have the fibre curve of the library, scaled by a share that falls linearly towards the nucleus.
    """
    tissues = apply_overrides(reader.tissue_set(set_name), overrides or {})
    out = {part: _isotropic(f"{set_name} {tissue}", tissues[tissue]) for part, tissue in PARTS.items()}
    if finite:
        out["disc.nucleus"] = _finite_nucleus(tissues["nucleus"])
    annulus = _finite_annulus if finite else _annulus
    for ring in range(1, annulus_rings + 1):
        out[f"disc.annulus.{ring}"] = annulus(ring, annulus_rings, tissues["annulus"])
    return out


def apply_overrides(
    tissues: Mapping[str, Mapping[str, Datum]], overrides: Mapping[str, Mapping[str, float]]
) -> Mapping[str, Mapping[str, Datum]]:
    """Return `tissues` with single values replaced; see `materials`."""
    out = {name: dict(constants) for name, constants in tissues.items()}
    for name, values in overrides.items():
        known = {f"{constant}_{d.unit}": constant for constant, d in reader.lookup(out, name, "tissue").items()}
        for key, value in values.items():
            constant = reader.lookup(known, key, f"constant of tissue {name!r}:")
            out[name][constant] = out[name][constant].with_value(value, f"{name}.{key}")
    return out


def of_region(region: str, table: Mapping[str, Material]) -> Material:
    """Return the material of a cell region such as ``L3.pedicle.left`` or ``L3-L4.disc.annulus.2``.

    Raises
    ------
    UsageError
        No part of `table` covers the region.
    """
    part = region.partition(".")[2]
    while part:
        if part in table:
            return table[part]
        part = part.rpartition(".")[0]
    raise UsageError(f"no tissue is known for region {region!r} (parts: {', '.join(table)})")


def _isotropic(name: str, constants: Mapping[str, Datum]) -> Material:
    nu = constants["nu"].internal
    return Material(
        name=name,
        law="isotropic",
        parameters={"E_MPa": constants["E"].internal, "nu": nu},
        formulation="bbar" if nu > 0.49 else "incompatible",
        source="; ".join(reader.sources(constants)),
        assumed=any(d.assumed for d in constants.values()),
    )


def _annulus(ring: int, rings: int, constants: Mapping[str, Datum]) -> Material:
    depth_moduli = [constants[name].internal for name in _FIBRE_DEPTHS]
    # Both scales run from outside (0) to inside (1) through the middles of the layers.
    centre = (rings - ring + 0.5) / rings
    middles = (np.arange(4) + 0.5) / 4
    modulus = float(np.interp(centre, middles, depth_moduli))
    share = constants["fibre_volume"].internal / 2 * constants["fibre_linearisation"].internal
    return Material(
        name=f"annulus ring {ring} of {rings}",
        law="fibre_reinforced",
        parameters={"E_MPa": constants["E"].internal, "nu": constants["nu"].internal, "fibre_MPa": modulus * share},
        source="; ".join(reader.sources(constants)),
        assumed=any(d.assumed for d in constants.values()),
    )


def _finite_nucleus(constants: Mapping[str, Datum]) -> Material:
    names = ("C10", "C20", "C30", "K")
    return Material(
        name="nucleus at finite strain",
        law="yeoh",
        parameters={f"{name}_MPa": constants[name].internal for name in names},
        source="; ".join(reader.citations(constants[name].source for name in names)),
        assumed=any(constants[name].assumed for name in names),
    )


def _finite_annulus(ring: int, rings: int, constants: Mapping[str, Datum]) -> Material:
    names = ("C10", "C01", "K", "fibre_inner_share", "fibre_slack", "fibre_stress", "fibre_volume")
    data = {name: constants[name] for name in names}
    strain, stress, source = reader.fibre_curve()
    depth = (rings - ring + 0.5) / rings
    share = data["fibre_stress"].internal * (1.0 - depth * (1.0 - data["fibre_inner_share"].internal))
    return Material(
        name=f"annulus ring {ring} of {rings} at finite strain",
        law="fibres_tabulated",
        parameters={
            **{f"{name}_MPa": data[name].internal for name in ("C10", "C01", "K")},
            "fibre_fraction": data["fibre_volume"].internal / 2.0,
            "fibre_strain": (strain[0], *(e + data["fibre_slack"].internal for e in strain[1:])),
            "fibre_stress_MPa": tuple(share * s for s in stress),
        },
        source="; ".join(reader.citations({source, *(d.source for d in data.values())})),
        assumed=any(d.assumed for d in data.values()),
    )
