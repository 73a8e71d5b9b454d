"""Finding configurations, and checking what a parser would pass over in silence."""

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

import lightconv
from lightconv.errors import UsageError
from lightconv.tasks.own_networks import is_own
from lightconv.training.complaints import nearest

_LARGEST = 10_000  # values
_FAMILIAR = ("lightconv", "lightning", "torch", "torchmetrics")


def config_folder() -> Path:
    """Where the shipped configurations lie: inside an installed package, beside it in a checkout."""
    package = Path(lightconv.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find_config(name: str) -> Path:
    """The file of a configuration that is given as a path or by the bare name of a shipped one.

    Raises:
        UsageError: if there is no such file and no shipped configuration of that name.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    shipped = {path.stem: path for path in sorted(config_folder().glob("*.yaml"))}
    if name in shipped:
        return shipped[name]
    hint = nearest(name, shipped)
    if hint == ".":
        hint = f" ({', '.join(shipped)})."
    raise UsageError(f"Expected `--config` to name a file or a shipped configuration, but got {name!r}{hint}")


def read_yaml(path: Path) -> Any:
    """What a file of YAML holds.

    Raises:
        UsageError: if it cannot be read, or stands for more values than a configuration has.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        size = _size(config, {})
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise UsageError(f"Expected a configuration in YAML, but {str(path)!r} cannot be read{line}.") from error
    if size > _LARGEST:
        raise UsageError(f"Expected a configuration of at most {_LARGEST:,} values, but {str(path)!r} has more.")
    return config


def check_config(path: Path, sections: Collection[str], options: Collection[str]) -> list[str]:
    """Make sure that a file is YAML, a mapping, and has only known keys on its first level.

    Args:
        path: of the file.
        sections: keys whose values are mappings.
        options: keys whose values are checked elsewhere.

    Returns:
        the classes and networks it names that come neither with lightconv nor with what it is built on: their code
        will run.

    Raises:
        UsageError: if not.
    """
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise UsageError(f"Expected a configuration with keys and values, but {str(path)!r} holds none.")
    for key, value in config.items():
        if key not in sections and key not in options:
            raise UsageError(
                f"Expected the keys of {str(path)!r} to be among {', '.join(sorted({*sections, *options}))}, "
                f"but got `{key}`{nearest(str(key), {*sections, *options})}"
            )
        if key in sections and not isinstance(value, dict):
            raise UsageError(f"Expected `{key}` in {str(path)!r} to hold keys and values, but got {value!r}.")
    classes = [name for name in _values(config, "class_path") if "." in name]
    foreign = [name for name in classes if name.partition(".")[0] not in _FAMILIAR]
    return foreign + [name for name in _values(config, "network") if is_own(name)]


def _size(thing: Any, known: dict[int, float]) -> float:
    """Values in a thing; what YAML says once and names in many places counts as often, within itself for ever."""
    if not isinstance(thing, dict | list):
        return 1
    if id(thing) not in known:
        known[id(thing)] = math.inf
        parts = thing.values() if isinstance(thing, dict) else thing
        known[id(thing)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(thing)]


def _values(config: Any, key: str) -> Iterator[str]:
    """Texts that are the value of a key, wherever it stands."""
    waiting = [config]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, list):
            waiting += thing
        elif isinstance(thing, dict):
            waiting += thing.values()
            if isinstance(name := thing.get(key), str):
                yield name


def config_arguments(arguments: list[str]) -> tuple[list[str], list[Path]]:
    """Command-line arguments with the values of ``--config`` (or ``-c``) replaced by paths, and those paths.

    Raises:
        UsageError: if there is no such configuration, or the arguments begin with what is no option.
    """
    if arguments and not arguments[0].startswith("-"):
        raise UsageError(
            f"Expected options, but got {arguments[0]!r}; name a configuration with `--config`, for example "
            "`--config mnist1d`."
        )
    replaced, paths = list(arguments), []
    for i, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option not in ("--config", "-c") or not (equals or i + 1 < len(arguments)):
            continue
        paths.append(find_config(value if equals else arguments[i + 1]))
        replaced[i if equals else i + 1] = f"{option}={paths[-1]}" if equals else str(paths[-1])
    return replaced, paths
