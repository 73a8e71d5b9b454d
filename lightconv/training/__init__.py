"""Training with Lightning: the command-line program, its run folders, and callbacks for any Trainer."""

from lightconv.training.callbacks import BestAndLast, Curves, EpochSeed, ExportONNX, MetricsFile, Progress
from lightconv.training.memory import MemoryBudget, MemorySummary

__all__ = [
    "BestAndLast",
    "Curves",
    "EpochSeed",
    "ExportONNX",
    "MemoryBudget",
    "MemorySummary",
    "MetricsFile",
    "Progress",
]
