"""All benchmarks, each in a process of its own; a table as text, Markdown and CSV, and a plot.

    make bench                                   (or: python benchmarks/run.py [--quick] [--output runs/benchmarks])
    python benchmarks/run.py --sections operators steps --threads 1 --add

Comparisons are run with one thread and, without torch.compile and with fewer timings, with all. Tables are written
after each benchmark. One that fails, or takes longer than `--limit`, is reported at the end, and costs the others
nothing; what it measured until then is kept.
"""

import argparse
import datetime
import itertools
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import torch
from paired import processor
from results import Row, load, markdown, plot, save, write_csv

HERE = Path(__file__).parent
# those that give rows, and those that print their own tables
COMPARISONS = ("operators", "steps", "growth", "recipes")
REPORTS = ("bfloat16", "training_loop", "memory", "onnx_files", "fusion", "loading")


# timings for each median, with one thread and with several
REPEATS = {"operators": (7, 5), "steps": (7, 5), "growth": (7, 5), "recipes": (3, 1)}
# how a report is told to be short, or not too long
SHORT = {"training_loop": ["--epochs", "10", "--pictures", "2000", "--repeats", "1"]}
LONG = {"training_loop": ["--repeats", "3"]}


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


def call(arguments: list[str], threads: int, limit: float) -> tuple[bool, str]:
    """Run one benchmark, showing what it prints; returns whether it ended well in time, and its output."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "COLUMNS": "170"}
    said = []
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
    )
    alarm = threading.Timer(limit, process.kill)
    alarm.start()
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        said.append(line)
    alarm.cancel()
    return process.wait() == 0, "".join(said)


def supports(script: Path, option: str) -> bool:
    return option in script.read_text(encoding="utf-8")


def write(folder: Path, about: str, rows: list[Row], texts: list[str]) -> None:
    """Tables and plot of what there is so far."""
    (folder / "benchmarks.txt").write_text("\n".join(texts), encoding="utf-8")
    if rows:
        save(rows, folder / "rows.json")
        (folder / "benchmarks.md").write_text(f"{about}\n\n{markdown(rows)}", encoding="utf-8")
        write_csv(rows, folder / "benchmarks.csv")
        plot(rows, folder / "benchmarks.png", about)


def merged(old: list[Row], new: list[Row]) -> list[Row]:
    """`old` with the rows of `new` in the places of those that they repeat, or behind."""
    found = {(row.section, row.case, row.work, row.threads): row for row in old}
    return list((found | {(row.section, row.case, row.work, row.threads): row for row in new}).values())


def main() -> int:
    """Run what is asked for; returns 1 if some of it failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one thread, fewer cases, fewer timings: some minutes")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, which takes minutes to start")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads; by default one and all")
    parser.add_argument("--sections", nargs="+", choices=COMPARISONS + REPORTS, default=[*COMPARISONS, *REPORTS])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for tables and plot")
    parser.add_argument("--add", action="store_true", help="keep the rows that are in that folder and not measured now")
    parser.add_argument("--limit", type=float, default=10, help="minutes after which a benchmark is stopped")
    chosen = parser.parse_args()
    threads = chosen.threads or ([1] if chosen.quick else sorted({1, torch.get_num_threads()}))
    chosen.output.mkdir(parents=True, exist_ok=True)

    about = f"{datetime.date.today()}; {versions()}; {processor()}, {os.cpu_count()} CPUs"
    print(about, flush=True)
    kept = chosen.output / "rows.json"
    rows: list[Row] = load(kept) if chosen.add and kept.exists() else []
    texts, failed = [about + "\n"], []
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "rows.json"
        for section, count in itertools.product(chosen.sections, threads):
            script = HERE / f"{section}.py"
            compared = section in COMPARISONS
            if not script.exists() or not (compared or count == threads[0]):
                continue
            quick = chosen.quick and (compared or supports(script, "--quick"))
            arguments = [str(script), *(["--quick"] if quick else [])]
            arguments += (SHORT if chosen.quick else LONG).get(section, [])
            if compared:
                several = count > 1
                arguments += ["--no-compile"] if several or chosen.no_compile else []
                arguments += [] if quick else ["--repeats", str(REPEATS[section][several])]
                arguments += ["--threads", str(count), "--save", str(saved)]
                saved.unlink(missing_ok=True)
            words = arguments[1:-2] if compared else arguments[1:]
            print(f"\n{datetime.datetime.now():%H:%M} {' '.join(['benchmarks/' + script.name, *words])}", flush=True)
            fine, said = call(arguments, count, 60 * chosen.limit)
            texts.append(f"{section}, {count} thread(s)\n{said}")
            if not fine:
                failed.append(f"{section} with {count} thread(s)")
            if saved.exists():
                rows = merged(rows, load(saved))
                saved.unlink()
            write(chosen.output, about, rows, texts)
    print(f"\n{datetime.datetime.now():%H:%M} Tables and plot are in {chosen.output}")
    for name in failed:
        print(f"Failed, or stopped after {chosen.limit:g} minutes: {name}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
