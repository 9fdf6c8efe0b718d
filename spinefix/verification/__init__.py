"""The verification ladder: problems with known answers, solved by the finite-element core, for command and tests.

A rung is one function in one file of `spinefix.verification.rungs`, marked with `@rung`; nothing else registers it.
"""

from __future__ import annotations

from spinefix.verification.ladder import Outcome, Row, Rung, all_rungs, climb, find

__all__ = ["Outcome", "Row", "Rung", "all_rungs", "climb", "find"]
