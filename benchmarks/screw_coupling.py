"""Print the table of docs/explanation/screw_coupling.md: an embedded screw against a fully meshed one.

Run: python benchmarks/screw_coupling.py (two minutes on one core).
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fem_links"))
from screw_block import RADIUS, embedded, full

from spinefix.fem import links


def point_by_point(mesh, index, embedding, n_dof, around=16):
    """The obvious scheme, for comparison: each point of the circumference is sprung to the host point it lies on."""
    ids, conn = links._beam_nodes(mesh, embedding)
    sections = links._sections(mesh, ids, conn, 0.5 * embedding.radius)
    ring = links._ring(sections.axis, around) * embedding.radius
    cloud = links._Cloud.locate(mesh, embedding.hosts, sections, ring, np.full(around, 1.0 / around))
    host = links._rows(cloud.nodes.reshape(-1, cloud.nodes.shape[2]), np.einsum(
        "pm,ij->pmij", cloud.shape.reshape(-1, cloud.shape.shape[2]), np.eye(3)), n_dof)  # fmt: skip
    # Beam points: translation and rotation (times radius) of the section, then R q.
    R = np.concatenate([np.broadcast_to(np.eye(3), (*ring.shape, 3)), -links.cross_matrix(ring) / RADIUS], axis=-1)
    g = len(ring)
    carry = links.bsr_array(
        (R.reshape(g, 3 * around, 6), np.arange(g), np.arange(g + 1)), shape=(3 * around * g, 6 * g)
    )
    beam = carry @ links._beam_rows(mesh, index, sections, RADIUS, n_dof)
    area = cloud.weights * (sections.length * 2 * np.pi * RADIUS)[:, None]
    return links.Links("plain", links.csr_array(host - beam), np.repeat(area.ravel(), 3) * embedding.stiffness_normal)


def main():
    """Compute and print."""
    print("reference: fully meshed screw, mm per N")
    grids = ((4, 2, 5, 1.5), (6, 3, 8, 1.0), (8, 4, 11, 0.75), (10, 5, 14, 0.6))
    for grid in grids:
        reference = full(*grid)
        print(f"  {reference.unknowns:7d} unknowns  {reference.lateral:.6f}  {reference.axial:.7f}", flush=True)
    for name, build in (("mean motion over discs", links.embedded_links), ("point by point", point_by_point)):
        print(f"{name}: host size mm, size / diameter, shift, unknowns, lateral %, axial %")
        for size in (5.0, 3.75, 3.25, 2.5, 2.15, 1.67):
            for shift in (0.0, 0.25, 0.5):
                a = embedded(size, shift=shift, build=build)
                lateral, axial = (100 * (x - 1) for x in (a.lateral / reference.lateral, a.axial / reference.axial))
                row = (
                    f"  {size:.2f}  {size / 2 / RADIUS:.2f}  {shift:.2f}  {a.unknowns:6d}  {lateral:6.1f}  {axial:6.1f}"
                )
                print(row, flush=True)


if __name__ == "__main__":
    main()
