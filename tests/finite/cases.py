"""One material of every finite-strain law, and a driver of single integration points: those of the verification."""

import numpy as np

from spinefix.verification.samples import SAMPLES as CASES
from spinefix.verification.samples import deformations, directions, green, kirchhoff, old_state, respond, rotation

__all__ = [
    "CASES", "deformations", "directions", "green", "kirchhoff", "old_state", "respond", "rotation",
    "small_strain_elasticity",
]  # fmt: skip


def small_strain_elasticity(name):
    """Tangent (6, 6) at F = I."""
    return respond(name, np.eye(3)[None])[2][0]
