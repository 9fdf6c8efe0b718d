"""Meshes and small solves: those of the verification, with another scale of stiffness."""

from spinefix.verification.meshes import on_boundary as boundary
from spinefix.verification.meshes import roughened, solid_box
from spinefix.verification.small import SMALL as ALL
from spinefix.verification.small import isotropic, small_group, stiffness
from spinefix.verification.small import solve_linear as solve

__all__ = ["ALL", "boundary", "distort", "group", "isotropic", "mesh_of", "solve", "stiffness"]

mesh_of = solid_box


def distort(points, conn, kind, amount, seed=0):
    """Move inner corner nodes at random; midside nodes follow, so that edges stay straight."""
    return roughened(points, conn, kind, amount, inside=True, seed=seed)


def group(kind, formulation, conn, D, scale=1.0):
    out = small_group(kind, formulation, conn, D)
    out.scale[:] = scale
    return out
