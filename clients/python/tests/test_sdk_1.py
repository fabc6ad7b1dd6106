"""The same tests on the SDK's 1.x line, in an environment of its own beside this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mcp
import pytest

PROJECT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ["mcp<2", "fastmcp<4", "uvicorn", "pytest"]
TESTS = ["tests/test_mcp_servers.py", "tests/test_same_as_typescript.py"]


def environment_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mcp-metrics-client" / f"sdk-1-python-{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.skipif(not hasattr(mcp, "Client"), reason="this is the environment with the SDK's 1.x line")
def test_the_instrumentation_works_on_the_sdks_1_line(tmp_path: Path) -> None:
    folder = environment_folder()
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    installed = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", *REQUIREMENTS, "--editable", str(PROJECT)],
        capture_output=True,
        text=True,
    )
    assert installed.returncode == 0, installed.stderr[-2000:]
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
