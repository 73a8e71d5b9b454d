"""The kernels' fuzzer for a while, and that it knows all of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fuzz import HERE, build_kernels, instruction_sets

from lightconv.kernels import build

ARM_COMPILER, ARM = "aarch64-linux-gnu-g++", "qemu-aarch64-static"


@pytest.mark.parametrize("source", ["kernels.cpp", "halves.cpp"])
def test_every_entry_point_is_called(source: str):
    main = (HERE / "kernels.cpp").read_text()
    if source == "halves.cpp":
        main = re.sub(r"#if !HAS_PAIRS.*?#endif", "", main, flags=re.DOTALL)
    parts = "".join((HERE / name).read_text() for name in re.findall(r'#include "(kernels/\w+\.h)"', main))
    exported = re.findall(r"^EXPORT\((\w+)\)", (build.SOURCE / source).read_text(), flags=re.MULTILINE)
    assert exported
    assert set(exported) <= set(re.findall(r"\bfuzzed_(\w+)", parts))
    assert set(re.findall(r"^void (check_\w+)\(Bytes&", parts, flags=re.MULTILINE)) <= set(re.findall(r"\w+", main))


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("name", instruction_sets())
def test_kernels_under_sanitizers(name: str, tmp_path: Path):
    program = build_kernels("g++", tmp_path / "kernels", instruction_sets()[name])
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
