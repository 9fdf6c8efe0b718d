"""Scenario files: YAML 1.2 in, a validated `Study` out, and errors that name file, line, column and key.

YAML 1.2 has no ``no`` or ``off`` booleans and reads ``1e3`` as a number; duplicate keys and tabs are errors. Types are
strict: a quoted number is text. All findings of a file come at once.
"""

from __future__ import annotations

import copy
import difflib
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

from spinefix.errors import Location, ScenarioError, UsageError, path_text
from spinefix.scenario.schema import Inconsistency, Origin, Study


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read a scenario file.

    Parameters
    ----------
    path : Path
    overrides : sequence of str
        ``key.path=value`` each, e.g. ``arms.posterior.screws.diameter_mm=6.0`` or ``lesions[0].volume_pct=30``; the
        value is YAML. They win over the file.

    Raises
    ------
    ScenarioError
        One finding per mistake: ``file:line:column: key.path: what is wrong`` and the line itself.
    UsageError
        The file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start].splitlines() or [b""]
        raise UsageError(f"{path}:{len(before)}: not UTF-8 text (byte {error.object[error.start]:#04x})") from error
    return parse_study(text, str(path), overrides)


def parse_study(text: str, file: str = "<text>", overrides: Sequence[str] = ()) -> Study:
    """Validate the text of a scenario; see `load_study`."""
    document = _Document(file, text.splitlines(), _parse(text, file))
    for override in overrides:
        document.override(override)
    try:
        study = Study.model_validate(_bounded(document), strict=True)
    except ValidationError as error:
        raise ScenarioError(_findings(document, error)) from None
    return study.read_from(Origin(document.later_finding))


class _Constructor(RoundTripConstructor):  # type: ignore[misc]
    """Values of the YAML 1.2 core schema: a date is text."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_scalar)


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.version = "1.2"
    yaml.Constructor = _Constructor
    return yaml


_BROKEN = (YAMLError, ValueError, RecursionError)
"""What the parser raises: for bad syntax, for a tag that its value does not fit, for nesting without end."""


def _problem(error: Exception) -> str:
    """Return one line on what the parser could not read."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if not isinstance(error, MarkedYAMLError):
        return str(error).partition("\n")[0]
    problem = (error.problem or str(error)).partition("\n")[0]
    return f"{error.context}, {problem}" if error.context and problem.startswith("but ") else problem


def _parse(text: str, file: str) -> CommentedMap:
    try:
        root = _yaml().load(text)
    except _BROKEN as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None) or _misfit(text, error)
        if mark is None:
            raise ScenarioError([f"{file}: {_problem(error)}"]) from None
        raise ScenarioError([_located(file, text.splitlines(), (mark.line, mark.column), _problem(error))]) from None
    if not isinstance(root, CommentedMap):
        raise ScenarioError([f"{file}:1:1: a scenario is a mapping of keys, this file is not"])
    return root


