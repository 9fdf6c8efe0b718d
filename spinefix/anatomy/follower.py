"""The path of a follower load: one guide in the middle of each vertebral body, held by the bone around it.

On the bench the cable runs through rings that are screwed to both sides of each body (Patwardhan AG et al., Spine
1999;24:1003-1009). Here a guide is a weighted mean of nodes around the waist of the body, with the weights of least sum
of squares that put it at the body's centre.
"""

from __future__ import annotations

import numpy as np

from spinefix.anatomy.ligaments import mirror_nodes
from spinefix.anatomy.segment import Segment
from spinefix.mesh.core import Bool
from spinefix.model.core import Guide

AROUND = 12
"""Nodes around a body that hold its guide; even, none in the sagittal plane, so that left and right are alike."""

_BAND = 0.2
"""Half height of the band in which they are looked for, over the height of the body. A choice."""

_LEAST = 4
"""Nodes of sound bone that a guide needs to be at the centre without swaying."""


def build_guides(segment: Segment, sound: Bool) -> dict[str, Guide]:
    """Return the guide of each level that has enough sound bone around its waist.

    Parameters
    ----------
    segment : Segment
    sound : (n_cells,) bool
        Elements that can hold it: a point load on dissolved bone would only be pulled through it.
    """
    mesh = segment.mesh
    mirror = mirror_nodes(mesh)
    soft = np.zeros(mesh.n_points, bool)
    soft[mesh.cell_nodes(np.flatnonzero(~sound).astype(np.int32))] = True
    soft |= soft[mirror]
    angles = 2.0 * np.pi * (np.arange(AROUND // 2) + 0.5) / AROUND
    out = {}
    for level in segment.levels:
        frame = segment.vertebrae[level].frame
        shell = mesh.cell_nodes(mesh.select(f"{level}.body.cortical"))
        p = frame.to_local(mesh.points[shell])
        near = (np.abs(p[:, 2]) <= _BAND * segment.vertebrae[level].dimensions["VBHp"]) & (p[:, 1] > 0.0)
        shell, p = shell[near], p[near]
        direction = p[:, :2] / np.linalg.norm(p[:, :2], axis=1, keepdims=True)
        turned = direction @ np.array([np.cos(angles), np.sin(angles)])
        height = np.abs(p[:, 2]) / segment.vertebrae[level].dimensions["VBHp"]
        left = np.unique(shell[np.argmax(turned - height[:, None], axis=0)])
        nodes = np.concatenate([left, mirror[left]])
        nodes = nodes[~soft[nodes]].astype(np.int32)
        if len(nodes) >= _LEAST:
            rows = np.vstack([np.ones(len(nodes)), mesh.points[nodes].T])
            weights = np.linalg.lstsq(rows, np.append(1.0, frame.origin), rcond=None)[0]
            out[level] = Guide(nodes, weights / weights.sum())
    return out
