"""The kernels' fuzzer for a while, and on what it has found."""

import shutil
import subprocess
from pathlib import Path

import pytest
from fuzz import build_kernels

# as the fuzzer reads them: seed, what is checked, its sizes
FOUND = {
    "taps of a tile beyond the last, shorter chunk": bytes([0, 0, 0, 0, 0, 3, 13, 15, 7, 184, 13, 15, 7, 184]),
}


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_kernels_under_sanitizers(tmp_path: Path):
    program = build_kernels("g++", tmp_path / "kernels")
    for number, content in enumerate(FOUND.values()):
        (tmp_path / str(number)).write_bytes(content)
        subprocess.run([program, tmp_path / str(number)], check=True)
    subprocess.run([program, "60", "1"], check=True)