def _misfit(text: str, error: Exception) -> Any:
    """Return the mark of the first scalar that does not fit its tag, such as ``!!int x``; None for other errors."""
    if not isinstance(error, ValueError):
        return None
    yaml = _yaml()
    waiting = [yaml.compose(text)]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ScalarNode):
            try:
                yaml.constructor.construct_object(node)
            except ValueError:
                return node.start_mark
        elif node is not None:
            waiting += [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
    return None


class _Document:
    """A parsed file that knows where its keys are, and which were set from the command line."""

    def __init__(self, file: str, lines: list[str], root: CommentedMap) -> None:
        self.file = file
        self.lines = lines
        self.root = root
        self.set: dict[Location, str] = {}

    def override(self, assignment: str) -> None:
        """Apply ``key.path=value``."""
        key, sign, raw = assignment.partition("=")
        where = _split(key)
        if not sign or not where:
            raise ScenarioError([f"--set {assignment}: expected key.path=value"])
        try:
            value = _yaml().load(raw)
        except _BROKEN as error:
            raise ScenarioError([f"--set {assignment}: {_problem(error)}"]) from None
        node: Any = self.root
        for i, step in enumerate(where):
            last = i == len(where) - 1
            if isinstance(node, CommentedMap):
                if last:
                    node[step] = value
                elif node.get(step) is None:
                    node[step] = CommentedMap()
                    self.set[where[: i + 1]] = assignment
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and 0 <= step < len(node):
                if last:
                    node[step] = value
            else:
                raise ScenarioError([f"--set {assignment}: {path_text(where[:i])} has no item {step!r}"])
            if not last:  # a node of its own: through an alias or a merge key others may have the same one
                node[step] = copy.deepcopy(node[step])
                node = node[step]
        self.set[where] = assignment

    def finding(self, where: Location, message: str, *, at_value: bool = False) -> str:
        """One finding with its place: the command line if it was set there, else file, line and column."""
        for path, assignment in self.set.items():
            if where[: len(path)] == path:
                return f"--set {assignment}: {path_text(where)}: {message}"
        text = f"{path_text(where)}: {message}" if where else message
        return _located(self.file, self.lines, self.position(where, at_value=at_value), text)

    def later_finding(self, where: Location, message: str) -> str:
        """One finding of the build: at the value of a scalar or list, at the key of a mapping, which is its heading."""
        node: Any = self.root
        for step in where:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                break
        return self.finding(where, message, at_value=not isinstance(node, Mapping))

    def position(self, where: Location, *, at_value: bool) -> tuple[int, int]:
        """Line and column (from 0) of the key or value at `where`, or of the nearest thing above it."""
        node: Any = self.root
        found = (0, 0)
        for step in where:
            try:
                if isinstance(node, CommentedMap) and step in node:
                    has_place = node[step] is not None  # nothing stands behind the key: what follows is another
                    place = node.lc.value(step) if at_value and step == where[-1] and has_place else node.lc.key(step)
                elif isinstance(node, CommentedSeq) and isinstance(step, int):
                    place = node.lc.item(step)
                else:
                    break
                found = place or found  # what a merge key (<<) brought has no place of its own
            except (KeyError, TypeError, AttributeError, IndexError):
                break  # set from the command line: it has no place in the file
            node = node[step]
        return found


def _located(file: str, lines: list[str], position: tuple[int, int], message: str) -> str:
    line, column = position
    excerpt = ""
    if line < len(lines):
        excerpt = f"\n  {line + 1:5d} | {lines[line]}\n        | {' ' * column}^"
    return f"{file}:{line + 1}:{column + 1}: {message}{excerpt}"


def _split(key: str) -> Location:
    """Split ``a.b[0].c`` into its steps."""
    steps: list[str | int] = []
    for part in key.strip().split("."):
        match = re.fullmatch(r"([^\[\]]+)((?:\[\d+\])*)", part)
        if match is None:
            return ()
        steps.append(match[1])
        steps.extend(int(i) for i in re.findall(r"\[(\d+)\]", match[2]))
    return tuple(steps)


MOST_VALUES = 100_000
"""Values of the largest scenario; aliases of aliases could make any number of a short file."""


def _bounded(document: _Document) -> Any:
    """Return the plain data of a document, unless aliases blow it up."""
    if _size(document.root, {}) > MOST_VALUES:
        raise ScenarioError([f"{document.file}:1:1: aliases (*) make more than {MOST_VALUES} values of this file"])
    return _plain(document.root)


def _size(node: Any, known: dict[int, float]) -> float:
    """Count the values at and below a node with its aliases written out; infinite for one that holds itself."""
    if not isinstance(node, Mapping | list):
        return 1.0
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is counted
        parts = node.values() if isinstance(node, Mapping) else node
        known[id(node)] = 1.0 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _plain(node: Any) -> Any:
    """Return plain Python data: sequences as tuples (Specs are frozen), scalars without their formatting."""
    if isinstance(node, Mapping):
        return {(str(key) if isinstance(key, str) else key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return tuple(_plain(item) for item in node)
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


@dataclass(frozen=True)
class _Place:
    """Where a pydantic location points: the path in the file, the model that holds its last key, its own type."""

    path: Location
    model: type[BaseModel] | None
    annotation: Any


def _findings(document: _Document, error: ValidationError) -> list[str]:
    """Translate pydantic's errors, one finding per place, in the order of the file."""
    grouped: dict[tuple[Location, bool], list[str]] = {}
    items = error.errors()
    for item in items:
        if item["type"] == "too_short" and any(len(o["loc"]) > len(item["loc"]) and _below(item, o) for o in items):
            continue  # pydantic counts only the valid items of a sequence
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, Inconsistency):
            for where, message in cause.findings:
                grouped.setdefault((where, True), []).append(message)
            continue
        place = _place(document.root, tuple(item["loc"]))
        path, message, at_value = _message(place, item, document)
        grouped.setdefault((path, at_value), []).append(message)
    ordered = sorted(grouped, key=lambda key: document.position(key[0], at_value=key[1]))
    return [
        document.finding(where, " or: ".join(dict.fromkeys(grouped[where, at_value])), at_value=at_value)
        for where, at_value in ordered
    ]


def _below(upper: Any, lower: Any) -> bool:
    return tuple(lower["loc"][: len(upper["loc"])]) == tuple(upper["loc"])


def _place(root: Any, loc: Location) -> _Place:
    """Follow a pydantic location through the data and the schema; tags of unions have no counterpart in the file."""
    node: Any = root
    annotation: Any = Study
    model: type[BaseModel] | None = None
    path: list[str | int] = []
    for i, step in enumerate(loc):
        models = _models(annotation)
        if len(models) > 1 and isinstance(step, str):  # the tag that chose one of several models
            annotation = next((m for m in models if _tag(m) == step), models[0])
            continue
        if isinstance(node, Mapping):
            last = i == len(loc) - 1 or loc[i + 1] == "[key]"
            if not (step in node or last):
                continue
            path.append(step)
            if models:
                model = models[0]
                field = model.model_fields.get(str(step))
                annotation = field.annotation if field else None
            else:
                annotation = _argument(annotation, -1)
                model = None
            node = node.get(step)
        elif isinstance(node, Sequence) and not isinstance(node, str) and isinstance(step, int):
            path.append(step)
            annotation = _argument(annotation, 0)
            node = node[step] if step < len(node) else None
        else:
            break  # a scalar: what follows names a member of a union
    return _Place(tuple(path), model, annotation)


def _models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """Return the models that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _models(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(m for arg in typing.get_args(annotation) for m in _models(arg))
    return ()


def _argument(annotation: Any, position: int) -> Any:
    """Return the type of the items of a container annotation, looking through Annotated and unions."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _argument(typing.get_args(annotation)[0], position)
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in arguments if typing.get_origin(a) is not None]
        return _argument(inner[0], position) if inner else None
    return arguments[position] if arguments else None


def _tag(model: type[BaseModel]) -> str:
    for key in ("kind", "shape"):
        if key in model.model_fields:
            return str(typing.get_args(model.model_fields[key].annotation)[0])
    return model.__name__


def _message(place: _Place, item: Any, document: _Document) -> tuple[Location, str, bool]:
    """Return path, plain words, and whether the value (not the key) is at fault."""
    path, kind, given, context = place.path, item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        keys = list(place.model.model_fields) if place.model else []
        return path, f"unknown key {path[-1]!r}{_allowed(path[-1], keys)}", False
    if kind == "missing":
        if isinstance(path[-1], int):
            return path[:-1], f"item {path[-1] + 1} is missing", True
        return path[:-1], f"required key {path[-1]!r} is missing{_allowed('', _literals(place.annotation))}", False
    if kind in ("too_short", "too_long"):
        word, bound = ("least", context["min_length"]) if kind == "too_short" else ("most", context["max_length"])
        return path, f"needs at {word} {bound} item{'s'[: bound != 1]}, has {context['actual_length']}", True
    if kind in _SHAPES:
        example = f"; write [{given}]" if kind == "tuple_type" and isinstance(given, str) else ""
        return path, f"should be {_SHAPES[kind]}{_shown(given)}{example}", True
    if kind == "literal_error":
        return path, f"{given!r} is not allowed{_allowed(given, _choices(context['expected']))}", True
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        tags = _choices(context["expected_tags"])
        return (*path, key), f"{context['tag']!r} is not known{_allowed(context['tag'], tags)}", True
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        tags = [_tag(model) for model in _models(place.annotation)]
        return path, f"required key {key!r} is missing{_allowed('', tags)}", False
    if kind == "string_pattern_mismatch":
        return path, f"{given!r} is not a name, which files get: letters, digits, _ and -, a letter first", False
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return path, message if kind == "value_error" else f"{message}{_shown(given)}", True


_SHAPES = {
    "tuple_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}
"""Kinds of pydantic errors of values that are no list, no mapping -> what they should be."""


def _shown(given: object) -> str:
    """Return what was given, unless it is long."""
    if isinstance(given, Mapping | tuple | list):
        return ""
    return " (given: nothing)" if given is None else f" (given: {given!r})"


def _literals(annotation: Any) -> list[str]:
    """Return the values of a literal type, none for other types."""
    return [str(value) for value in typing.get_args(annotation)] if typing.get_origin(annotation) is Literal else []


def _choices(expected: str) -> list[str]:
    """Return the choices from pydantic's list ``'a', 'b' or 'c'``."""
    quoted = re.findall(r"'([^']*)'", expected)
    return quoted or [expected]


def _allowed(given: object, choices: list[str]) -> str:
    """Return ``(allowed: ...; did you mean ...?)``; short codes such as L6 get the list without a guess."""
    parts = []
    if choices and len(choices) <= 16:
        parts.append(f"allowed: {', '.join(choices)}")
    close = difflib.get_close_matches(str(given), choices, n=1)
    if close and len(str(given)) > 3:
        parts.append(f"did you mean {close[0]!r}?")
    return f" ({'; '.join(parts)})" if parts else ""
