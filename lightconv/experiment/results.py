"""The results of trainings, one JSON file each, in the folder of an experiment."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightconv.errors import UsageError
from lightconv.experiment.plan import Options, Part, Plan, Run, slug
from lightconv.files import Unwritable, beside
from lightconv.tasks.loading import BEST

NETWORKS = "networks.json"


@dataclass(frozen=True)
class Training:
    """A run with one of its seeds."""

    part: Part
    run: Run
    seed: int
    settings: Options

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.run.name}, seed {self.seed}"

    @property
    def file_name(self) -> str:
        """For its files and folders."""
        return f"{self.part.name}-{slug(self.run.name)}-{self.seed}"


def trainings(plan: Plan) -> list[Training]:
    """All different trainings of a plan: part by part, and within a part first every run's first seed.

    What two parts have in common is trained once.
    """
    found: dict[str, Training] = {}
    for part in plan.parts:
        for turn in range(max(len(run.seeds) for run in part.runs)):
            for run in part.runs:
                if turn < len(run.seeds):
                    training = Training(part, run, run.seeds[turn], run.settings(run.seeds[turn]))
                    found.setdefault(_key(training.settings), training)
    return list(found.values())


class Results:
    """The folder of an experiment.

    ``results/*.json`` are the finished trainings, ``runs/*`` the folders in which ``fit`` works.

    Args:
        folder: it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make sure that the folder can be written.

        Raises:
            UsageError: if not.
        """
        try:
            with beside(self.folder / "results" / ".writable"):
                pass
        except Unwritable as error:
            raise UsageError(
                f"Expected a folder that can be written, but got '{self.folder}' ({error.reason}); name another with "
                "`--run_dir`."
            ) from error
        (self.folder / "results" / ".writable").unlink(missing_ok=True)

    def run_folder(self, training: Training) -> Path:
        """Where ``fit`` works."""
        return self.folder / "runs" / training.file_name

    def finished(self, training: Training) -> dict[str, Any] | None:
        """The result of a training, if there is one that was made with these settings, under whatever name."""
        found = read_json(self._path(training))
        if found and found.get("settings") == _plain(training.settings):
            return dict(found)
        _, found = self._by_settings().get(_key(training.settings), (None, None))
        return found

    def begin(self, training: Training) -> tuple[bool, str | None]:
        """Get ready for a training that is not finished.

        Returns:
            whether what lies in its folder was begun with these settings, so that it can go on; and, if there is a
            result of other settings, which is set aside, what differs.
        """
        path, difference = self._path(training), None
        if found := read_json(path):
            difference = _difference(found.get("settings", {}), _plain(training.settings))
            number = 1
            while (aside := path.with_name(f"{path.stem}.earlier-{number}")).exists():
                number += 1
            path.rename(aside)
        begun = self.run_folder(training) / "settings.json"
        same = read_json(begun) == _plain(training.settings)
        if not same:
            write_json(begun, training.settings)
        return same, difference

    def finish(self, training: Training, result: dict[str, Any]) -> None:
        """Keep a result."""
        write_json(self._path(training), {"name": training.name, "settings": training.settings, **result})

    def folders(self, run: Run) -> list[Path]:
        """The folders of a run's finished trainings, as far as they hold what was trained."""
        wanted = {_key(run.settings(seed)) for seed in run.seeds}
        found = [path for key, (path, _) in self._by_settings().items() if key in wanted]
        folders = [self.folder / "runs" / path.stem for path in sorted(found)]
        return [folder for folder in folders if (folder / BEST).is_file()]

    def of(self, run: Run) -> Iterator[dict[str, Any]]:
        """The finished trainings of a run, whichever part they were made for."""
        everything = self._by_settings()
        for seed in run.seeds:
            if found := everything.get(_key(run.settings(seed))):
                yield found[1]

    def _by_settings(self) -> dict[str, tuple[Path, dict[str, Any]]]:
        paths = sorted((self.folder / "results").glob("*.json"))
        found = [(path, content) for path in paths if (content := read_json(path)) and "settings" in content]
        return {_key(content["settings"]): (path, content) for path, content in found}

    def _path(self, training: Training) -> Path:
        return self.folder / "results" / f"{training.file_name}.json"


def read_json(path: Path) -> Any:
    """The content of a file, or None if there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: Any) -> None:
    """Write a file that appears whole; what is not a number becomes null."""
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    with beside(path) as file:
        file.write(text.encode())


def _finite(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {str(key): _finite(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_finite(value) for value in thing]
    return None if isinstance(thing, float) and not math.isfinite(thing) else thing


def _plain(settings: Options) -> Any:
    """Settings as they are after a way through JSON."""
    return json.loads(json.dumps(settings))


def _key(settings: Options) -> str:
    return json.dumps(settings, sort_keys=True)


def _difference(before: Options, after: Options) -> str:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return ", ".join(f"`{name}` {before.get(name)} is now {after.get(name)}" for name in names)
