from __future__ import annotations

from pathlib import Path

import pytest

from tests.viz.runfolder import write_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three arms and two directions over two blocks of bone, a disc, a lesion and rods."""
    return write_run(tmp_path_factory.mktemp("run"))
