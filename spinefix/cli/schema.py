"""``spinefix schema``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("schema", short_help="Print the JSON Schema of scenarios, for editors.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
def command(out: Path | None) -> int:
    """Print the JSON Schema of scenario files.

    An editor with a YAML language server completes and checks a scenario whose first line is
    "# yaml-language-server: $schema=spinefix.schema.json".
    """
    text = schema_text()
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
    return 0


def schema_text() -> str:
    """Return the JSON Schema of a scenario as indented JSON."""
    import json

    from spinefix.scenario.schema import Study

    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Study.model_json_schema()}
    return json.dumps(schema, indent=1) + "\n"
