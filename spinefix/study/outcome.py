"""What comes of a study and of each of its arms."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinefix.errors import SpinefixError
from spinefix.study.nested import Trail


@dataclass
class ArmOutcome:
    """What came of one arm: table rows and provenance, or the error that stopped it; a trail for a finer mesh."""

    name: str
    comparison: list[dict[str, object]] = field(default_factory=list)
    metrics: list[dict[str, object]] = field(default_factory=list)
    beams: list[dict[str, object]] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: SpinefixError | None = None
    trail: Trail | None = None


@dataclass
class RunOutcome:
    """A finished run.

    Parameters
    ----------
    folder : Path
    arms : list of ArmOutcome
    warnings : list of str
        Implausible numbers, constructs that should be looked at, mesh errors.
    """

    folder: Path
    arms: list[ArmOutcome]
    warnings: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or the exit code of the worst arm."""
        return max((a.error.exit_code for a in self.arms if a.error), default=0)
