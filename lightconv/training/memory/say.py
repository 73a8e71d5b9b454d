"""Telling the user something while a progress bar may be running."""

from lightning.pytorch import Trainer


def say(trainer: Trainer, text: str) -> None:
    """Print on the first process, above the bar."""
    if not trainer.is_global_zero:
        return
    bar = trainer.progress_bar_callback
    if bar is None:
        print(text, flush=True)
    else:
        bar.print(text)
