"""What an experiment consists of, read from its configuration."""

import fnmatch
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightconv.errors import UsageError
from lightconv.training.complaints import nearest
from lightconv.training.configs import find_config, read_yaml

Options = dict[str, Any]

_PLAN_KEYS = ("title", "text", "seeds", "threads", "quick", "parts")
_PART_KEYS = ("name", "title", "text", "runs", "each", "closer", "against", "references")
_QUICK_KEYS = ("seeds", "only")
_RUN_KEYS = ("config", "seeds", "teachers")
_REFERENCE_KEYS = ("accuracy", "parameters")
# They say where a run computes and keeps its files, not what it computes.
_NOT_SETTINGS = ("threads", "data.root", "run_dir")


@dataclass(frozen=True)
class Run:
    """One training: a configuration of ``fit``, and what differs from it.

    Attributes:
        name: among the runs of its part, for instance ``"v2, 10 %"``.
        row: what is trained, ``"v2"``.
        level: the step of a sweep, ``"10 %"``, or None.
        config: name or path of the configuration.
        options: options of ``fit`` that differ from it, by their full names.
        seeds: as many trainings as there are.
        teachers: the run of an earlier part whose trainings teach this one's, or None.
    """

    name: str
    row: str
    level: str | None
    config: str
    options: Options
    seeds: tuple[int, ...]
    teachers: "Run | None" = None

    def arguments(self, seed: int) -> list[str]:
        """The arguments of ``lightconv fit`` that repeat it."""
        options = {**self.options, "seed_everything": seed}
        options.setdefault("data.seed", seed)
        return ["--config", self.config, *(f"--{name}={_text(value)}" for name, value in options.items())]

    def settings(self, seed: int) -> Options:
        """Everything that decides the outcome, by the options' full names."""
        settings = {**_flat(find_config(self.config)), "data.seed": seed, **self.options, "seed_everything": seed}
        if self.teachers is not None:
            settings["model.teachers"] = [self.teachers.settings(seed) for seed in self.teachers.seeds]
        return {name: value for name, value in sorted(settings.items()) if name not in _NOT_SETTINGS}


@dataclass(frozen=True)
class Part:
    """A question and the runs that answer it: a table and some pictures in the report.

    Attributes:
        name: short, for file names.
        title: for people.
        text: what is asked, in the report below the title.
        runs: in the order of the table.
        closer: names of the runs whose mistakes are shown.
        against: the row that the others are compared with, at the same level where there are levels.
        references: published results to compare with: name to ``{"accuracy": ..., "parameters": ...}``.
    """

    name: str
    title: str
    text: str
    runs: tuple[Run, ...]
    closer: tuple[str, ...] = ()
    against: str | None = None
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """An experiment.

    Attributes:
        name: of the configuration.
        title: for people.
        text: what it is about.
        threads: processor threads for all runs.
        parts: in the report's order.
        quick: whether this is the quick form.
        differences: what the quick form, or an option that was given, changes, in sentences.
        left_out: names of the runs that the quick form leaves out.
    """

    name: str
    title: str
    text: str
    threads: int | None
    parts: tuple[Part, ...]
    quick: bool = False
    differences: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read_plan(
    config: str,
    *,
    quick: bool = False,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    options: Options | None = None,
    threads: int | None = None,
) -> Plan:
    """Read an experiment's configuration.

    Args:
        config: its path, or the bare name of a shipped one.
        quick: whether to take the quick form, if it has one.
        seeds: instead of its own, for all runs.
        only: patterns like ``"v2*"``; of the runs those whose name fits one of them.
        options: options of ``fit``, by their full names, that override every run's own.
        threads: instead of its own.

    Raises:
        UsageError: if there is no such configuration or something in it is wrong.
    """
    path = find_config(config)
    content = _mapping(read_yaml(path), f"'{path}'", _PLAN_KEYS, required=("title", "parts"))
    short = _mapping(content.get("quick", {}), "`quick`", _QUICK_KEYS, dotted=True)
    if quick and not short:
        raise UsageError(f"Expected a configuration with a quick form, but '{path}' has no `quick`.")
    if not quick:
        short = {}
    override = {key: value for key, value in short.items() if "." in key} | dict(options or {})
    differences = [f"`{key}` is {_text(value)} in all runs" for key, value in override.items()]
    chosen = tuple(seeds or ())
    if "seeds" in short and not chosen:
        chosen = _seeds(short["seeds"], "quick.seeds")
        differences.insert(0, f"seeds {', '.join(map(str, chosen))} only")
    all_seeds = _seeds(content.get("seeds", [1]), "seeds")
    parts, left_out = [], []
    earlier: dict[str, Run] = {}
    for number, entry in enumerate(content["parts"] if isinstance(content["parts"], list) else [None]):
        part = _part(entry, f"`parts[{number}]`", all_seeds, earlier)
        runs = [replace(run, options={**run.options, **override}, seeds=chosen or run.seeds) for run in part.runs]
        earlier = {run.name: run for run in runs} | earlier
        asked = [run for run in runs if _fits(run.name, only)]
        kept = [run for run in asked if _fits(run.name, short.get("only"))]
        left_out += [run.name for run in asked if run not in kept]
        if kept:
            closer = tuple(name for name in part.closer if any(name == run.name for run in kept))
            parts.append(replace(part, runs=tuple(kept), closer=closer))
    if not parts:
        raise UsageError(f"Expected `--only` to leave some runs, but none fits {' '.join(only or [])}.")
    names = [part.name for part in parts]
    if len({*names}) < len(names):
        raise UsageError(f"Expected the parts of '{path}' to have different names, but got {', '.join(names)}.")
    if left_out:
        count = len(left_out) + sum(len(part.runs) for part in parts)
        differences.append(f"{len(left_out)} of {count} runs are left out")
    chosen_threads = threads if threads is not None else content.get("threads")
    if chosen_threads is not None and (not isinstance(chosen_threads, int) or chosen_threads < 1):
        raise UsageError(f"Expected `threads` to be a positive integer, but got {chosen_threads!r}.")
    title, text = str(content["title"]), str(content.get("text", "")).strip()
    return Plan(path.stem, title, text, chosen_threads, tuple(parts), quick, tuple(differences), tuple(left_out))


