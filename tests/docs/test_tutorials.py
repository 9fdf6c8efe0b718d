"""The tutorials run, and print what they say they print."""

import contextlib
import io
import re
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"


@pytest.mark.parametrize("name", ["bar_and_cook.md", "imported_mesh.md"])
def test_tutorial_prints_what_it_shows(name: str) -> None:
    text = (TUTORIALS / name).read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    printed = ""
    shown = 0
    for kind, block in re.findall(r"^```(python|text)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if kind == "python":
            assert not printed, f"no text block shows {printed!r}"
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, name, "exec"), scope)
            printed = out.getvalue()
        else:
            assert printed == block
            printed = ""
            shown += 1
    assert shown >= 5
