"""``lightconv experiment``."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lightconv.errors import Parser, UsageError


def experiment(arguments: Sequence[str]) -> None:
    """Train the networks of an experiment with several seeds, and write its report.

    Raises:
        UsageError: if the arguments or the configuration are wrong.
        KeyboardInterrupt: if the user interrupted; the same command goes on.
    """
    parser = Parser(
        prog="lightconv experiment",
        description="Train the networks of an experiment with several seeds and write report.html and report.md. "
        "The same command goes on where an interrupted one stopped.",
        epilog="Any option of `lightconv fit` by its full name, such as --data.variant digits or "
        "--trainer.max_epochs 1, overrides that of all runs.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", required=True, metavar="NAME", help="a file, or a shipped name: experiment_mnist100"
    )
    parser.add_argument("--quick", action="store_true", help="the short form, in minutes; the report says what differs")
    parser.add_argument("--run_dir", metavar="FOLDER", help="default: runs/NAME, or runs/NAME-quick")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="S", help="for all runs, instead of their own")
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="runs whose name fits, e.g. 'v2*'")
    parser.add_argument("--threads", type=int, metavar="T", help="processor threads (default: the configuration's)")
    parser.add_argument("--report_only", action="store_true", help="train nothing, report what is finished")
    given, rest = parser.parse_known_args(list(arguments))
    options = _fit_options(rest)
    if any(seed < 0 for seed in given.seeds or []):
        raise UsageError(f"Expected `--seeds` to be 0 or more, but got {' '.join(map(str, given.seeds))}.")
    if given.threads is not None and given.threads < 1:
        raise UsageError(f"Expected `--threads` to be a positive integer, but got {given.threads}.")

    from rich.console import Console

    from lightconv.experiment.plan import read_plan
    from lightconv.experiment.report import write_report
    from lightconv.experiment.results import Results
    from lightconv.experiment.runner import run

    plan = read_plan(
        given.config,
        quick=given.quick,
        seeds=given.seeds,
        only=given.only,
        options=options,
        threads=given.threads,
    )
    folder = Path(given.run_dir or f"runs/{plan.name}{'-quick' if given.quick else ''}").expanduser()
    results = Results(folder)
    results.prepare()
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    try:
        if not given.report_only:
            run(plan, results, console)
    except KeyboardInterrupt:
        console.print("Interrupted; the same command goes on, and with --report_only reports what is finished.")
        raise
    command = shlex.join(["lightconv", "experiment", *arguments])
    write_report(plan, results, command, console)


def _fit_options(rest: list[str]) -> dict[str, Any]:
    """``--data.variant digits --model.network=v2`` as a mapping."""
    options: dict[str, Any] = {}
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--") or "." not in name:
            raise UsageError(f"Expected an option that there is, but got {name!r}; try `lightconv experiment --help`.")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UsageError(f"Expected a value after `{name}`.")
            value = rest.pop(0)
        options[name[2:]] = yaml.safe_load(value)
    return options