def slug(text: str) -> str:
    """A text as part of a file name.

    >>> slug("v2, 10 %")
    'v2-10'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def _part(entry: Any, where: str, seeds: tuple[int, ...], earlier: Mapping[str, Run]) -> Part:
    entry = _mapping(entry, where, _PART_KEYS, required=("name", "title", "runs"))
    runs = _mapping(entry["runs"], f"`runs` of {where}")
    each = _mapping(entry.get("each", {}), f"`each` of {where}")
    made: list[Run] = []
    for row, options in runs.items():
        levels: list[tuple[Any, Any]] = list(each.items()) or [(None, {})]
        for level, more in levels:
            name = f"{row}, {level}" if level is not None else str(row)
            merged = {**_run(options, row, where), **_run(more, level, where)}
            if "config" not in merged:
                raise UsageError(f"Expected `config` in run {name!r} of {where}, but there is none.")
            chosen = _seeds(merged.pop("seeds"), f"seeds of {name}") if "seeds" in merged else seeds
            config = str(merged.pop("config"))
            find_config(config)
            teachers = merged.pop("teachers", None)
            if teachers is not None and teachers not in earlier:
                raise UsageError(
                    f"Expected `teachers` of {name!r} in {where} to name a run of an earlier part, but got "
                    f"{teachers!r}{nearest(str(teachers), list(earlier))}"
                )
            taught = None if teachers is None else earlier[teachers]
            made.append(Run(name, str(row), None if level is None else str(level), config, merged, chosen, taught))
    names = [run.name for run in made]
    closer = entry.get("closer", [])
    for name in closer if isinstance(closer, list) else [closer]:
        if name not in names:
            raise UsageError(f"Expected `closer` of {where} to name its runs, but got {name!r}{nearest(name, names)}")
    against = entry.get("against")
    if against is not None and against not in runs:
        hint = nearest(str(against), list(runs))
        raise UsageError(f"Expected `against` of {where} to name one of its runs, but got {against!r}{hint}")
    references = _mapping(entry.get("references", {}), f"`references` of {where}")
    for name, reference in references.items():
        _mapping(reference, f"reference {name!r} of {where}", _REFERENCE_KEYS, required=("accuracy",))
    text = str(entry.get("text", "")).strip()
    return Part(slug(str(entry["name"])), str(entry["title"]), text, tuple(made), tuple(closer), against, references)


def _run(options: Any, name: Any, where: str) -> Options:
    return dict(_mapping(options, f"{str(name)!r} of {where}", _RUN_KEYS, dotted=True))


def _mapping(
    value: Any, where: str, known: Sequence[str] | None = None, required: Sequence[str] = (), dotted: bool = False
) -> dict[str, Any]:
    """The value, if it is a mapping whose keys are known (or, if so said, options with a dot in their names)."""
    if not isinstance(value, dict):
        raise UsageError(f"Expected {where} to hold keys and values, but got {value!r}.")
    for key in value:
        if known is None or key in known or (dotted and "." in str(key)):
            continue
        more = " and options of `fit` such as `trainer.max_epochs`" if dotted else ""
        raise UsageError(
            f"Expected {where} to hold {', '.join(known)}{more}, but got `{key}`{nearest(str(key), known)}"
        )
    for key in required:
        if key not in value:
            raise UsageError(f"Expected {where} to hold `{key}`, but there is none.")
    return value


def _seeds(value: Any, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(type(seed) is int and seed >= 0 for seed in value):
        raise UsageError(f"Expected `{where}` to be a list of integers, 0 or more, but got {value!r}.")
    return tuple(dict.fromkeys(value))


def _fits(name: str, patterns: Sequence[str] | None) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _flat(path: Path) -> Options:
    """A configuration of ``fit`` by the full names of its options."""
    flat: Options = {}
    for section, value in _mapping(read_yaml(path), f"'{path}'").items():
        if isinstance(value, dict) and "class_path" in value:
            flat[section] = value["class_path"]
            flat |= {f"{section}.{name}": option for name, option in (value.get("init_args") or {}).items()}
        elif isinstance(value, dict):
            flat |= {f"{section}.{name}": option for name, option in value.items()}
        else:
            flat[section] = value
    return flat


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)
