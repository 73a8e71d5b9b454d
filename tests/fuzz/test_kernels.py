"""The kernels' fuzzer for a while, and on what it has found."""

import shutil
import subprocess
from pathlib import Path

import pytest
from fuzz import HERE, build_kernels, instruction_sets

from lightconv.kernels import build

ARM_COMPILER, ARM = "aarch64-linux-gnu-g++", "qemu-aarch64-static"

# as the fuzzer reads them: seed, what is checked, its sizes
FOUND = {
    "taps of a tile beyond the last, shorter chunk": bytes([0, 0, 0, 0, 0, 3, 13, 15, 7, 184, 13, 15, 7, 184]),
    "what the last tap and the last vector reach": bytes([0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1, 0, 4, 0]),
}


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("name", instruction_sets())
def test_kernels_under_sanitizers(name: str, tmp_path: Path):
    program = build_kernels("g++", tmp_path / "kernels", instruction_sets()[name])
    for number, content in enumerate(FOUND.values()):
        (tmp_path / str(number)).write_bytes(content)
        subprocess.run([program, tmp_path / str(number)], check=True)
    subprocess.run([program, "60", "1"], check=True)


@pytest.mark.long
@pytest.mark.skipif(
    shutil.which(ARM_COMPILER) is None or shutil.which(ARM) is None,
    reason="needs an emulated ARM: apt-get install g++-aarch64-linux-gnu qemu-user-static",
)
def test_kernels_on_an_emulated_arm(tmp_path: Path):
    """As they are compiled for users, each beside its plain loop."""
    program = tmp_path / "kernels"
    subprocess.run([ARM_COMPILER, *build._FLAGS, "-static", HERE / "kernels.cpp", "-o", program], check=True)
    subprocess.run([ARM, program, "60", "1"], check=True)
