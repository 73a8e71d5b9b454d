"""Training with Lightning: the command-line program, its run folders, and callbacks for any Trainer."""

from lightconv.training.callbacks import BestAndLast, Curves, EpochSeed, MetricsFile, Progress

__all__ = ["BestAndLast", "Curves", "EpochSeed", "MetricsFile", "Progress"]
