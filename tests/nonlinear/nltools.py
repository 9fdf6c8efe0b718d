"""Random configurations, evaluations and differences of items: those of the verification."""

import numpy as np

from spinefix.verification.differences import differences, evaluate, random_configuration

__all__ = ["difference_tangent", "evaluate", "random_configuration"]


def difference_tangent(item, x, h=1e-6, time=1.0):
    """Central differences of residual and energy in all displacements and spins."""
    return differences(item, x, np.arange(3 * x.n_blocks, dtype=np.int32), time=time, h=h)
