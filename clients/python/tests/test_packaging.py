"""The wheel builds, holds what it should, and works where nothing but its one dependency is installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def test_the_wheel_builds_typed_and_needs_httpx_alone(tmp_path: Path) -> None:
    pytest.importorskip("build")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(PROJECT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("mcp_metrics_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "mcp_metrics_client/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]
    requirements = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    assert requirements == ["Requires-Dist: httpx<1,>=0.27"]


def test_the_package_imports_without_any_framework() -> None:
    program = (
        "import sys\n"
        "for name in ('mcp', 'fastmcp', 'starlette', 'fastapi', 'pydantic_core'):\n"
        "    sys.modules[name] = None\n"
        "import mcp_metrics_client as m\n"
        "assert all(hasattr(m, name) for name in m.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
