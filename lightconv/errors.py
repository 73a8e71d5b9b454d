"""The one exception of its own: somebody asked for something that cannot work."""


class UsageError(ValueError):
    """Wrong use, told in one sentence: what was expected, what came, what to do.

    The command line prints the sentence to stderr and ends with exit status 2.

    >>> raise UsageError("Expected a file, but got a folder.")
    Traceback (most recent call last):
        ...
    lightconv.errors.UsageError: Expected a file, but got a folder.
    """
