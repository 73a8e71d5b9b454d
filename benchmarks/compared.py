"""Comparing one piece of work in several forms, first with the allocator as it is, then with buffers reused.

A benchmark is a generator of cases: each case, when asked, makes its candidates. `run` is the main program of all.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from limits import described, least_seconds
from paired import machine, measure
from results import Row, save, show

import lightconv
from lightconv.training.buffers import reuse_buffers

Candidates = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        section: heading of the table that it belongs to.
        name: what is computed, shapes in words.
        works: by name (forward, ...): a function that gives the candidates by name. It is called twice.
        wanted: by work, the ratios to torch.nn and to the best tuned torch that we set out for.
        cost: of a work: floating-point operations, and bytes read or written once, for the machine's limit.
        note: why the figures are what they are.
    """

    section: str
    name: str
    works: Mapping[str, Callable[[bool], Candidates]]
    wanted: Mapping[str, tuple[float, float]]
    cost: Callable[[str], tuple[float, float]] | None = None
    note: str = ""


def options(description: str | None) -> argparse.ArgumentParser:
    """What every benchmark can be told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="auto", choices=lightconv.functional.dispatch.BACKENDS)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--repeats", type=int, default=0, help="timings for each median")
    parser.add_argument("--quick", action="store_true", help="fewer cases and timings")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, which takes minutes to start")
    parser.add_argument("--save", type=Path, help="also write the figures there, as JSON")
    return parser


_started = time.monotonic()


def progress(text: str) -> None:
    """What was measured last: on a terminal in one line that is written over, else in a line of its own."""
    minutes, seconds = divmod(int(time.monotonic() - _started), 60)
    line = f"{minutes:3}:{seconds:02} {text}" if text else ""
    if sys.stderr.isatty():
        print("\r" + line.ljust(110)[:110] + "\r", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def run(cases: Callable[[argparse.Namespace], Iterator[Case]], parser: argparse.ArgumentParser) -> None:
    """Measure every case and print the table; what was measured so far is saved at each step."""
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    lightconv.backend(chosen.backend)
    repeats = chosen.repeats or (5 if chosen.quick else 11)
    rows: dict[tuple[str, str], Row] = {}
    for tuned in (False, True):
        if tuned and not reuse_buffers():
            break
        for case in cases(chosen):
            if chosen.only not in case.name:
                continue
            for work, candidates in case.works.items():
                torch.manual_seed(0)
                seconds = measure(candidates(tuned), repeats)
                if not tuned:
                    least = least_seconds(*case.cost(work)) if case.cost else 0.0
                    rows[case.name, work] = Row(
                        *(case.section, case.name, work, chosen.threads),
                        least=least,
                        wanted=case.wanted.get(work, (0.0, 0.0)) if chosen.threads == 1 else (0.0, 0.0),
                        note=case.note,
                    )
                row = rows[case.name, work]
                (row.tuned if tuned else row.plain).update(seconds)
                progress(f"{case.name}, {work}" + (", buffers reused" if tuned else ""))
                if chosen.save:
                    save(list(rows.values()), chosen.save)
    progress("")
    found = list(rows.values())
    print(f"{machine()}; backend {chosen.backend}; medians of {repeats}; {described()}")
    show(found)
