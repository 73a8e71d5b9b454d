"""Looking for networks and recipes: trains variations of a setting and judges them without the test set.

``python -m lightconv.experiment.search docs/search/NAME.yaml`` trains each variation with each seed, adds a row
to ``docs/search/NAME.csv`` as soon as it is known, and prints the table. What has its row already is not trained
again.

What judges is held out of the training data: the last sixth of the training digits, alone or composed to numbers,
so that no digit of a judging picture has been trained on; for MNIST-1D signals that are generated with a seed of
their own. Neither is any set that `lightconv.data.scoring` scores.
"""

import csv
import inspect
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything

from lightconv.data import MNIST1DData, MNIST100Data, MNISTData
from lightconv.data.cache import Arrays
from lightconv.data.mnist1d import generate
from lightconv.data.pairs import compose_pairs
from lightconv.data.scoring import accuracy
from lightconv.errors import Parser, UsageError
from lightconv.tasks import Classifier, MNIST1DClassifier, MNIST100Classifier, MNISTClassifier
from lightconv.training.complaints import nearest
from lightconv.training.quiet import quiet

SIGNALS, SIGNALS_SEED = 10_000, 7
PAIRS_SEED = 200
KEYS = ("task", "seeds", "setting", "variations")
COLUMNS = ("variation", "seed", "parameters", "epochs", "accuracy", "loss", "seconds")
RECIPE = (
    "network",
    "network_options",
    "optimizer",
    "learning_rate",
    "momentum",
    "weight_decay",
    "schedule",
    "label_smoothing",
)


class HeldOutDigits(MNISTData):
    """MNIST with the last sixth of its training pictures in the test set's place."""

    def load(self) -> Arrays:
        """All pictures and labels."""
        return _held_out_digits(str(self.root), self.variant, self.source)


class HeldOutPairs(MNIST100Data):
    """MNIST-100 composed of the digits of `HeldOutDigits`: those that judge stand in no training picture."""

    def load(self) -> Arrays:
        """All pictures and labels."""
        return _held_out_pairs(str(self.root), self.variant)


class HeldOutSignals(MNIST1DData):
    """MNIST-1D with freshly generated signals in the test set's place."""

    def load(self) -> Arrays:
        """All signals and labels."""
        x, y = generate(SIGNALS, SIGNALS_SEED)
        return {**super().load(), "x_test": x.numpy(), "y_test": y.numpy()}


@cache
def _held_out_digits(root: str, variant: Any, source: Any) -> Arrays:
    arrays = MNISTData(root, variant=variant, source=source).load()
    x, y = arrays["x_train"], arrays["y_train"]
    cut = len(y) - len(y) // 6
    return {"x_train": x[:cut], "y_train": y[:cut], "x_test": x[cut:], "y_test": y[cut:]}


@cache
def _held_out_pairs(root: str, variant: Any) -> Arrays:
    digits = _held_out_digits(root, variant, "auto")
    arrays: dict[str, np.ndarray] = {}
    for number, part in enumerate(("train", "test")):
        x, y = digits[f"x_{part}"], digits[f"y_{part}"]
        count = len(y) * 6 // 5 if part == "train" else len(y)
        arrays[f"x_{part}"], arrays[f"y_{part}"] = compose_pairs(x, y, count, PAIRS_SEED + number)
    return arrays


TASKS: dict[str, tuple[type, type]] = {
    "mnist1d": (MNIST1DClassifier, HeldOutSignals),
    "mnist": (MNISTClassifier, HeldOutDigits),
    "mnist100": (MNIST100Classifier, HeldOutPairs),
}


