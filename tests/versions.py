"""Which PyTorch the tests meet: where it is their yardstick, they expect what the version of `constraints.txt` does."""

import torch

TORCH = tuple(map(int, torch.__version__.split(".")[:2]))
AS_TESTED = TORCH >= (2, 14)  # held with 2.14.1, not with 2.6.0; the versions between were not at hand
