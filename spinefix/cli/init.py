"""``spinefix init``."""

from __future__ import annotations

from pathlib import Path

import click

from spinefix.errors import UsageError

SCHEMA_FILE = "spinefix.schema.json"
TEMPLATE = Path(__file__).parent / "template.yaml"


@click.command("init", short_help="Write a commented scenario to start from.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="scenario.yaml")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def command(file: Path, force: bool) -> int:
    """Write a commented scenario to FILE (default scenario.yaml), and beside it the schema for your editor."""
    if file.exists() and not force:
        raise UsageError(f"{file} exists; name another file, or --force to replace it")
    from spinefix.cli.schema import schema_text

    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(template(file.stem), encoding="utf-8")
    (file.parent / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    click.echo(f"{file} and {file.parent / SCHEMA_FILE} written; next: spinefix validate {file}")
    return 0


def template(stem: str) -> str:
    """Return the text of a new scenario, named after its file as far as that is a legal name."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem)
    name = name if name[:1].isalpha() else f"case_{name}"
    text = TEMPLATE.read_text(encoding="utf-8").replace("name: my_case", f"name: {name[:60]}", 1)
    return f"# yaml-language-server: $schema={SCHEMA_FILE}\n{text}"
