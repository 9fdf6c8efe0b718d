"""What a reader may rely on in ``manifest.json``; what is not named here is allowed and left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from spinefix.errors import UsageError, path_text


class _Part(BaseModel):
    """A part of the manifest. Everything may be absent: older runs, and runs that were stopped, have less."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, use_attribute_docstrings=True)


class CheckRecord(_Part):
    """One self-check of one arm."""

    name: str
    value: float | None = None
    tolerance: float | None = None
    passed: bool
    """Left out nowhere: a check that does not say so has not passed."""


class SolverRecord(_Part):
    """How the equations of one arm were solved."""

    method: str = ""
    n: int | None = None
    analysis: str = "linear"


class ArmRecord(_Part):
    """One arm: size, checks, what was built, or the error that stopped it."""

    nodes: int | None = None
    elements: dict[str, int] = {}
    solver: SolverRecord = SolverRecord()
    checks: tuple[CheckRecord, ...] = ()
    measures: dict[str, float] = {}
    resected: tuple[str, ...] = ()
    error: str = ""

    def reason(self) -> str:
        """Return what stopped the arm in one line, without the excerpts of the file."""
        return "; ".join(line for line in self.error.splitlines() if not line.startswith(" "))


class LesionRecord(_Part):
    """One lesion by itself, as `spinefix.lesions.LesionReport`."""

    level: str
    kind: str
    volume_fraction: float
    volume_fraction_asked: float
    breach: dict[str, float] = {}
    pedicle: dict[str, float] = {}


class UnionRecord(_Part):
    """All lesions of one part of a vertebra, as `spinefix.lesions.UnionReport`."""

    part: str
    overlapping: tuple[int, ...]
    volume_fraction: float
    overlap_fraction: float


class SegmentRecord(_Part):
    """The specimen."""

    levels: tuple[str, ...] = ()
    elements: int | None = None
    nodes: int | None = None
    lesions: tuple[LesionRecord, ...] = ()
    lesion_unions: tuple[UnionRecord, ...] = ()


class MaterialRecord(_Part):
    """A material; its constants are the further keys."""

    name: str
    law: str = ""
    source: str = ""
    assumed: bool = False

    def constants(self) -> dict[str, float]:
        """Return the constants by name."""
        more = self.model_extra or {}
        return {k: v for k, v in more.items() if isinstance(v, int | float) and not isinstance(v, bool)}


class KindRecord(_Part):
    """A construct or a load of the scenario."""

    kind: str = ""
    force_N: float | None = None


class ScenarioRecord(_Part):
    """The scenario as it was run."""

    name: str = ""
    title: str = ""
    arms: dict[str, KindRecord] = {}
    loads: tuple[KindRecord, ...] = ()


class Manifest(_Part):
    """A whole ``manifest.json``."""

    created: str = ""
    name: str = ""
    title: str = ""
    versions: dict[str, str] = {}
    commit: str | None = None
    machine: dict[str, str | int] = {}
    scenario: ScenarioRecord = ScenarioRecord()
    scenario_sha256: str = ""
    segment: SegmentRecord = SegmentRecord()
    arms: dict[str, ArmRecord] = {}
    materials: tuple[MaterialRecord, ...] = ()
    assumed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float | dict[str, float]] = {}


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; an empty one where there is no file, as of a run that was stopped.

    Raises
    ------
    UsageError
        It is not a manifest: says file, line and what is expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Manifest()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: expected text in UTF-8") from None
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise UsageError(f"{path}: not a manifest: nested too deeply") from None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        places = [(_known_part(content, item["loc"]), item) for item in error.errors()]
        where, item = max(places, key=lambda place: len(place[0]))  # of alternatives the one that came closest
        lacks = f"required key {item['loc'][-1]!r} is missing"
        what = lacks if item["type"] == "missing" else item["msg"].removeprefix("Input ")
        raise UsageError(f"{path}:{_line(text, where)}: {path_text(where) or 'the file'}: {what}") from None


def add_to_manifest(path: Path, phase: str, seconds: float, warnings: Sequence[str] = ()) -> None:
    """Add to ``manifest.json`` a phase that came after the solution: its time, also to the total, and its warnings."""
    content = json.loads(path.read_text(encoding="utf-8"))
    times = content["seconds"]
    times[phase] = round(seconds, 4)
    times["total"] = round(times["total"] + seconds, 4)
    content["warnings"] += warnings
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def _known_part(content: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the part of a pydantic location that is a path in the content; the rest names types or what is missing."""
    known: list[int | str] = []
    for step in location:
        if isinstance(content, dict) and step in content:
            content = content[step]
        elif isinstance(content, list) and isinstance(step, int):
            content = content[step]
        else:
            continue
        known.append(step)
    return tuple(known)


def _line(text: str, where: tuple[int | str, ...]) -> int:
    """Return the line (from 1) of a part of a JSON text."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="rt", pure=True)
    yaml.allow_duplicate_keys = True
    try:
        node, line = yaml.load(text.replace("\t", " ")), 0  # JSON is YAML but for tabs
    except YAMLError:
        return 1
    for step in where:
        line = node.lc.value(step)[0] if isinstance(step, str) else node.lc.item(step)[0]
        node = node[step]
    return line + 1
