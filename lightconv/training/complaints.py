"""jsonargparse's and Lightning's complaints about a configuration, each in one sentence."""

import difflib
import re
from collections.abc import Iterable

_KINDS = {
    "<class 'int'>": "an integer",
    "<class 'float'>": "a number",
    "<class 'bool'>": "true or false",
    "<class 'str'>": "a text",
    "<class 'NoneType'>": "null",
    "PositiveInt": "a positive integer",
}


def sentence(message: str, options: Iterable[str] = ()) -> str:
    """One sentence for a message of several lines.

    Args:
        message: the text of the exception.
        options: the names that are known, to find the one that was meant.

    >>> sentence('Parser key "trainer.max_epochs":\\n  Expected a <class \\'int\\'>. Got value: many')
    'Expected `trainer.max_epochs` to be an integer, but got many.'
    """
    for reader in (_already_one, _missing, _unknown_option, _unknown_class, _not_importable, _no_class, _wrong_value):
        if found := reader(message, list(options)):
            return found
    text = " ".join(message.split())
    return text if len(text) <= 300 else f"{text[:297]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """``"; did you mean `x`?"`` if something like ``name`` is known, else a full stop."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else "."


def _already_one(message: str, options: list[str]) -> str | None:
    ours = re.search(r"^\s*(?:- )?(Expected (?:`|some|a folder).*)$", message, re.MULTILINE)
    return ours.group(1) if ours else None


def _unknown_option(message: str, options: list[str]) -> str | None:
    if found := re.search(r"Option '([^']+)' is not accepted", message):
        section = _key(message)
        there = [option.removeprefix(f"{section}.") for option in options if option.startswith(f"{section}.")]
        near = difflib.get_close_matches(found[1], there, n=1)
        hint = f"did you mean `{section}.{near[0]}`?" if near else "`--print_config` shows those that there are."
        return f"Expected an option that `{section}` has, but got `{section}.{found[1]}`; {hint}"
    found = re.search(r"does not accept option '([^']+)'", message) or re.search(
        r"nrecognized arguments: (?:--)?([^\s=]+)", message
    )
    return f"Expected an option that there is, but got `{found[1]}`{nearest(found[1], options)}" if found else None


# Without a class jsonargparse takes the base, which has few of the options.
_BASE = re.compile(
    r"""Parser key "(model|data)":(?s:.*)class_path 'lightconv\.(?:tasks\.Classifier|data\.InMemoryData)'"""
)


def _missing(message: str, options: list[str]) -> str | None:
    found = re.search(r"arguments are required: (?:\w+\.)?(\w+)", message) or _BASE.search(message)
    return (
        f"Expected `{found.group(1)}` to be given; name a configuration with `--config`, for example "
        "`--config mnist1d`."
        if found
        else None
    )


def _unknown_class(message: str, options: list[str]) -> str | None:
    found = re.search(r"Expected a dot import path string: (\S+)", message) or re.search(
        r"[Uu]nexpected import path (?:format|string)?:? ?(\S+)", message
    )
    return f"Expected `{_key(message)}` to be the name of a class, but got {found.group(1)}." if found else None


def _not_importable(message: str, options: list[str]) -> str | None:
    found = re.search(r"Expected a path but (\w+(?:\.\w+)+) either not accessible", message)
    key = _key(message)
    if not found or key not in ("model", "data"):
        return None
    return (
        f"Expected `{key}` to be the name of a class, but {found.group(1)} cannot be imported; a file in this folder "
        "can with `PYTHONPATH=.` before the command."
    )


def _no_class(message: str, options: list[str]) -> str | None:
    key = _key(message)
    wrong = re.search(r"Not a valid subclass|not correspond to a subclass|has no attribute 'keys'", message)
    if not wrong or key not in ("model", "data"):
        return None
    return (
        f"Expected `{key}` to hold `class_path`, the name of a fitting class, and `init_args`, its options, "
        f"but got {_given(message)}."
    )


def _wrong_value(message: str, options: list[str]) -> str | None:
    key = _key(message)
    kinds = re.findall(r"(?:Expected a|Not of type) (<class '\w+'>|typing\.Literal\[[^\]]*\]|\w+)", message)
    if not (key and kinds):
        return None
    if "Problem with given class_path" in message:
        # The section's own alternative, null, is not what the option could be.
        kinds = [kind for kind in kinds if "NoneType" not in kind] or kinds
    words = " or ".join(dict.fromkeys(_words(kind) for kind in kinds))
    return f"Expected `{key}` to be {words}, but got {_given(message)}."


def _given(message: str) -> str:
    given = re.findall(r"(?:Got|Given) value: (.*)", message)
    text = given[0] if given else "something else"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _key(message: str) -> str:
    return ".".join(re.findall(r'Parser key "([^"]+)"', message))


def _words(kind: str) -> str:
    if kind.startswith("typing.Literal"):
        return "one of " + ", ".join(re.findall(r"'([^']*)'", kind))
    return _KINDS.get(kind, kind)
