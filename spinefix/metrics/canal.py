"""What the diseased body does to the spinal canal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spinefix.metrics.context import Context, Row

STRIP = 0.25
"""Half width of the mid-sagittal strip where the canal depth is read, as a share of the canal width. A choice made
here: it holds several nodes on every mesh."""


def canal(ctx: Context, case: str) -> Iterator[Row]:
    """Displacement of the posterior wall towards the canal and loss of canal depth, at each level still in place.

    The wall's displacement is relative to the rigid motion of the vertebra's own posterior arch (which carries the
    canal) and positive towards the canal [mm]. The narrowing is that of the mid-sagittal depth between the wall and
    the roof of the canal, as a share of the depth before loading [%].
    """
    mesh = ctx.model.mesh
    for level in ctx.diseased:
        if level in ctx.resected or f"{level}.posterior_wall" not in mesh.nodes:
            continue
        frame = ctx.segment.vertebrae[level].frame
        arch = mesh.cell_nodes(mesh.select(f"{level}.lamina", f"{level}.pars"))
        weight = ctx.nodal_volume[arch]
        wall = mesh.nodes[f"{level}.posterior_wall"]
        roof = mesh.nodes[f"{level}.canal_roof"]
        own = {}
        for name, nodes in (("wall", wall), ("roof", roof)):
            own[name] = (ctx.response.deformation(case, nodes, arch, weight) @ frame.axes)[:, 0]
        yield Row(case, "posterior_wall_displacement", level, float(-own["wall"].min()), "mm")
        local = {"wall": frame.to_local(mesh.points[wall]), "roof": frame.to_local(mesh.points[roof])}
        half = STRIP * ctx.segment.vertebrae[level].dimensions["SCW"]
        middle = {k: np.abs(p[:, 1]) <= half for k, p in local.items()}
        if not (middle["wall"].any() and middle["roof"].any()):
            continue
        depth = float(local["wall"][middle["wall"], 0].mean() - local["roof"][middle["roof"], 0].mean())
        loss = float(own["roof"][middle["roof"]].mean() - own["wall"][middle["wall"]].mean())
        yield Row(case, "canal_narrowing", level, 100.0 * loss / depth, "%")
