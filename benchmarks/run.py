"""All benchmarks, each in a process of its own; a table as text, Markdown and CSV, and a plot.

    make bench                                   (or: python benchmarks/run.py [--quick] [--output runs/benchmarks])
    python benchmarks/run.py --sections operators steps --threads 1

Comparisons are run with one thread and with all. A benchmark that fails is reported at the end, and costs the others
nothing.
"""

import argparse
import datetime
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from paired import processor
from results import Row, load, markdown, plot, write_csv

HERE = Path(__file__).parent
# those that give rows, and those that print their own tables
COMPARISONS = ("operators", "steps", "growth", "recipes")
REPORTS = ("training_loop", "memory", "onnx_files", "fusion", "loading")


def versions() -> str:
    """Of what takes part."""
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("lightconv", "torch", "torchvision", "lightning", "onnxruntime", "numpy"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"Python {sys.version.split()[0]}, " + ", ".join(found)


def call(arguments: list[str], threads: int) -> tuple[int, str]:
    """Run one benchmark, showing what it prints; returns its exit status and its output."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "COLUMNS": "170"}
    said = []
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
    )
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        said.append(line)
    return process.wait(), "".join(said)


def supports(script: Path, option: str) -> bool:
    return option in script.read_text(encoding="utf-8")


def main() -> int:
    """Run what is asked for; returns 1 if some of it failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one thread, fewer cases, fewer timings: some minutes")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, which takes minutes to start")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads; by default one and all")
    parser.add_argument("--sections", nargs="+", choices=COMPARISONS + REPORTS, default=[*COMPARISONS, *REPORTS])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for tables and plot")
    chosen = parser.parse_args()
    threads = chosen.threads or ([1] if chosen.quick else sorted({1, torch.get_num_threads()}))
    quick = ["--quick"] if chosen.quick else []
    compiling = ["--no-compile"] if chosen.no_compile else []
    chosen.output.mkdir(parents=True, exist_ok=True)

    about = f"{datetime.date.today()}; {versions()}; {processor()}, {os.cpu_count()} CPUs"
    print(about, flush=True)
    rows: list[Row] = []
    texts, failed = [about + "\n"], []
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "rows.json"
        for section in chosen.sections:
            script = HERE / f"{section}.py"
            if not script.exists():
                continue
            for count in threads if section in COMPARISONS else threads[:1]:
                arguments = [str(script), *(quick if supports(script, "--quick") or section in COMPARISONS else [])]
                if section in COMPARISONS:
                    arguments += [*compiling, "--threads", str(count), "--save", str(saved)]
                print(f"\n{' '.join(['python', f'benchmarks/{section}.py', *arguments[1:-2]])}", flush=True)
                status, said = call(arguments, count)
                texts.append(f"{section}, {count} thread(s)\n{said}")
                if status:
                    failed.append(f"{section} with {count} thread(s)")
                elif section in COMPARISONS:
                    rows += load(saved)
    (chosen.output / "benchmarks.txt").write_text("\n".join(texts), encoding="utf-8")
    if rows:
        (chosen.output / "benchmarks.md").write_text(f"{about}\n\n{markdown(rows)}", encoding="utf-8")
        write_csv(rows, chosen.output / "benchmarks.csv")
        plot(rows, chosen.output / "benchmarks.png", about)
    print(f"\nTables and plot are in {chosen.output}")
    for name in failed:
        print(f"Failed: {name}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
