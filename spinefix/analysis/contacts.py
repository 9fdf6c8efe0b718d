"""Contact between parts of a model: surfaces, and a stiffness from the materials behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spinefix.analysis.nonlinear import finite_groups
from spinefix.errors import UsageError
from spinefix.fem.contact import Contact, Interface
from spinefix.fem.contact_gap import surfaces
from spinefix.fem.finite import FiniteGroup
from spinefix.mesh.core import F64, I32
from spinefix.model.core import Model


def contact_item(
    model: Model,
    name: str,
    slave: I32,
    master: I32,
    interface: Interface | None = None,
    *,
    per_side: int = 4,
    fit_within: float = 0.0,
) -> Contact:
    """Return a contact between two sets of facets, for `Extras.items`.

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

    Raises
    ------
    UsageError
        A side has no facets, both share nodes, or the slave facets are not on solids.
    """
    surf = surfaces(model.mesh, slave, master, per_side=per_side)
    cells = np.asarray(slave, np.int32).reshape(-1, 2)[surf.facet, 0]
    modulus = young_moduli(finite_groups(model), model.mesh.n_cells)[cells]
    if not (modulus > 0.0).all():
        raise UsageError(f"contact {name!r}: slave facets must belong to solid elements")
    item = Contact(name, surf, modulus, interface or Interface())
    return item.fitted(fit_within) if fit_within > 0.0 else item


def young_moduli(groups: Sequence[FiniteGroup], n_cells: int) -> F64:
    """Return Young's modulus at rest of each element (n_cells,) [MPa], mean of three directions; 0 without a solid."""
    out = np.zeros(n_cells)
    for group in groups:
        linear = group.linear
        compliance = np.linalg.inv(linear.D)
        mean = (1.0 / np.einsum("kii->ki", compliance)[:, :3]).mean(axis=1)
        out[linear.cells] = mean[linear.d_id] * linear.scale.mean(axis=1)
    return out
