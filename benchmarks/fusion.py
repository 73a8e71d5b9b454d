"""What `lightconv.fuse` saves on three small stacks, with torch.nn's layers and with ours: counted, measured in turn.

python benchmarks/fusion.py
"""

import torch

import lightconv
from lightconv import nn
from lightconv.surgery import Fusion


def normalised() -> tuple[nn.Module, torch.Tensor]:
    """Three convolutions, each with batch normalisation."""
    layers = [(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()) for _ in range(3)]
    return nn.Sequential(*(layer for three in layers for layer in three)), torch.randn(8, 16, 32, 32)


def linear() -> tuple[nn.Module, torch.Tensor]:
    """A wide layer in between, and average pooling at the end."""
    layers = (nn.Conv2d(16, 64, 1, bias=False), nn.Conv2d(64, 16, 3, padding=1), nn.ReLU())
    return nn.Sequential(*layers, nn.Conv2d(16, 16, 3), nn.AvgPool2d(2)), torch.randn(8, 16, 32, 32)


def blocks() -> tuple[nn.Module, torch.Tensor]:
    """The convolutions of notebook 10.5."""
    first = (nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU())
    return nn.Sequential(*first, nn.Conv2d(10, 20, 5), nn.Dropout2d(), nn.MaxPool2d(2), nn.ReLU()), torch.randn(
        64, 1, 28, 28
    )


def main() -> None:
    """Print one row for each stack."""
    torch.set_num_threads(1)
    print("| stack | layers | operations | parameters | bytes moved | ms |\n|---|---|---|---|---|---|")
    for build in (normalised, linear, blocks):
        for name, change in (("torch.nn", lightconv.revert), ("ours", lightconv.convert)):
            torch.manual_seed(0)
            model, x = build()
            found: list[Fusion] = []
            lightconv.fuse(change(model.eval(), report=lambda summary: None), x, report=found.append)
            before, after, ms = found[0].before, found[0].after, found[0].milliseconds
            assert ms is not None
            pairs = ((getattr(c, k) for c in (before, after)) for k in ("operations", "parameters", "moved"))
            counts = " | ".join("{:,} → {:,}".format(*pair) for pair in pairs)
            print(f"| {build.__name__} | {name} | {counts} | {ms[0]:.2f} → {ms[1]:.2f} |")


if __name__ == "__main__":
    main()
