"""Memory of a training step: predicted, measured, and kept within a budget."""

from lightconv.training.memory.budget import MemoryBudget
from lightconv.training.memory.live import LiveBytes
from lightconv.training.memory.measure import measured_peak
from lightconv.training.memory.predict import Peak, predict_peak
from lightconv.training.memory.summary import MemorySummary

__all__ = ["LiveBytes", "MemoryBudget", "MemorySummary", "Peak", "measured_peak", "predict_peak"]
