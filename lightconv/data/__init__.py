"""LightningDataModules that keep a whole data set in memory, and what they share."""

from lightconv.data.loader import BatchLoader
from lightconv.data.mnist1d import MNIST1DData, generate
from lightconv.data.module import InMemoryData
from lightconv.data.scoring import score

__all__ = ["BatchLoader", "InMemoryData", "MNIST1DData", "generate", "score"]
