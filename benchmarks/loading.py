"""Time a pass over 60,000 pictures, normalised, in batches of 64: ours beside torchvision's loader of the notebook.

The pictures are random bytes, so that no download is needed; what they show does not change the time.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from paired import machine, measure
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from lightconv.data import Augmentation, BatchLoader

MEAN, STD = 0.1307, 0.3081


def torchvision_data(parts: dict[str, tuple[torch.Tensor, torch.Tensor]], train: bool = True) -> MNIST:
    """Notebook 10.5's data set of the given pictures: a PIL image, ToTensor and Normalize for each."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for part, (pictures, labels) in parts.items():
            for name, array in (("images-idx3", pictures), ("labels-idx1", labels)):
                sizes = np.array(array.shape, ">u4").tobytes()
                content = bytes((0, 0, 8, array.dim())) + sizes + array.to(torch.uint8).numpy().tobytes()
                (raw / f"{part}-{name}-ubyte").write_bytes(content)
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
        return MNIST(folder, train=train, transform=transform)


def torchvision_loader(pictures: torch.Tensor, labels: torch.Tensor, workers: int = 0) -> DataLoader:
    """Batches of it, collated sample by sample."""
    data = torchvision_data(dict.fromkeys(("train", "t10k"), (pictures, labels)))
    return DataLoader(data, batch_size=64, shuffle=True, num_workers=workers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60_000, help="pictures a pass")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="also time torchvision's loader with so many processes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (arguments.count, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (arguments.count,), dtype=torch.uint8, generator=generator)
    ours = BatchLoader(pictures[:, None], labels.long(), batch_size=64, shuffle=True)
    theirs = torchvision_loader(pictures, labels)

    def normalised(x: torch.Tensor) -> torch.Tensor:
        return (x.to(torch.float32) - 255 * MEAN) / (255 * STD)

    first = theirs.dataset[0][0]
    torch.testing.assert_close(normalised(pictures[:1]), first)

    def pass_over_ours(augment: Augmentation | None = None) -> int:
        random = np.random.default_rng(0)
        return sum(len(normalised(augment(x, random) if augment else x)) for x, _ in ours)

    candidates = {
        "lightconv": pass_over_ours,
        "lightconv, shift 2": lambda: pass_over_ours(Augmentation(shift=2)),
        "lightconv, shift 2, rotation 10, scaling 0.1": lambda: pass_over_ours(Augmentation(2, 10, 0.1)),
        "torchvision": lambda: sum(len(x) for x, _ in theirs),
    }
    if arguments.workers:
        several = torchvision_loader(pictures, labels, arguments.workers)
        candidates[f"torchvision, {arguments.workers} workers"] = lambda: sum(len(x) for x, _ in several)
    assert {name: one_pass() for name, one_pass in candidates.items()} == dict.fromkeys(candidates, arguments.count)
    seconds = measure(candidates, arguments.repeats)
    print(machine())
    print(f"{arguments.count:,} pictures, normalised, batches of 64; median of {arguments.repeats} passes")
    for name, value in seconds.items():
        print(f"{name:45} {value:8.3f} s   {seconds['torchvision'] / value:6.1f} times torchvision's speed")


if __name__ == "__main__":
    main()
