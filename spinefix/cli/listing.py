"""``spinefix list``: everything comes from the registries and the library, nothing is typed here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spinefix.cli import common

if TYPE_CHECKING:
    from spinefix.library.reader import Datum

Entry = tuple[str, ...]
"""Name and one line about it, or more columns."""


def _specs(registry: Iterable[type], key: str) -> Sequence[Entry]:
    return [(str(spec.model_fields[key].default), _first(spec)) for spec in registry]  # type: ignore[attr-defined]


def _first(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _constructs() -> Sequence[Entry]:
    from spinefix.implants import CONSTRUCTS

    return _specs(CONSTRUCTS, "kind")


def _lesions() -> Sequence[Entry]:
    from spinefix.lesions import LESIONS

    return _specs(LESIONS, "shape")


def _loads() -> Sequence[Entry]:
    from spinefix.loads import LOADS

    return _specs(LOADS, "kind")


def _metrics() -> Sequence[Entry]:
    from spinefix.metrics import PLACES, QUANTITIES

    words = [("", "", word, ", ".join(choices)) for word, choices in PLACES.items()]
    return [*((q.name, q.unit, "\n".join(q.regions), q.meaning) for q in QUANTITIES), *words]


def _materials() -> Sequence[Entry]:
    from spinefix.library import reader

    titles = reader.implant_materials()
    return [(name, f"{title}: {_numbers(reader.implant_material(name))}") for name, title in titles.items()]


def _levels() -> Sequence[Entry]:
    from spinefix.library import reader

    return [(level, _numbers(reader.level_dimensions(level))) for level in reader.levels()]


def _tissues() -> Sequence[Entry]:
    from spinefix.library import reader

    entries = []
    for name in reader.tissue_sets():
        entries += [(f"{name} {tissue}", _numbers(data)) for tissue, data in reader.tissue_set(name).items()]
    return entries


def _ligaments() -> Sequence[Entry]:
    from spinefix.library import reader

    return [(name, _numbers(data)) for name, data in reader.ligaments().items()]


def _interfaces() -> Sequence[Entry]:
    from spinefix.library import reader

    return [(name, _numbers(reader.screw_interface(name))) for name in reader.screw_interfaces()]


def _sources() -> Sequence[Entry]:
    from spinefix.library import reader

    return list(reader.all_citations().items())


def _scenarios() -> Sequence[Entry]:
    from ruamel.yaml import YAML

    folder = Path(__file__).resolve().parents[2] / "scenarios"
    entries = []
    for path in sorted(folder.glob("*.yaml")):
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        entries.append((f"scenarios/{path.name}", str(content.get("title", ""))))
    return entries


def _numbers(data: Mapping[str, Datum]) -> str:
    """Values with units; a star marks what is from memory or assumed."""
    return ", ".join(f"{name} {_value(datum)}{'*' * datum.assumed}" for name, datum in data.items())


def _value(datum: Datum) -> str:
    unit = "" if datum.unit == "1" else f" {datum.unit.replace('_per_', '/')}"
    return f"{datum.value:g}{unit}"


KINDS: dict[str, Callable[[], Sequence[Entry]]] = {
    "constructs": _constructs,
    "lesions": _lesions,
    "loads": _loads,
    "materials": _materials,
    "interfaces": _interfaces,
    "levels": _levels,
    "tissues": _tissues,
    "ligaments": _ligaments,
    "metrics": _metrics,
    "scenarios": _scenarios,
    "sources": _sources,
}


@click.command("list", short_help="List what a scenario can name.", epilog=f"KIND: {', '.join(KINDS)}")
@click.argument("kind", metavar="KIND", type=click.Choice(list(KINDS)))
def command(kind: str) -> int:
    """List what a scenario can name; a star marks numbers from memory or assumed."""
    from rich.table import Table

    entries = KINDS[kind]()
    table = Table.grid(padding=(0, 2))
    for _ in entries[0][:-1]:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for entry in entries:
        table.add_row(*entry)
    common.console().print(table)
    return 0
