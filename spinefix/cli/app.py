"""Entry point: the group of commands, and how errors become messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from spinefix import __version__
from spinefix.cli import compare, doctor, export, init, listing, report, run, schema, validate, verify, view
from spinefix.errors import ScenarioError, SpinefixError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="spinefix")
def cli() -> None:
    """Compare fixation constructs of the diseased spine by finite elements, from one YAML file.

    \b
      spinefix init my_case.yaml           a commented scenario to start from
      spinefix run my_case.yaml            tables, pictures and a report in runs/my_case
    """


for module in (run, validate, compare, view, report, export, listing, schema, init, doctor, verify):
    cli.add_command(module.command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 other error, 2 usage, 3 not converged, 4 check failed, 5 sweep."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no degree sign gets a question mark
    sys.exit(run_command(arguments))


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; messages go to standard error."""
    try:
        code = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except ScenarioError as error:
        click.echo("\n".join(error.findings), err=True)
        count = len(error.findings)
        click.echo(f"{count} mistake{'s' if count > 1 else ''} in the scenario; nothing was run", err=True)
        return error.exit_code
    except SpinefixError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if os.environ.get("SPINEFIX_DEBUG"):
            raise
        if isinstance(error, OSError) and error.strerror:  # a place that cannot be written, a full disk
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {place}{error.strerror}", err=True)
            return 1
        log = _write_log()
        click.echo(f"unforeseen error: {type(error).__name__}: {error}\ndetails for a bug report: {log}", err=True)
        return 1


def _write_log() -> Path:
    handle, name = tempfile.mkstemp(prefix="spinefix-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"spinefix {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n{traceback.format_exc()}")
    return Path(name)
