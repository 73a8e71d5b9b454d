"""LightningDataModules that keep a whole data set in memory, and what they share."""

from lightconv.data.added_noise import AddedNoise
from lightconv.data.augmentation import Augmentation
from lightconv.data.loader import BatchLoader
from lightconv.data.mnist import MNISTData
from lightconv.data.mnist1d import MNIST1DData, generate
from lightconv.data.mnist100 import MNIST100Data
from lightconv.data.module import InMemoryData
from lightconv.data.scoring import score

__all__ = [
    "AddedNoise",
    "Augmentation",
    "BatchLoader",
    "InMemoryData",
    "MNIST1DData",
    "MNIST100Data",
    "MNISTData",
    "generate",
    "score",
]