def train(task: str, setting: Mapping[str, Any], seed: int, root: str | None = None) -> dict[str, Any]:
    """Train a network once, and judge it after its last epoch.

    Args:
        task: ``"mnist1d"``, ``"mnist"`` or ``"mnist100"``.
        setting: ``epochs``, and anything that the classifier and the data module take.
        seed: of initialisation, of the choice of a fraction, and of the order of the batches.
        root: folder of the data.
    """
    kind, data_kind = TASKS[task]
    takes = [inspect.signature(some).parameters for some in (Classifier, data_kind)]
    for name in setting:
        if name != "epochs" and not any(name in parameters for parameters in takes):
            known = ["epochs", *takes[0], *takes[1]]
            raise UsageError(f"Expected options of the classifier or its data, but got {name!r}{nearest(name, known)}")
    recipe, facts = ({name: setting[name] for name in parameters if name in setting} for parameters in takes)
    with quiet():
        seed_everything(seed, verbose=False)
        classifier = kind(**recipe)
        data = data_kind(root, val_split=0.0, seed=seed, **facts)
        trainer = Trainer(
            max_epochs=setting["epochs"],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        begin = time.process_time()
        trainer.fit(classifier, data)
        seconds = time.process_time() - begin
    return {
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
        "epochs": setting["epochs"],
        "accuracy": f"{accuracy(classifier.eval(), *data.part('test')):.4f}",
        "loss": f"{float(trainer.callback_metrics['train_loss']):.4f}",
        "seconds": f"{seconds:.0f}",
    }


def search(plan: Mapping[str, Any], table: Path, root: str | None = None) -> Iterator[dict[str, Any]]:
    """Train what a plan lists and its table lacks; yields each row when it has been written.

    Args:
        plan: ``task``, ``seeds``, ``setting`` and ``variations``: by name, what is different from the setting.
        table: CSV file, made if there is none.
        root: folder of the data.
    """
    done = {(row["variation"], int(row["seed"])) for row in rows(table)}
    for seed in plan["seeds"]:
        for name, change in plan["variations"].items():
            if (name, seed) in done:
                continue
            setting = _changed(plan["setting"], change or {})
            row = {"variation": name, **train(plan["task"], setting, seed, root)}
            new = not table.exists()
            with table.open("a", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)
            yield row


def read_plan(path: Path) -> dict[str, Any]:
    """A plan from its YAML file.

    Raises:
        UsageError: if it cannot be read, or is not one.
    """
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            f"Expected a plan in YAML, but '{path}' cannot be read ({' '.join(str(error).split())})."
        ) from error
    if not isinstance(plan, dict) or set(plan) != set(KEYS):
        raise UsageError(f"Expected '{path}' to hold {', '.join(KEYS)} and nothing else.")
    if plan["task"] not in TASKS:
        raise UsageError(f"Expected `task` to be one of {', '.join(TASKS)}, but got {plan['task']!r}.")
    return plan


def rows(table: Path) -> list[dict[str, str]]:
    """The rows of a table so far."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def markdown(table: Path) -> str:
    """A table's variations, the best first: means over the seeds, and the range of the accuracies."""
    variations: dict[str, list[dict[str, str]]] = {}
    for row in rows(table):
        variations.setdefault(row["variation"], []).append(row)
    lines = []
    for name, some in variations.items():
        scores = [100 * float(row["accuracy"]) for row in some]
        mean, seconds = statistics.mean(scores), statistics.mean(float(row["seconds"]) for row in some)
        spread = f"{min(scores):.2f} to {max(scores):.2f}" if len(scores) > 1 else ""
        count, epochs = int(some[0]["parameters"]), some[0]["epochs"]
        lines.append(
            (-mean, f"| {name} | {count:,} | {epochs} | {mean:.2f} | {spread} | {len(some)} | {seconds:.0f} |")
        )
    head = "| variation | parameters | epochs | accuracy % | range | seeds | s |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *(line for _, line in sorted(lines))])


def _changed(setting: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    options = {**setting.get("network_options", {}), **change.get("network_options", {})}
    return {**setting, **change, "network_options": options}


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = Parser(prog="python -m lightconv.experiment.search", description=__doc__)
    parser.add_argument("plan", type=Path, help="YAML file of task, seeds, setting and variations")
    parser.add_argument("--output", type=Path, help="CSV file (default: beside the plan)")
    parser.add_argument("--root", help="folder of the data (default: $LIGHTCONV_DATA, else data)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    table = options.output or options.plan.with_suffix(".csv")
    torch.set_num_threads(options.threads)
    try:
        for row in search(read_plan(options.plan), table, options.root):
            print(*row.values(), flush=True)
    except UsageError as error:
        print(f"search: {error}", file=sys.stderr)
        return 2
    print(markdown(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
