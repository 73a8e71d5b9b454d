"""How the kernels are compiled: one shared library, the same text once for each instruction set.

Used by `setup.py`, which runs without torch, and by whoever wants another build (the sanitizers' tests); nothing
here is needed to run. `python lightconv/kernels/build.py` rebuilds the library of a checkout in place.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SOURCE = FOLDER / "source"
LIBRARY = FOLDER / "native.so"

_FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wno-psabi", "-Wno-unknown-pragmas"),
    "-Wno-unused-function",  # no source calls all that its headers have
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
]
_AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]
_X86 = {"avx512_bf16": [*_AVX512, "-mavx512bf16"], "avx512": _AVX512, "avx2": ["-mavx2", "-mfma"]}
# these have functions for bfloat16 only, beside those for float32 of another instruction set
_SOURCES = {"avx512_bf16": "halves.cpp"}


def digest() -> str:
    """A name for the present sources, which the library built from them remembers."""
    total = hashlib.sha256()
    for path in sorted(SOURCE.iterdir()):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def variants() -> dict[str, list[str]]:
    """Instruction sets to compile for, with the flags that ask for them."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return {**(_X86 if x86 else {}), "baseline": []}


def compiler() -> list[str]:
    """The C++ compiler to call: $CXX, or the first that is found.

    Raises:
        RuntimeError: if there is none.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    for command in (named, ["g++"], ["clang++"], ["c++"]):
        if command and shutil.which(command[0]):
            return command
    raise RuntimeError("Expected a C++ compiler, g++ or clang++, but found none; name one in $CXX.")


def build(library: Path = LIBRARY, extra: Sequence[str] = ()) -> None:
    """Compile and link `library`.

    An instruction set that the compiler does not know is left out. Threads are used if the compiler is GCC, whose
    OpenMP library torch uses as well; with another one there would be two pools of threads in one process.

    Args:
        library: file to write.
        extra: more flags for compiler and linker.

    Raises:
        RuntimeError: if the compiler fails.
    """
    command = compiler()
    gcc = "Free Software Foundation" in subprocess.run([*command, "--version"], capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        for threads in (["-fopenmp"], []) if gcc else ([],):
            flags = [*_FLAGS, *threads, *extra]
            jobs = {
                name: [*own, f"-DVARIANT={name}", str(SOURCE / _SOURCES.get(name, "kernels.cpp"))]
                for name, own in variants().items()
            }
            jobs["cpu"] = [f"-DSOURCES={digest()}", str(SOURCE / "cpu.cpp")]
            running = {
                name: subprocess.Popen(
                    [*command, *flags, *job, "-c", "-o", f"{folder}/{name}.o"], stderr=subprocess.PIPE, text=True
                )
                for name, job in jobs.items()
            }
            said = {name: process.communicate()[1] for name, process in running.items()}
            objects = [f"{folder}/{name}.o" for name, process in running.items() if process.returncode == 0]
            if any(running[name].returncode for name in ("baseline", "cpu")):
                failure = said["baseline"] + said["cpu"]
                continue
            part = library.with_name(library.name + ".part")
            link = [*command, "-shared", *threads, *extra, *objects, "-o", str(part)]
            result = subprocess.run(link, capture_output=True, text=True)
            if result.returncode == 0:
                os.replace(part, library)
                return
            failure = result.stderr
    raise RuntimeError(f"Expected {command[0]} to compile the kernels, but it failed:\n{failure}")


if __name__ == "__main__":
    try:
        build()
    except RuntimeError as error:
        sys.exit(str(error))
