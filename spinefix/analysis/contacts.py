"""Contact between parts of a model: facet joints, prostheses that stand on bone, surfaces of one's own choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spinefix.analysis.groups import finite_groups, young_moduli
from spinefix.errors import UsageError
from spinefix.fem import links
from spinefix.fem.contact import Contact, Interface
from spinefix.fem.contact_gap import smooth, surfaces
from spinefix.fem.finite import FiniteGroup
from spinefix.mesh.core import I32
from spinefix.model.core import Model, SurfaceSprings

LAYERS = "facet_joints"
"""Name of the contact of all layers that can only be pressed."""

FADE = 0.25
"""Cartilage fades over an eighth of the width of a joint beyond its border. A choice: a sharp border would let points
that slide over it lose their force at once, and there may be no equilibrium there."""

STIFFNESS = 40.0
"""See `Interface`: a prosthesis between screwed vertebrae hardly moves, so micrometres of penetration count."""

PENETRATION = 2e-4
"""See `Interface`: less than a micrometre under the elements of a prosthesis, thousandths of a degree across it."""

REACH = 10.0
"""Contact pairs see each other across gaps of up to this [mm]; a prosthesis farther away has left its place."""

HOLD = 1.0
"""Stiffness of all springs of one contact pair together [N/mm], see `Interface.hold`. A choice: a few percent of what
two posterior rods alone hold vertebrae together with, so that the force in the springs is gone in a few repetitions."""


def contact_item(
    model: Model,
    name: str,
    slave: I32,
    master: I32,
    interface: Interface | None = None,
    *,
    per_side: int = 4,
    fit_within: float = 0.0,
    groups: Sequence[FiniteGroup] | None = None,
) -> Contact:
    """Return a contact between two sets of facets, for `Extras.items`.

    Its stiffness is measured by the softer of the two sides.

    Parameters
    ----------
    model : Model
    name : str
    slave, master : (k, 2) int32
        Facets; the softer or finer side should be the slave.
    interface : Interface, optional
        Smooth and without tension by default.
    per_side : int
        See `surfaces`.
    fit_within : float [mm]
        Gaps and overlaps at rest of up to this count as exact contact.
    groups : sequence of FiniteGroup, optional
        All solids of the model, where they are at hand.

    Raises
    ------
    UsageError
        A side has no facets, both share nodes, or facets are not on solids.
    """
    surf = surfaces(model.mesh, slave, master, per_side=per_side)
    of_cell = young_moduli(finite_groups(model) if groups is None else groups, model.mesh.n_cells)
    own, other = (of_cell[np.asarray(side, np.int32).reshape(-1, 2)[:, 0]] for side in (slave, master))
    if min(own.min(), other.min()) <= 0.0:
        raise UsageError(f"contact {name!r}: facets must belong to solid elements")
    modulus = np.minimum(own[surf.facet], other.mean())
    item = Contact(name, surf, modulus, interface or Interface())
    return item.fitted(fit_within) if fit_within > 0.0 else item


def contact_pairs(model: Model, groups: Sequence[FiniteGroup]) -> list[Contact]:
    """Return the contacts of all contact pairs of a model; `groups` are all its solids.

    Nothing but these pairs may hold the parts that they join, hence `Interface.hold`.
    """
    out = []
    for pair in model.contact_pairs:
        item = contact_item(model, pair.name, pair.facets, pair.onto, groups=groups)
        law = Interface(
            kind="friction" if pair.friction else "no_tension",
            friction=pair.friction,
            stiffness=STIFFNESS,
            penetration=PENETRATION,
            reach=float(REACH / item.surfaces.size.min()),
        )
        total = float(replace(item, interface=law).stiffness @ item.surfaces.area)
        law = replace(law, hold=HOLD / total)
        out.append(replace(item, interface=law).fitted(pair.fit_within))
    return out


def pressed_layers(model: Model) -> list[SurfaceSprings]:
    """Return the layers that can only be pressed."""
    return [s for s in model.surface_springs if s.press is not None and len(s.facets)]


def layers(model: Model) -> list[Contact]:
    """Return the contact through layers that fill the gap at rest; their pressure is that of an elastic foundation.

    One item for all. The joint is taken for smooth: each side that is pressed on is a quadratic patch.
    """
    joints = pressed_layers(model)
    if not joints:
        return []
    surf = smooth(model.mesh, [(s.facets, s.onto) for s in joints])
    press = np.repeat([float(s.press or 0.0) for s in joints], [len(s.facets) for s in joints])[surf.facet]
    law = Interface(stiffness=1.0, reach=float(links.MAX_GAP / surf.size.min()), fade=FADE)
    item = Contact(LAYERS, surf, press * surf.size, law, augmented=False)
    return [item.fitted(links.MAX_GAP)]


def places(model: Model, item: Contact) -> dict[str, I32]:
    """Return the slave points of each interface that a contact stands for, by the name of the interface."""
    if item.name != LAYERS:
        return {item.name: np.arange(len(item.surfaces), dtype=np.int32)}
    joints = pressed_layers(model)
    joint = np.repeat(np.arange(len(joints)), [len(s.facets) for s in joints])[item.surfaces.facet]
    return {s.name: np.flatnonzero(joint == i).astype(np.int32) for i, s in enumerate(joints)}
