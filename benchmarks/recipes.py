"""Whole training runs: notebook 10.5's own script beside `lightconv fit --config mnist_book`, three epochs and a test.

python benchmarks/recipes.py [--threads 1] [--repeats 3] [--quick]

Both train on the same pictures by the same recipe (SGD 0.01, momentum 0.5, batch 64) and are tested once at the end;
times begin with the data in its files and end with the accuracy. Imports are not timed. Where MNIST's files are not
in $LIGHTCONV_DATA (or data/), scikit-learn's digits stand in.
"""

import contextlib
import io
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from compared import options, progress
from loading import torchvision_data
from notebooks import NETWORKS, accuracy, train
from paired import clock, machine
from results import OURS, PLAIN, Row, save, show
from torch.utils.data import DataLoader

from lightconv.cli import main as lightconv
from lightconv.data import MNISTData
from lightconv.errors import UsageError
from lightconv.tasks import MNISTClassifier

Parts = dict[str, tuple[torch.Tensor, torch.Tensor]]


def pictures() -> tuple[str, Parts]:
    """The data's variant, and its parts."""
    variant = "mnist"
    try:
        data = MNISTData(val_split=0.0, source="local")
        data.setup()
    except (UsageError, OSError, RuntimeError):
        variant = "digits"
        data = MNISTData(val_split=0.0, variant="digits")
        data.setup()
    return variant, {idx: (x[:, 0], y) for idx, (x, y) in (("train", data.part("train")), ("t10k", data.part("test")))}


def notebook(parts: Parts, epochs: int) -> float:
    """The notebook's script; returns the accuracy."""
    loader = DataLoader(torchvision_data(parts), batch_size=64, shuffle=True)
    test_loader = DataLoader(torchvision_data(parts, train=False), batch_size=64)
    model = NETWORKS["mnist_book"]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
    for _ in range(epochs):
        train(model, loader, optimizer)
    return accuracy(model, test_loader)


def ours(variant: str, epochs: int, threads: int) -> float:
    """The command, and its last checkpoint on the test set; returns the accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        arguments = ["--data.variant", variant, "--trainer.max_epochs", str(epochs), "--threads", str(threads)]
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = lightconv(["fit", "--config", "mnist_book", "--run_dir", run, *arguments])
        if status:
            raise SystemExit(said.getvalue())
        model = MNISTClassifier.load_from_checkpoint(Path(run) / "last.ckpt").eval()
        data = MNISTData(val_split=0.0, variant=variant)
        data.setup("test")
        with torch.no_grad():
            right = [(model(model.preprocess(x)).argmax(1) == y).float() for x, y in data.test_dataloader()]
        return float(torch.cat(right).mean())


def main() -> None:
    """Run both in turn."""
    chosen = options(__doc__).parse_args()
    torch.set_num_threads(chosen.threads)
    # a call of Lightning's takes the environment for its own
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    variant, parts = pictures()
    epochs = 1 if chosen.quick else 3
    candidates: dict[str, Callable[[], float]] = {
        OURS: lambda: ours(variant, epochs, chosen.threads),
        PLAIN: lambda: notebook(parts, epochs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    reached: dict[str, list[float]] = {name: [] for name in candidates}
    now = clock()
    ours("digits", 1, chosen.threads)  # what is done once only: imports, caches
    for _ in range(chosen.repeats or (1 if chosen.quick else 3)):
        for name, candidate in candidates.items():
            progress(f"{name}, {epochs} epochs")
            start = now()
            reached[name].append(candidate())
            seconds[name].append(now() - start)
    progress("")
    said = ", ".join(f"{name} {100 * statistics.median(values):.2f} %" for name, values in reached.items())
    row = Row(
        *("Whole fits", f"notebook 10.5's recipe, {epochs} epochs, {variant}", "fit and test", chosen.threads),
        plain={name: statistics.median(values) for name, values in seconds.items()},
        wanted=(4.0, 0.0) if variant == "mnist" and not chosen.quick and chosen.threads == 1 else (0.0, 0.0),
        note=f"accuracy on the test set (median of {len(reached[OURS])}): {said}",
    )
    print(f"{machine()}; medians of {len(seconds[OURS])}")
    show([row])
    if chosen.save:
        save([row], chosen.save)


if __name__ == "__main__":
    main()
