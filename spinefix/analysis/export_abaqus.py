"""Write a model as an input deck for CalculiX and Abaqus, complete enough to run.

The two codes share all keywords used here, but not what C3D8 means: Abaqus has B-bar in it, CalculiX integrates it
fully and locks in nearly incompressible tissue, where its C3D8I comes much closer to B-bar. Hence one argument.

Sources: input deck format of the CalculiX CrunchiX user's manual (element numbering, ``*ELASTIC, TYPE=ANISO``,
``*EQUATION``); Abaqus shares these keywords.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from spinefix.analysis.deck import Deck, Substance, build_deck
from spinefix.errors import UsageError
from spinefix.mesh.core import F64, I32
from spinefix.mesh.elements import FACETS
from spinefix.model.core import LoadCase, Model

CODES = ("abaqus", "calculix")

ELEMENT_TYPE: Mapping[tuple[str, str], str] = {
    ("hex8", "standard"): "C3D8",
    ("hex8", "bbar"): "C3D8",
    ("hex8", "incompatible"): "C3D8I",
    ("hex20", "standard"): "C3D20",
    ("tet4", "standard"): "C3D4",
    ("tet10", "standard"): "C3D10",
    ("wedge6", "standard"): "C3D6",
}
"""Element type of each kind and formulation in Abaqus; `element_type` says where CalculiX differs."""

FACES: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "hex": ((0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0)),
    "tet": ((0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0)),
    "wedge": ((0, 1, 2), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)),
}
"""Corner nodes of faces S1, S2, ... in the numbering of Abaqus and CalculiX."""

_ANISOTROPIC = [(i, j) for j in range(6) for i in range(j + 1)]
_TO_ABAQUS = np.array([0, 1, 2, 3, 5, 4])  # 11 22 33 12 13 23 out of xx yy zz xy yz xz


def write_abaqus(
    path: str | Path,
    model: Model,
    cases: Sequence[LoadCase],
    *,
    code: str = "abaqus",
    title: str = "spinefix model",
) -> Path:
    """Write ``*.inp``: mesh, sets, materials, constraints, springs, supports and one step per load case.

    Steps are plain linear ``*STATIC`` steps whose loads replace those of the step before (``OP=NEW``), which both codes
    read alike; every load case starts from the unloaded state.

    Parameters
    ----------
    path : path
    model : Model
    cases : sequence of LoadCase
    code : str
        ``abaqus`` or ``calculix``; they differ in the element type that stands for B-bar.
    title : str
        First line of the heading.

    Raises
    ------
    MeshError, MaterialError, ConstraintError
        The model is unusable.
    UsageError
        An element formulation has no counterpart, or a load case has no load.
    """
    if code not in CODES:
        raise UsageError(f"no deck for {code!r}; known: {', '.join(CODES)}")
    deck = build_deck(model, cases)
    path = Path(path)
    with path.open("w", encoding="ascii", errors="replace") as file:
        for part in (
            _heading(deck, title, code),
            _mesh(deck, code),
            _sets(deck),
            _materials(deck),
            _equations(deck),
            _links(deck),
        ):
            file.writelines(line + "\n" for line in part)
        file.writelines(line + "\n" for line in (*_supports(deck), *_steps(deck)))
    return path


def set_name(region: str) -> str:
    """Name of a region as a set label: capitals, digits and underscores."""
    return re.sub(r"\W", "_", region, flags=re.ASCII).upper()


# --- mesh ---


def element_type(kind: str, formulation: str, code: str) -> str:
    """Element type of solids.

    Raises
    ------
    UsageError
        Neither code has such an element.
    """
    if code == "calculix" and (kind, formulation) == ("hex8", "bbar"):
        return "C3D8I"
    if (kind, formulation) not in ELEMENT_TYPE:
        raise UsageError(f"{kind} with formulation {formulation!r} has no counterpart in {code}")
    return ELEMENT_TYPE[kind, formulation]


def _heading(deck: Deck, title: str, code: str) -> Iterator[str]:
    yield "*HEADING"
    yield title
    yield f"** For {code}."
    yield from (f"** {fact}" for fact in deck.facts())
    for kind, formulation in sorted({(g.kind, g.formulation) for g in deck.solids}):
        yield f"** {element_type(kind, formulation, code)} stands for {kind}, formulation {formulation}."


def _mesh(deck: Deck, code: str) -> Iterator[str]:
    mesh = deck.model.mesh
    yield "*NODE, NSET=NODES"
    yield from _nodes(1, mesh.points)
    turning = deck.block_points[mesh.n_points :]
    if len(turning):
        yield "*NODE, NSET=ROTATIONS"
        yield from _nodes(1 + mesh.n_points, turning)
    if deck.rows.shape[0]:
        yield "*NODE, NSET=LINKS"
        first = deck.rows.indices[deck.rows.indptr[:-1]] // 3
        yield from _nodes(_link_node(deck, 0), deck.block_points[first])
    for number, group in enumerate(deck.solids):
        name = element_type(group.kind, group.formulation, code)
        yield f"*ELEMENT, TYPE={name}, ELSET=SOLIDS_{number + 1}"
        for cell, nodes in zip((group.cells + 1).tolist(), (group.conn + 1).tolist(), strict=True):
            yield from _wrapped([cell, *nodes], 10)


def _nodes(start: int, points: F64) -> Iterator[str]:
    for i, (x, y, z) in enumerate(points.tolist(), start):
        yield f"{i},{x:.13e},{y:.13e},{z:.13e}"


def _wrapped(numbers: Sequence[int], width: int = 16) -> Iterator[str]:
    """Lines of at most `width` numbers; a comma at the end continues, as elements need."""
    for i in range(0, len(numbers), width):
        more = "," if i + width < len(numbers) else ""
        yield ",".join(map(str, numbers[i : i + width])) + more


def _link_node(deck: Deck, row: int) -> int:
    return len(deck.block_points) + 1 + row


def _sets(deck: Deck) -> Iterator[str]:
    mesh = deck.model.mesh
    for name, nodes in mesh.nodes.items():
        yield from _set("NSET", set_name(name), nodes)
    solid = np.concatenate([g.cells for g in deck.solids]) if deck.solids else np.zeros(0, np.int32)
    for name, cells in mesh.cells.items():
        inside = np.intersect1d(cells, solid)
        yield from _set("ELSET", set_name(name), inside)
        if len(inside) < len(cells):  # beams are springs here; their nodes can still be found
            yield from _set("NSET", set_name(name), mesh.cell_nodes(np.setdiff1d(cells, solid)))
    faces = _face_numbers(deck)
    for name, facets in mesh.facets.items():
        lines = [f"{cell + 1},S{faces[int(cell)][int(local)]}" for cell, local in facets if int(cell) in faces]
        if lines:
            yield f"*SURFACE, NAME={set_name(name)}, TYPE=ELEMENT"
            yield from lines
    yield from _set("NSET", "WATCHED", deck.watched())


def _set(keyword: str, name: str, ids: I32) -> Iterator[str]:
    if len(ids):
        yield f"*{keyword}, {keyword}={name}"
        for i in range(0, len(ids), 16):
            yield ",".join(str(n + 1) for n in ids[i : i + 16].tolist())


def _face_numbers(deck: Deck) -> dict[int, tuple[int, ...]]:
    """Face number of each local facet of every solid element."""
    out: dict[int, tuple[int, ...]] = {}
    for group in deck.solids:
        faces = [frozenset(f) for f in FACES[group.kind.rstrip("0123456789")]]
        corners = len(faces[0]) if group.kind.startswith("tet") else 4
        numbers = tuple(faces.index(frozenset(f[: min(corners, len(f))])) + 1 for f in FACETS[group.kind])
        out |= dict.fromkeys(group.cells.tolist(), numbers)
    return out


# --- materials ---


def _materials(deck: Deck) -> Iterator[str]:
    for number, substance in enumerate(deck.substances, 1):
        name = f"M{number}_{set_name(substance.name)[:60]}"
        yield f"*MATERIAL, NAME={name}"
        yield from _elastic(substance)
        yield from _set("ELSET", f"E_{name}", deck.solids[substance.solids].cells[substance.members])
        yield f"*SOLID SECTION, ELSET=E_{name}, MATERIAL={name}"


def _elastic(substance: Substance) -> Iterator[str]:
    if substance.isotropic:
        yield "*ELASTIC"
        yield ",".join(f"{v:.13e}" for v in substance.isotropic)
        return
    D = substance.D[np.ix_(_TO_ABAQUS, _TO_ABAQUS)]
    values = [f"{D[i, j]:.12e}" for i, j in _ANISOTROPIC]
    yield "*ELASTIC, TYPE=ANISO"
    for i in (0, 8, 16):
        yield ",".join(values[i : i + 8])


# --- constraints and springs ---


def _equations(deck: Deck) -> Iterator[str]:
    slave_map, slave = deck.elimination.slave_map, deck.elimination.slave
    for name, rows in deck.constraints:
        yield f"** {name}"
        for row in rows.tolist():
            span = slice(slave_map.indptr[row], slave_map.indptr[row + 1])
            own = divmod(int(slave[row]), 3)
            if span.start == span.stop:  # tied to a dof that does not move
                yield "*BOUNDARY"
                yield f"{own[0] + 1},{own[1] + 1},{own[1] + 1}"
            else:
                yield from _equation(own[0] + 1, own[1] + 1, slave_map.indices[span], slave_map.data[span])


def _equation(node: int, dof: int, columns: I32, values: F64) -> Iterator[str]:
    """Dependent dof = sum of values times dofs (`columns`), as an equation that sums to zero."""
    yield "*EQUATION"
    yield str(len(columns) + 1)
    terms = [f"{node},{dof},-1."]
    pairs = zip((columns // 3 + 1).tolist(), (columns % 3 + 1).tolist(), values.tolist(), strict=True)
    terms += [f"{n},{d},{v:.13e}" for n, d, v in pairs]
    for i in range(0, len(terms), 4):
        yield ",".join(terms[i : i + 4])


def _links(deck: Deck) -> Iterator[str]:
    """Springs, also ligaments: CalculiX turns SPRINGA with the deformation of the step before, also in linear steps."""
    element = deck.model.mesh.n_cells + 1
    rows = deck.rows
    for name, start, stop in deck.row_names:
        yield f"** {name}: unit springs {element} to {element + stop - start - 1}"
        for row in range(start, stop):
            span = slice(rows.indptr[row], rows.indptr[row + 1])
            yield from _equation(_link_node(deck, row), 1, rows.indices[span], rows.data[span])
        if stop > start:
            yield "*ELEMENT, TYPE=SPRING1, ELSET=LINK_SPRINGS"
            yield from (f"{element + i},{_link_node(deck, start + i)}" for i in range(stop - start))
        element += stop - start
    if rows.shape[0]:
        yield from ("*SPRING, ELSET=LINK_SPRINGS", "1", "1.")


# --- supports and steps ---


def _supports(deck: Deck) -> Iterator[str]:
    held = deck.held()
    if len(held) or deck.rows.shape[0]:
        yield "*BOUNDARY"
    yield from (f"{dof // 3 + 1},{dof % 3 + 1},{dof % 3 + 1}" for dof in held.tolist())
    if deck.rows.shape[0]:
        yield "LINKS,2,3"


def _steps(deck: Deck) -> Iterator[str]:
    for case in deck.cases:
        yield f"** load case {case.name}"
        yield from ("*STEP", "*STATIC", "*CLOAD, OP=NEW")
        lines = [*_loads((n, f) for n, f in case.forces.items())]
        lines += _loads((deck.rotation_block(n), m) for n, m in case.moments.items())
        if not lines:
            raise UsageError(f"load case {case.name!r} has no load")
        yield from lines
        yield from ("*NODE PRINT, NSET=WATCHED", "U", "*NODE FILE", "U", "*EL FILE", "S", "*END STEP")


def _loads(loads: Iterable[tuple[int, F64]]) -> Iterator[str]:
    for block, vector in loads:
        yield from (f"{block + 1},{i},{v:.13e}" for i, v in enumerate(np.asarray(vector).tolist(), 1) if v)
