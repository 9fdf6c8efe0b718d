"""Self-checks that run at every solve and can fail it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from spinefix.analysis.system import System
from spinefix.errors import CheckError
from spinefix.mesh.core import F64, I32
from spinefix.model.core import LoadCase
from spinefix.results.solution import Check

MIRRORED = (("flexion", "extension"), ("lateral_left", "lateral_right"), ("axial_left", "axial_right"))
"""Opposite load cases: a linear model must answer each pair with opposite displacements."""

TOLERANCE = 1e-6
"""Relative bound of equilibrium, energy, reciprocity and mirror checks. Round-off of a direct solution stays below
1e-8 for the stiffness contrast of a spine (titanium to nucleus, 1e5); a wrong constraint or assembly shows as 1e-2."""


def unrestrained(system: System) -> None:
    """Refuse a model with a part that no support holds.

    Connected parts are found on the reduced pattern; a part is held when it contains a dof with a support or is
    coupled to one. This catches floating parts by name before the factorization turns them into huge numbers.

    Raises
    ------
    CheckError
        Names the regions of the floating part.
    """
    mesh = system.model.mesh
    n = mesh.n_points
    n_blocks = system.n_blocks
    pairs: list[I32] = []
    for conn in system.connectivity():
        first = np.repeat(conn[:, :1], conn.shape[1] - 1, axis=1)
        pairs.append(np.stack([first.ravel(), conn[:, 1:].ravel()]))
    for links in system.links:
        pairs.append(joined_blocks(links.rows, system.rotation_index))
    for tie in system.model.ties:
        masters = np.unique(np.concatenate([mesh.cell_nodes(np.unique(tie.facets[:, 0]))]))
        pairs.append(np.stack([np.full(len(tie.nodes), masters[0]), tie.nodes]))
    for coupling in system.model.couplings:
        pairs.append(np.stack([np.full(len(coupling.nodes), coupling.reference), coupling.nodes]))
    i, j = np.concatenate(pairs, axis=1).astype(np.int64)
    graph = sp.coo_array((np.ones(len(i)), (i, j)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    used = np.unique(np.concatenate([np.unique(conn) for conn in system.connectivity()]))
    held = [label[s.nodes] for s in system.model.supports]
    floating = used[~np.isin(label[used], np.concatenate(held))] if held else used
    if len(floating):
        names = [k for k, v in mesh.cells.items() if np.isin(mesh.cell_nodes(v), floating).any()]
        raise CheckError(
            f"{len(floating)} of {n_blocks} nodes belong to parts that no support holds: {', '.join(names[:6])}"
        )


def joined_blocks(rows: sp.csr_array, rotation_index: I32) -> I32:
    """Pairs of nodes (2, k) that spring rows join: the first node of each row with all others of the row."""
    n = len(rotation_index)
    owner = np.concatenate([np.arange(n), np.flatnonzero(rotation_index >= 0)])
    table = sp.coo_array(rows)
    node = owner[table.col // 3]
    first = np.full(rows.shape[0], n)
    np.minimum.at(first, table.row, node)
    return np.stack([first[table.row], node])


def all_checks(
    system: System, cases: Sequence[LoadCase], u: F64, loads: F64, reactions: F64, internal: F64
) -> tuple[Check, ...]:
    """Run all checks on the displacements of all cases.

    Parameters
    ----------
    u, loads, reactions, internal : (n_cases, n_blocks, 3) float64
        Displacements, applied loads, support reactions, K u [mm, rad; N, N mm].

    Returns
    -------
    tuple of Check
    """
    return (
        *equilibrium(system, u, loads, reactions),
        energy(u, loads, internal),
        reciprocity(u, loads),
        *mirror(cases, u),
        rigid_motion(system, u),
    )


def equilibrium(system: System, u: F64, loads: F64, reactions: F64) -> tuple[Check, Check]:
    """Global balance of force and moment of loads and reactions, relative to the largest load of each case."""
    mesh = system.model.mesh
    n = mesh.n_points
    size = float(np.ptp(mesh.points, axis=0).max())
    centre = mesh.points.mean(axis=0)
    arm = mesh.points - centre
    force_error = moment_error = 0.0
    for f, r in zip(loads, reactions, strict=True):
        total = f + r
        force = total[:n].sum(axis=0)
        moment = np.cross(arm, total[:n]).sum(axis=0) + total[n:].sum(axis=0)
        scale = np.abs(f[:n]).max() + np.abs(f[n:]).max(initial=0.0) / size + 1e-300
        force_error = max(force_error, float(np.abs(force).max() / scale))
        moment_error = max(moment_error, float(np.abs(moment).max() / (scale * size)))
    return Check("equilibrium_force", force_error, TOLERANCE), Check("equilibrium_moment", moment_error, TOLERANCE)


def energy(u: F64, loads: F64, internal: F64) -> Check:
    """Strain energy against external work: u.K.u = u.f for each case."""
    stored = np.einsum("cbi,cbi->c", u, internal)
    work = np.einsum("cbi,cbi->c", u, loads)
    bad = np.where(work > 0, np.abs(stored - work) / np.abs(work), np.where(np.abs(loads).sum((1, 2)) > 0, np.inf, 0.0))
    return Check("energy_against_work", float(bad.max(initial=0.0)), TOLERANCE)


def reciprocity(u: F64, loads: F64) -> Check:
    """Betti: the work of loads i on displacements j equals that of j on i, relative to their own works."""
    work = np.einsum("ibk,jbk->ij", loads, u)
    own = np.sqrt(np.abs(np.outer(np.diag(work), np.diag(work)))) + 1e-300
    return Check("reciprocity", float((np.abs(work - work.T) / own).max(initial=0.0)), TOLERANCE)


def mirror(cases: Sequence[LoadCase], u: F64) -> tuple[Check, ...]:
    """Opposite moments must give opposite displacements."""
    names = [c.name for c in cases]
    out = []
    for a, b in MIRRORED:
        if a in names and b in names:
            ua, ub = u[names.index(a)], u[names.index(b)]
            out.append(Check(f"mirror_{a}_{b}", float(np.abs(ua + ub).max() / (np.abs(ua).max() + 1e-300)), TOLERANCE))
    return tuple(out)


def rigid_motion(system: System, u: F64) -> Check:
    """No rigid mode left: the strain energy of the six rigid motions vanishes only without supports.

    A left-over mechanism shows as a displacement out of all proportion: the bound is a hundred times the model size.
    """
    size = float(np.ptp(system.model.mesh.points, axis=0).max())
    n = system.model.mesh.n_points
    largest = float(np.abs(u[:, :n]).max(initial=0.0))
    return Check("rigid_mode", largest / (100.0 * size) if np.isfinite(largest) else np.inf, 1.0)
