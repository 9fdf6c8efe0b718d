"""A construct under assembly: parts add beams, solids, joints and measures; `result` freezes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from spinefix.implants.base import BuildResult, ContactRequest, EmbeddingRequest, TieRequest
from spinefix.mesh.core import F64, CellBlock, Mesh, merge
from spinefix.model.core import Section


class Assembly:
    """Collects the parts of one construct.

    Beams that name the same node are rigidly joined there: a rod passes through the node of a screw head.
    """

    def __init__(self) -> None:
        self._points: list[F64] = []
        self._beams: list[tuple[int, int]] = []
        self._regions: dict[str, list[int]] = {}
        self._solids: list[Mesh] = []
        self._materials: dict[str, str] = {}
        self._sections: dict[str, Section] = {}
        self._orientations: dict[str, F64] = {}
        self._embeddings: list[EmbeddingRequest] = []
        self._ties: list[TieRequest] = []
        self._contacts: list[ContactRequest] = []
        self._remove: list[str] = []
        self._measures: dict[str, float] = {}
        self._warnings: list[str] = []
        self._sources: list[str] = []
        self._assumed: list[str] = []

    def node(self, point: F64) -> int:
        """Add a node at `point` (3,) [mm] and return its id."""
        self._points.append(np.asarray(point, np.float64))
        return len(self._points) - 1

    def point(self, node: int) -> F64:
        """Return the place (3,) [mm] of a beam node."""
        return self._points[node]

    def chain(self, regions: Sequence[str], nodes: Sequence[int], size: float) -> list[int]:
        """Join `nodes` by straight chains of beams no longer than `size` [mm]; return all nodes passed, in order.

        Each beam is entered in all `regions`.
        """
        passed = [nodes[0]]
        for a, b in zip(nodes[:-1], nodes[1:], strict=True):
            start, end = self._points[a], self._points[b]
            n = max(1, math.ceil(float(np.linalg.norm(end - start)) / size - 1e-9))
            passed += [self.node(start + (end - start) * i / n) for i in range(1, n)] + [b]
        for a, b in zip(passed[:-1], passed[1:], strict=True):
            for region in regions:
                self._regions.setdefault(region, []).append(len(self._beams))
            self._beams.append((a, b))
        return passed

    def beam_part(self, region: str, material: str, section: Section, orientation: F64 | None = None) -> None:
        """Say what the beams of `region` are made of; `orientation` is local y of a section that is not round."""
        self._materials[region], self._sections[region] = material, section
        if orientation is not None:
            self._orientations[region] = orientation

    def solid_part(self, region: str, mesh: Mesh, material: str) -> None:
        """Add a solid `mesh` that carries its own regions."""
        self._solids.append(mesh)
        self._materials[region] = material

    def embed(self, request: EmbeddingRequest) -> None:
        """Hold beams in bone."""
        self._embeddings.append(request)

    def tie(self, request: TieRequest) -> None:
        """Glue nodes to a surface of the segment."""
        self._ties.append(request)

    def contact(self, request: ContactRequest) -> None:
        """Let facets stand on a surface of the segment."""
        self._contacts.append(request)

    def resect(self, *regions: str) -> None:
        """Remove cell regions of the segment, with all below them."""
        self._remove += [r for r in regions if r not in self._remove]

    def record(self, name: str, value: float) -> None:
        """Record one measure whose `name` ends in its unit."""
        self._measures[name] = float(value)

    def warn(self, message: str) -> None:
        """Record something that can be built but should be looked at."""
        self._warnings.append(message)

    def cite(self, *sources: str) -> None:
        """Record citations."""
        self._sources += [s for s in sources if s and s not in self._sources]

    def assume(self, line: str) -> None:
        """Record a number that is from memory or assumed."""
        if line not in self._assumed:
            self._assumed.append(line)

    def result(self) -> BuildResult:
        """Return the finished construct: solids first, then one block of beams."""
        meshes = list(self._solids)
        if self._beams:
            block = CellBlock("beam2", np.array(self._beams, np.int32))
            regions = {k: np.array(v, np.int32) for k, v in self._regions.items()}
            meshes.append(Mesh(np.array(self._points), (block,), regions))
        return BuildResult(
            mesh=merge(meshes)[0] if meshes else Mesh(np.zeros((0, 3)), ()),
            materials=self._materials,
            sections=self._sections,
            orientations=self._orientations,
            embeddings=tuple(self._embeddings),
            ties=tuple(self._ties),
            contacts=tuple(self._contacts),
            remove=tuple(self._remove),
            measures=self._measures,
            warnings=tuple(self._warnings),
            sources=tuple(self._sources),
            assumed=tuple(self._assumed),
        )
