"""Our exports beside torch.onnx's of the same networks in torch.nn: time in onnxruntime, size of the file.

    python benchmarks/onnx_files.py [--only segnet] [--quick]

One thread. Times are medians, in turn; ratios are ours over theirs: below 1 our file is faster, or smaller. Both files
are checked to compute the same.
"""

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchvision
from paired import machine, measure
from rich.console import Console
from rich.table import Table
from torch import nn

import lightconv
from lightconv.deploy import to_onnx
from lightconv.deploy.benchmark import in_torch
from lightconv.tasks import networks


class SegNet(nn.Module):
    """Two stages down, two up, unpooling with the indices of the way down."""

    def __init__(self) -> None:
        super().__init__()

        def stage(before: int, after: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())

        self.down = nn.ModuleList([stage(3, 16), stage(16, 32)])
        self.up = nn.ModuleList([stage(32, 16), stage(16, 8)])
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = []
        for stage in self.down:
            x, indices = self.pool(stage(x))
            pooled.append(indices)
        for stage, indices in zip(self.up, reversed(pooled), strict=True):
            x = stage(self.unpool(x, indices))
        return x


class UNet(nn.Module):
    """One stage down and up, bilinear."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = (nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 8), (8, 16), (24, 2)))
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        return self.last(torch.cat([x, self.up(self.inner(self.pool(x)).relu())], 1))


def resnet() -> nn.Module:
    block = torchvision.models.resnet.BasicBlock
    return torchvision.models.ResNet(block, [1, 1, 1, 1], num_classes=10)


# name: what makes the network, the shape of a sample, batch sizes
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "mnist1d_book": (networks.mnist1d_book, (1, 40), (1, 64)),
    "mnist1d_light": (networks.mnist1d_light, (1, 40), (1, 64)),
    "mnist_book": (networks.mnist_book, (1, 28, 28), (1, 64)),
    "mnist_light": (networks.mnist_light, (1, 28, 28), (1, 64)),
    "mnist100_light": (networks.mnist100_light, (1, 28, 56), (1, 64)),
    "mnist100_original": (networks.mnist100_original, (1, 128, 128), (1, 16)),
    "segnet, 3 x 64 x 64": (SegNet, (3, 64, 64), (1, 16)),
    "u-net, 1 x 64 x 64": (UNet, (1, 64, 64), (1, 16)),
    "resnet10, 3 x 64 x 64": (resnet, (3, 64, 64), (1, 8)),
}


def theirs(module: nn.Module, x: torch.Tensor, path: Path) -> None:
    """What torch.onnx writes by itself, with an open batch."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(
            module,
            (x,),
            path,
            opset_version=20,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )


def session(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    opened = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = opened.get_inputs()[0].name
    return lambda x: opened.run(None, {name: x})[0]


def compared(only: str, repeats: int) -> Iterator[tuple[str, ...]]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        ours, other = Path(folder) / "ours.onnx", Path(folder) / "theirs.onnx"
        for name, (make, shape, batches) in CASES.items():
            if only not in name:
                continue
            torch.manual_seed(0)
            x = torch.randn(2, *shape)
            plain = in_torch(make())
            with torch.no_grad():
                plain.train()(x)  # statistics that fit the weights
            plain.eval()
            to_onnx(lightconv.convert(plain), x, ours)
            theirs(plain, x, other)
            run, run_other = session(ours), session(other)
            sizes = [path.stat().st_size for path in (ours, other)]
            cells = [name, f"{sizes[0]:,}", f"{sizes[0] / sizes[1]:.2f}"]
            for batch in batches:
                sample = torch.randn(batch, *shape).numpy()
                np.testing.assert_allclose(run(sample), run_other(sample), rtol=1e-3, atol=1e-4)
                calls = {"ours": partial(run, sample), "theirs": partial(run_other, sample)}
                found = measure(calls, repeats)
                cells += [str(batch), f"{1000 * found['ours']:.3f}", f"{found['ours'] / found['theirs']:.2f}"]
            yield tuple(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of a network's name")
    parser.add_argument("--repeats", type=int, default=0, help="timings for each median")
    parser.add_argument("--quick", action="store_true", help="fewer timings")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("network", "bytes", "ratio", "batch", "ms", "ratio", "batch", "ms", "ratio", box=None)
    for row in compared(chosen.only, chosen.repeats or (11 if chosen.quick else 31)):
        table.add_row(*row)
    console = Console()
    console.print(f"{machine()}, onnxruntime {onnxruntime.__version__}; ours / torch.onnx's")
    console.print(table)


if __name__ == "__main__":
    main()
