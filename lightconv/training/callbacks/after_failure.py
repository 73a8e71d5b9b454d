"""Writing what there is when a run has failed."""

from collections.abc import Callable

from lightning.pytorch.utilities import rank_zero_warn


def after(failure: BaseException, write: Callable[[], None]) -> None:
    """Write although the run has failed; should that fail too, it must not hide the failure.

    Where it is the writing that had failed, once is enough to tell it.
    """
    try:
        write()
    except OSError as error:
        if not isinstance(failure, OSError):
            rank_zero_warn(str(error))
