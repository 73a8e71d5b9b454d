"""Silencing what does not concern the user: narrowly, each message by its beginning."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_NOTES = (
    "💡 Tip:",
    "GPU available:",
    "TPU available:",
    "HPU available:",
    "Seed set to",
    "Initializing distributed: ",
    "-" * 100 + "\ndistributed_backend=",
    "Using bfloat16 Automatic Mixed Precision",
    "Using 16bit Automatic Mixed Precision",
    "Restored all states",
    "Restoring states",
    "Loaded model weights",
    "Loading `train_dataloader` to estimate",
    "\nDetected KeyboardInterrupt",
    "`Trainer.fit` stopped:",
)
_WARNINGS = (
    # torch's own, about a type that Lightning 2.6 uses
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # testing needs none of the callbacks that training had
    r"Be aware that when using `ckpt_path`, callbacks used to create the checkpoint need to be provided",
    # torchmetrics has reduced what our classifiers log
    r"It is recommended to use `self\.log\('\w+', \.\.\., sync_dist=True\)`",
    # `val_split: 0` is a choice
    r"Total length of `list` across ranks is zero",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block Lightning's tips and notes about absent hardware are not printed; other messages are."""
    loggers = [logging.getLogger(f"lightning.{name}.utilities.rank_zero") for name in ("pytorch", "fabric")]
    loggers += [logging.getLogger(f"lightning.fabric.utilities.{name}") for name in ("seed", "distributed")]
    for logger in loggers:
        logger.addFilter(_worth_telling)
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(_worth_telling)


def _worth_telling(record: logging.LogRecord) -> bool:
    return not re.sub(r"^\[rank: \d+\] ", "", record.getMessage()).startswith(_NOTES)
