"""The other tests of this folder once more, on kernels built with AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lightconv.kernels import build
from lightconv.kernels.library import ENVIRONMENT_LIBRARY

HERE = Path(__file__).parent
_SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_kernels_neither_leave_their_memory_nor_the_language(tmp_path):
    library = tmp_path / "native.so"
    build.build(library, extra=_SANITIZERS)
    # torch throws, which the sanitizer can follow only if it finds the library of C++ as well
    found = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    more = subprocess.run(["g++", "-print-file-name=libstdc++.so"], capture_output=True, text=True, check=True).stdout
    environment = os.environ | {
        "LD_PRELOAD": f"{found.strip()} {more.strip()}",
        # Python and torch keep memory to the end
        "ASAN_OPTIONS": "detect_leaks=0",
        ENVIRONMENT_LIBRARY: str(library),
        "OMP_NUM_THREADS": "1",
    }
    others = [str(path) for path in sorted(HERE.glob("test_native_*.py")) if path != Path(__file__)]
    others = [path for path in others if not path.endswith("test_native_library.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "not long", "-p", "no:cacheprovider", *others]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=HERE.parents[1])
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-8000:]
    assert " passed" in result.stdout
