"""LightningModules for the classification tasks, and the way back from a checkpoint."""

from lightconv.tasks.classifier import Classifier
from lightconv.tasks.loading import load
from lightconv.tasks.mnist import MNISTClassifier
from lightconv.tasks.mnist1d import MNIST1DClassifier
from lightconv.tasks.mnist100 import MNIST100Classifier

__all__ = ["Classifier", "MNIST1DClassifier", "MNIST100Classifier", "MNISTClassifier", "load"]
