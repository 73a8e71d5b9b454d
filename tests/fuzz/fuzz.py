"""Fuzz for as long as you like: `make fuzz SECONDS=600`. What fails is kept in `.fuzz`, and its name is printed.

In turn, each for its share of the time:
- the readers of files, guided by coverage (atheris);
- the native kernels, once for each instruction set, under AddressSanitizer and UndefinedBehaviorSanitizer, guided by
  coverage where there is clang (libFuzzer), else at random;
- the property tests of operators, surgery and export, with new draws each time (hypothesis), whose failures the next
  run tries first.

What the machine lacks is left out, in a line that says so.
"""

import argparse
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lightconv.kernels import build
from lightconv.kernels.library import Library

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEPT = ROOT / ".fuzz"
PROPERTIES = ("tests/functional/test_random.py", "tests/surgery", "tests/deploy/test_operators.py")
SANITIZE = "address,undefined"
FLAGS = ("-std=c++17", "-O1", "-g", "-fno-sanitize-recover=all", "-Wno-psabi", "-Wno-unknown-pragmas")
Job = Callable[[int], bool]


def main() -> None:
    """Share the time out, and end with status 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Fuzz readers, kernels and operators.")
    parser.add_argument("--seconds", type=int, default=600, help="for how long (default: 600)")
    parser.add_argument("--only", default="", help="jobs whose names begin so, for example `kernels` or `reader npz`")
    arguments = parser.parse_args()
    found = {name: job for name, job in jobs().items() if name.startswith(arguments.only)}
    if not found or arguments.seconds < len(found):
        parser.error(f"Expected at least a second for each job ({', '.join(found) or 'none has that name'}).")
    KEPT.mkdir(exist_ok=True)
    failed = []
    for name, job in found.items():
        print(f"--- {name}", flush=True)
        if not job(arguments.seconds // len(found)):
            failed.append(name)
    print(f"failed: {', '.join(failed)}; see {KEPT}" if failed else "nothing failed")
    sys.exit(bool(failed))


def jobs() -> dict[str, Job]:
    """What there is to run on this machine."""
    found: dict[str, Job] = {}
    if importlib.util.find_spec("atheris"):
        from readers import READERS

        found |= {f"reader {name}": reader_job(name) for name in READERS}
    else:
        print("readers are left out: pip install atheris")
    compiler = next(filter(shutil.which, ("clang++", "g++")), None)
    if compiler:
        found |= {f"kernels {name}": kernels_job(compiler, name, flags) for name, flags in instruction_sets().items()}
    else:
        print("kernels are left out: there is neither clang++ nor g++")
    found["properties"] = properties
    return found


def reader_job(name: str) -> Job:
    """Fuzz a reader in a process of its own, since a reader may take the process with it."""

    def run(seconds: int) -> bool:
        corpus = KEPT / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(HERE / "cover.py"), name, str(corpus), f"-max_total_time={seconds}"]
        return subprocess.run([*command, f"-artifact_prefix={KEPT}/{name}-", "-print_final_stats=1"]).returncode == 0

    return run


def instruction_sets() -> dict[str, list[str]]:
    """Those that this machine can run, with the flags that compile for them."""
    found = {}
    for name, flags in build.variants().items():
        try:
            found[Library(variant=name).variant] = flags
        except OSError:
            continue
    return found or {"baseline": []}


def kernels_job(compiler: str, name: str, flags: Sequence[str]) -> Job:
    """Build and run kernels.cpp."""

    def run(seconds: int) -> bool:
        program = build_kernels(compiler, KEPT / f"kernels-{name}", flags)
        if "clang" in compiler:
            corpus = KEPT / "corpus" / "kernels"
            corpus.mkdir(parents=True, exist_ok=True)
            # large cases from the first second on, which guidance by itself is long in finding
            for seed in range(1000):
                (corpus / f"drawn-{seed}").write_bytes(random.Random(seed).randbytes(128))
            options = [f"-max_total_time={seconds}", "-max_len=128", "-len_control=0"]
            options.append(f"-artifact_prefix={KEPT}/kernels-{name}-")
            command = [str(program), str(corpus), *options, "-print_final_stats=1"]
        else:
            command = [str(program), str(seconds), str(time.time_ns() % 2**31)]
        return subprocess.run(command).returncode == 0

    return run


def build_kernels(compiler: str, program: Path, flags: Sequence[str]) -> Path:
    """Compile kernels.cpp for an instruction set with sanitizers; with clang, as a libFuzzer target."""
    sanitizers = f"-fsanitize={SANITIZE}{',fuzzer' if 'clang' in compiler else ''}"
    subprocess.run([compiler, *FLAGS, *flags, sanitizers, str(HERE / "kernels.cpp"), "-o", str(program)], check=True)
    return program


def properties(seconds: int) -> bool:
    """Run the property tests again and again, until the time is over."""
    end = time.monotonic() + seconds
    environment = os.environ | {"LIGHTCONV_FUZZ": str(KEPT / "examples")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "long", "-k", "random or many", *PROPERTIES]
    while (left := end - time.monotonic()) > 0:
        try:
            if subprocess.run(command, cwd=ROOT, env=environment, timeout=left).returncode:
                return False
        except subprocess.TimeoutExpired:
            break
    return True


if __name__ == "__main__":
    main()
