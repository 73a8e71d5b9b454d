"""Wrong use: the exception for it, and the parser of a command's arguments that raises it."""

import argparse
import difflib
import re
from typing import NoReturn


class UsageError(ValueError):
    """Wrong use, told in one sentence: what was expected, what came, what to do.

    The command line prints the sentence to stderr and ends with exit status 2.

    >>> raise UsageError("Expected a file, but got a folder.")
    Traceback (most recent call last):
        ...
    lightconv.errors.UsageError: Expected a file, but got a folder.
    """


def printable(text: str) -> str:
    """The text with an escape for each character that a terminal would obey.

    >>> printable("a\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Parser(argparse.ArgumentParser):
    """A command's arguments, whose faults are a :class:`UsageError`."""

    def error(self, message: str) -> NoReturn:
        """Raise, in place of printing and leaving."""
        known = [option for action in self._actions for option in action.option_strings]
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        near = difflib.get_close_matches(unknown[1], known, n=1) if unknown else []
        meant = f"; did you mean `{near[0]}`?" if near else f"; try `{self.prog} --help`."
        raise UsageError(f"{message}{meant}")
