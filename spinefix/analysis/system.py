"""From a model to element groups and an assembled, constrained system."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from spinefix import materials as laws
from spinefix.errors import MaterialError, UsageError
from spinefix.fem import assembly, constraints, links
from spinefix.fem.beams import BeamGroup, beam_axes
from spinefix.fem.beams_plastic import Yielding
from spinefix.mesh.core import F64, I32, Bool, CellBlock
from spinefix.model.core import Model


@dataclass(frozen=True)
class System:
    """The unconstrained stiffness of a model and the elimination of its constraints.

    Parameters
    ----------
    model : Model
    solids, beams : tuple of element groups
    links : tuple of spring rows (ligaments, facet joints, embeddings)
    rotation_index : (n_points,) int32
    stiffness : bsr (n_dof, n_dof) [N/mm, N, N mm]
        Of all elements.
    link_stiffness : csr (n_dof, n_dof)
        Of all interfaces; few entries, so kept apart.
    elimination : the map u = T q
    """

    model: Model
    solids: tuple[assembly.SolidGroup, ...]
    beams: tuple[BeamGroup, ...]
    links: tuple[links.Links, ...]
    rotation_index: I32
    stiffness: sp.bsr_array
    link_stiffness: sp.csr_array
    elimination: constraints.Elimination

    def connectivity(self) -> tuple[I32, ...]:
        """Node tables (e, m) of all element groups."""
        return (*(g.conn for g in self.solids), *(g.conn for g in self.beams))

    @property
    def n_blocks(self) -> int:
        """Number of 3-component blocks: translations of all points, then rotations."""
        return self.model.mesh.n_points + int(self.rotation_index.max(initial=-1)) + 1

    def internal(self, u: F64) -> F64:
        """Forces (n_dof, cases) [N, N mm] that hold the structure in the displacements u (n_dof, cases)."""
        return np.asarray(self.stiffness @ u + self.link_stiffness @ u)


def rotation_index(model: Model) -> I32:
    """Number the nodes that have rotations; -1 elsewhere, (n_points,) int32."""
    index = np.full(model.mesh.n_points, -1, np.int32)
    nodes = model.rotational_nodes()
    index[nodes] = np.arange(len(nodes), dtype=np.int32)
    return index


def solid_blocks(model: Model) -> Iterator[tuple[CellBlock, I32, I32]]:
    """Yield each block of solids with its element numbers (e,) and their materials (e,).

    Raises
    ------
    MaterialError
        A solid element has no material.
    """
    offset = 0
    for block in model.mesh.blocks:
        cells = np.arange(offset, offset + len(block), dtype=np.int32)
        offset += len(block)
        if block.kind == "beam2" or not len(block):
            continue
        ids = model.material_id[cells]
        if (ids < 0).any():
            raise MaterialError(f"element {int(cells[np.argmax(ids < 0)])} ({block.kind}) has no material")
        yield block, cells, ids


def solid_groups(model: Model) -> tuple[assembly.SolidGroup, ...]:
    """Group solid elements by block and element formulation, with their elasticity matrices.

    Raises
    ------
    MaterialError
        A solid element has no material.
    """
    groups = []
    for block, cells, ids in solid_blocks(model):
        for formulation in sorted({model.materials[i].formulation for i in np.unique(ids)}):
            members = [i for i in np.unique(ids) if model.materials[i].formulation == formulation]
            mine = cells[np.isin(ids, members)]
            D, d_id = elasticity_table(model, mine)
            groups.append(
                assembly.SolidGroup(
                    kind=block.kind,
                    formulation=formulation if block.kind == "hex8" else "standard",
                    cells=mine,
                    conn=block.conn[mine - cells[0]],
                    D=D,
                    d_id=d_id,
                    scale=assembly.point_scale(block.kind, model.scale[mine]),
                )
            )
    return tuple(groups)


def elasticity_table(model: Model, cells: I32) -> tuple[F64, I32]:
    """Elasticity matrices (k, 6, 6) [MPa] and the row of each element (e,), one row per element where fibres differ."""
    tables: list[F64] = []
    row = np.zeros(len(cells), np.int32)
    start = 0
    for i in np.unique(model.material_id[cells]):
        material = model.materials[i]
        where = np.flatnonzero(model.material_id[cells] == i)
        table = laws.elasticity(material.law, material.parameters, model.fibres[cells[where]])
        row[where] = start + (np.arange(len(where)) if len(table) == len(where) and len(table) > 1 else 0)
        tables.append(table)
        start += len(table)
    return np.ascontiguousarray(np.concatenate(tables)), row


def beam_groups(model: Model) -> tuple[BeamGroup, ...]:
    """Collect the beam elements with their section constants and local axes."""
    groups = []
    offset = 0
    for block in model.mesh.blocks:
        cells = np.arange(offset, offset + len(block), dtype=np.int32)
        offset += len(block)
        if block.kind != "beam2" or not len(block):
            continue
        stuff = [model.materials[i].parameters for i in model.material_id[cells]]
        E = np.array([m["E_MPa"] for m in stuff])
        G = E / (2.0 * (1.0 + np.array([m["nu"] for m in stuff])))
        sections = [model.sections[i] for i in model.section_id[cells]]
        groups.append(
            BeamGroup(
                cells=cells,
                conn=block.conn,
                E=E,
                G=G,
                A=np.array([s.area for s in sections]),
                Iy=np.array([s.Iy for s in sections]),
                Iz=np.array([s.Iz for s in sections]),
                J=np.array([s.J for s in sections]),
                ky=np.array([s.shear_y for s in sections]),
                kz=np.array([s.shear_z for s in sections]),
                axes=beam_axes(model.mesh.points, block.conn, model.orientation[cells]),
            )
        )
    return tuple(groups)


def beam_yielding(model: Model, group: BeamGroup) -> Yielding | None:
    """Return yield stresses and hardening of beams whose material is ``plastic_j2``; None where no beam has it.

    The linear analysis takes such beams as elastic.

    Raises
    ------
    MaterialError
        The material saturates (beams harden linearly), or a number is out of range.
    """
    limit, hardening = np.full(len(group), np.inf), np.zeros(len(group))
    for i in np.unique(model.material_id[group.cells]):
        material = model.materials[i]
        if material.law != "plastic_j2":
            continue
        if material.parameters.get("saturation_MPa", 0.0):
            raise MaterialError(f"material {material.name!r}: beams harden linearly; leave out saturation_MPa")
        mine = model.material_id[group.cells] == i
        limit[mine] = material.parameters["yield_MPa"]
        hardening[mine] = material.parameters.get("hardening_MPa", 0.0)
    return Yielding(limit, hardening) if np.isfinite(limit).any() else None


def refuse_contact(model: Model) -> None:
    """Refuse a model with contact pairs where all is linear.

    Raises
    ------
    UsageError
        Names the first pair.
    """
    if model.contact_pairs:
        raise UsageError(
            f"{model.contact_pairs[0].name} is not bonded: it opens and slides, which nothing linear can hold; bond it "
            "(in a scenario prosthesis.interface: bonded), or solve it here by nonlinear analysis"
        )


def link_rows(model: Model, n_dof: int) -> tuple[links.Links, ...]:
    """Rows of all interfaces: ligaments, facet joints, embedded screws."""
    return (
        *(links.point_links(model.mesh, s, n_dof) for s in model.point_springs),
        *(links.surface_links(model.mesh, s, n_dof) for s in model.surface_springs),
        *(links.embedded_links(model.mesh, rotation_index(model), e, n_dof) for e in model.embeddings),
    )


def active_blocks(solids: tuple[assembly.SolidGroup, ...], beams: tuple[BeamGroup, ...], index: I32) -> Bool:
    """Blocks with stiffness of their own (n_blocks,): nodes of elements, rotations of beam nodes."""
    n = len(index)
    out = np.zeros(n + int(index.max(initial=-1)) + 1, bool)
    for solid in solids:
        out[solid.conn] = True
    for beam in beams:
        out[beam.conn] = True
        out[n + index[beam.conn]] = True
    return out
