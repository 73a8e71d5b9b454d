"""The callbacks in a Trainer of one's own."""

import csv
import io
import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from lightconv.training import BestAndLast, Curves, EpochSeed, MetricsFile, Progress
from lightconv.training.quiet import quiet


class Toy(LightningModule):
    """Logs given validation accuracies and remembers what it drew at random."""

    def __init__(self, accuracies: list[float]) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.accuracies = accuracies
        self.drawn: list[float] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.drawn.append(torch.rand(1).item())
        return self.layer(batch).square().mean()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        pass

    def on_validation_epoch_end(self) -> None:
        self.log("val_accuracy", self.accuracies[self.current_epoch])

    def on_train_epoch_end(self) -> None:
        self.log("train_loss", 1.0 / (1 + self.current_epoch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer_for(folder: Path, callbacks: list, epochs: int, **options: object) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        max_epochs=epochs,
        default_root_dir=folder,
        callbacks=callbacks,
        enable_model_summary=False,
        **{"enable_progress_bar": False, **options},
    )


BATCHES = torch.ones(2, 4, 1)


def test_best_is_the_highest_and_of_equals_the_latest(tmp_path: Path):
    keep = BestAndLast()
    module = Toy([0.5, 0.8, 0.7, 0.8, 0.6])
    with quiet():
        trainer_for(tmp_path, [keep], 5).fit(module, BATCHES, BATCHES)
    best, last = (torch.load(tmp_path / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert (best["epoch"], last["epoch"]) == (3, 4)
    assert (keep.best_epoch, keep.best_score) == (3, pytest.approx(0.8))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_smallest_can_be_best(tmp_path: Path):
    keep = BestAndLast(tmp_path / "kept", mode="min")
    with quiet():
        trainer_for(tmp_path, [keep], 3).fit(Toy([0.5, 0.2, 0.3]), BATCHES, BATCHES)
    assert torch.load(tmp_path / "kept" / "best.ckpt", weights_only=True)["epoch"] == 1


def test_best_survives_a_restart(tmp_path: Path):
    with quiet():
        trainer_for(tmp_path, [BestAndLast()], 2).fit(Toy([0.5, 0.9]), BATCHES, BATCHES)
        keep = BestAndLast()
        module = Toy([0.5, 0.9, 0.7])
        trainer_for(tmp_path, [keep], 3).fit(
            module, BATCHES, BATCHES, ckpt_path=tmp_path / "last.ckpt", weights_only=True
        )
    assert keep.best_epoch == 1
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == 1
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 2


def test_a_failing_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
):
    with quiet():
        trainer_for(tmp_path, [BestAndLast()], 1).fit(Toy([0.5]), BATCHES, BATCHES)
    before = (tmp_path / "last.ckpt").read_bytes()

    def full(file: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    everything = [BestAndLast(), MetricsFile(), Curves()]
    with quiet(), pytest.raises(OSError, match=r"write .*best\.ckpt, but could not: disk full"):
        trainer_for(tmp_path, everything, 1).fit(Toy([0.5]), BATCHES, BATCHES)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert not [warning for warning in recwarn if "could not" in str(warning.message)], "it is told once"


def test_a_failing_write_does_not_hide_what_failed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    everything = [BestAndLast(interval=600), MetricsFile(interval=600), Curves()]
    module = Toy([0.5, 0.6])  # an accuracy too few

    def full(file: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(
        module, "on_validation_start", lambda: module.current_epoch and monkeypatch.setattr(os, "fsync", full)
    )
    with quiet(), pytest.raises(IndexError), pytest.warns(UserWarning, match=r"last\.ckpt|best\.ckpt"):
        trainer_for(tmp_path, everything, 3).fit(module, BATCHES, BATCHES)


def test_short_epochs_share_a_write_and_none_is_lost(tmp_path: Path):
    written = []

    class Watch(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch:
                written.append(torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"])

    with quiet(), pytest.raises(IndexError):
        trainer_for(tmp_path, [BestAndLast(interval=600), Watch()], 9).fit(Toy([0.5, 0.9, 0.7]), BATCHES, BATCHES)
    assert written == [0, 0, 0], "the first epoch is on the disk at once"
    best, last = (torch.load(tmp_path / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert (best["epoch"], last["epoch"]) == (1, 2), "the others when the run failed"


def test_wrong_mode():
    with pytest.raises(ValueError, match="`mode`"):
        BestAndLast(mode="median")


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_metrics_file_has_a_row_an_epoch(tmp_path: Path):
    with quiet():
        trainer_for(tmp_path, [MetricsFile()], 2, enable_checkpointing=False).fit(Toy([0.25, 0.5]), BATCHES, BATCHES)
    assert table(tmp_path / "metrics.csv") == [
        {"epoch": "1", "train_loss": "1.0", "val_accuracy": "0.25"},
        {"epoch": "2", "train_loss": "0.5", "val_accuracy": "0.5"},
    ]


def test_stale_validation_figures_are_not_repeated(tmp_path: Path):
    with quiet():
        trainer_for(
            tmp_path, [MetricsFile(tmp_path / "m.csv")], 4, check_val_every_n_epoch=2, enable_checkpointing=False
        ).fit(Toy([0.1, 0.2, 0.3, 0.4]), BATCHES, BATCHES)
    assert [row["val_accuracy"] for row in table(tmp_path / "m.csv")] == ["", "0.2", "", "0.4"]


def test_metrics_survive_a_restart(tmp_path: Path):
    accuracies = [0.1, 0.2, 0.3]
    with quiet():
        trainer_for(tmp_path, [MetricsFile(), BestAndLast()], 2).fit(Toy(accuracies), BATCHES, BATCHES)
        (tmp_path / "metrics.csv").unlink()
        trainer_for(tmp_path, [MetricsFile(), BestAndLast()], 3).fit(
            Toy(accuracies), BATCHES, BATCHES, ckpt_path=tmp_path / "last.ckpt", weights_only=True
        )
    assert [row["val_accuracy"] for row in table(tmp_path / "metrics.csv")] == ["0.1", "0.2", "0.3"]


def test_curves_need_nothing_else(tmp_path: Path):
    curves = Curves(tmp_path / "deep" / "picture.png", title="toy")
    with quiet():
        trainer_for(tmp_path, [curves], 2, enable_checkpointing=False).fit(Toy([1.0, 1.0]), BATCHES, BATCHES)
    assert (tmp_path / "deep" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_curves_are_drawn_after_a_failure(tmp_path: Path):
    with quiet(), pytest.raises(IndexError):
        trainer_for(tmp_path, [Curves()], 3, enable_checkpointing=False).fit(Toy([0.5, 0.6]), BATCHES, BATCHES)
    assert (tmp_path / "curves.png").exists()


def test_epoch_seed_makes_epochs_independent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def drawn(seed: str | None, before: int) -> list[float]:
        if seed is None:
            monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
        else:
            monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        torch.manual_seed(before)
        module = Toy([0.0, 0.0])
        with quiet():
            trainer_for(tmp_path, [EpochSeed()], 2, enable_checkpointing=False).fit(module, BATCHES, BATCHES)
        return module.drawn

    first = drawn("3", before=1)
    assert len(set(first)) == 4, "epochs and steps differ"
    assert drawn("3", before=2) == first
    assert drawn("4", before=1) != first
    assert drawn(None, before=1) != drawn(None, before=2), "without a seed nothing happens"


def progress(terminal: bool, folder: Path, epochs: int) -> str:
    stream = io.StringIO()
    bar = Progress(Console(file=stream, force_terminal=terminal, width=80, highlight=False))
    module = Toy([epoch / 100 for epoch in range(epochs)])
    with quiet():
        trainer = trainer_for(folder, [bar], epochs, enable_checkpointing=False, enable_progress_bar=True)
        trainer.fit(module, BATCHES, BATCHES)
    return stream.getvalue()


def test_progress_without_a_terminal_is_about_ten_lines(tmp_path: Path):
    lines = progress(False, tmp_path, 40).splitlines()
    assert len(lines) == 10
    assert lines[-1] == "epoch 40/40  loss 0.025  validation accuracy 39.00 %"
    assert "\x1b" not in "".join(lines)


def test_progress_on_a_terminal_is_one_line(tmp_path: Path):
    text = progress(True, tmp_path, 4)
    assert "epoch 4/4" in text
    assert "loss 0.250  validation 3.00 %" in text
    assert "━" * 20 in text, "there is room for the bar"
    assert text.count("\n") == 1
