"""Read decks back: a second reading of the file format, against which the writers are held."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Inp:
    """What an input deck says."""

    nodes: dict[int, np.ndarray] = field(default_factory=dict)
    elements: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    sets: dict[str, list[int]] = field(default_factory=dict)
    surfaces: dict[str, list[str]] = field(default_factory=dict)
    equations: list[list[tuple[int, int, float]]] = field(default_factory=list)
    elastic: dict[str, list[float]] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)
    fixed: set[tuple[int, int]] = field(default_factory=set)
    steps: list[dict[tuple[int, int], float]] = field(default_factory=list)


def blocks(path: Path) -> Iterator[tuple[str, dict[str, str], list[list[str]]]]:
    """Keyword, parameters and split data lines, in order."""
    current: tuple[str, dict[str, str], list[list[str]]] | None = None
    for line in path.read_text().splitlines():
        if line.startswith("**"):
            continue
        if line.startswith("*"):
            if current:
                yield current
            keyword, *options = (part.strip() for part in line.split(","))
            current = keyword[1:], dict((*o.split("="), "")[:2] for o in options), []
        elif current:
            current[2].append([part for part in line.split(",") if part])
    if current:
        yield current


def read_inp(path: Path) -> Inp:
    out = Inp()
    material = ""
    for keyword, options, lines in blocks(path):
        flat = [item for line in lines for item in line]
        if keyword == "NODE":
            out.nodes |= {int(n): np.array(x, float) for n, *x in lines}
            out.sets.setdefault(options["NSET"], []).extend(int(n) for n, *_ in lines)
        elif keyword == "ELEMENT":
            size = {"SPRING1": 2, "C3D8": 9, "C3D8I": 9, "C3D4": 5, "C3D10": 11, "C3D20": 21, "C3D6": 7}
            table = np.array(flat, int).reshape(-1, size[options["TYPE"]])
            out.elements.setdefault(options["TYPE"], {}).update({int(r[0]): r[1:].tolist() for r in table})
        elif keyword in ("NSET", "ELSET"):
            out.sets[f"{keyword} {options[keyword]}"] = [int(i) for i in flat]
        elif keyword == "SURFACE":
            out.surfaces[options["NAME"]] = [" ".join(line) for line in lines]
        elif keyword == "EQUATION":
            terms = flat[1:]
            assert len(terms) == 3 * int(flat[0])
            out.equations.append(
                [(int(a), int(b), float(c)) for a, b, c in zip(terms[::3], terms[1::3], terms[2::3], strict=True)]
            )
        elif keyword == "MATERIAL":
            material = options["NAME"]
        elif keyword == "ELASTIC":
            out.elastic[material] = [float(v) for v in flat]
        elif keyword == "SOLID SECTION":
            out.sections[options["ELSET"]] = options["MATERIAL"]
        elif keyword == "BOUNDARY":
            for where, first, last in lines:
                ids = out.sets[where] if where in out.sets else [int(where)]
                out.fixed |= {(n, d) for n in ids for d in range(int(first), int(last) + 1)}
        elif keyword == "CLOAD":
            out.steps.append({(int(n), int(d)): float(v) for n, d, v in lines})
    return out


def feb_constraints(root: ET.Element) -> list[list[tuple[int, int, float]]]:
    """Linear constraints of an FEBio file in the form of `Inp.equations`."""
    out = []
    for bc in root.iter("bc"):
        if bc.get("type") == "linear constraint":
            row = [(int(bc.findtext("node")), "xyz".index(bc.findtext("dof")) + 1, -1.0)]
            for child in bc.iter("child_dof"):
                value = float(child.findtext("value"))
                row.append((int(child.findtext("node")), "xyz".index(child.findtext("dof")) + 1, value))
            out.append(row)
    return out
