"""The lean loop does what Lightning's own loop does: the same hooks, in the same order, to the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

from lightconv.training.lean_loop import LeanLoop
from lightconv.training.quiet import quiet
from lightconv.training.trainer import RunTrainer

HOOKS = [
    name
    for name in dir(Callback)
    if name.startswith("on_") and not name.startswith(("on_save", "on_load")) and "predict" not in name
]


class Witness(Callback):
    """Notes which hooks are called, and what they are told."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []


def noted(argument: Any) -> Any:
    if isinstance(argument, torch.Tensor):
        return argument.detach().clone()
    return type(argument).__name__ if isinstance(argument, torch.optim.Optimizer) else argument


def _noting(name: str) -> Any:
    def hook(self: Witness, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        told = [noted(argument) for argument in args]
        grad = pl_module.layer.weight.grad
        grad = None if grad is None else grad.clone()
        self.seen.append((name, pl_module._current_fx_name, trainer.global_step, told, grad))

    return hook


for _name in HOOKS:
    setattr(Witness, _name, _noting(_name))


class Toy(LightningModule):
    """A network with a schedule of each kind, which notes its own hooks."""

    def __init__(self, returns: str = "loss") -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.returns = returns
        self.seen: list[tuple[Any, ...]] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> Any:
        loss = self.layer(batch).square().mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        if self.returns == "nothing" and batch_idx == 1:
            return None
        return {"loss": loss, "more": batch_idx} if self.returns == "more" else loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val_loss", self.layer(batch).abs().mean())

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        return -1 if self.returns == "early" and batch_idx == 2 else None

    def on_before_backward(self, loss: torch.Tensor) -> None:
        self.seen.append(("before backward", loss.item()))

    def on_after_batch_transfer(self, batch: torch.Tensor, dataloader_idx: int) -> torch.Tensor:
        return batch + self.trainer.fit_loop.epoch_loop.batch_idx

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.01, momentum=0.5)
        schedules = [
            {"scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9), "interval": interval}
            for interval in ("step", "epoch")
        ]
        return [optimizer], schedules


BATCHES = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0))


def train(monkeypatch: pytest.MonkeyPatch, lean: bool, folder: Path, returns: str, **options: Any) -> dict[str, Any]:
    witness = Witness()
    torch.manual_seed(1)
    module = Toy(returns)
    with monkeypatch.context() as patch, quiet():
        if not lean:
            patch.setattr(LeanLoop, "install", lambda trainer: None)
        trainer = RunTrainer(
            accelerator="cpu",
            max_epochs=3,
            callbacks=[witness],
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            **options,
        )
        trainer.fit(module, BATCHES, BATCHES[:2])
        assert type(trainer.fit_loop.epoch_loop) is (LeanLoop if lean else _TrainingEpochLoop)
        trainer.save_checkpoint(folder / "x.ckpt")
    return {
        "lean": lean and trainer.fit_loop.epoch_loop._step is not None,
        "hooks": witness.seen,
        "own": module.seen,
        "logged": trainer.callback_metrics,
        "checkpoint": torch.load(folder / "x.ckpt", weights_only=True),
    }


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other or one is other


@pytest.mark.parametrize(
    ("returns", "options", "lean"),
    [
        ("loss", {}, True),
        ("more", {"precision": "bf16-mixed"}, True),
        ("nothing", {"check_val_every_n_epoch": 2}, True),
        ("early", {}, True),
        ("loss", {"val_check_interval": 2}, True),
        ("loss", {"max_steps": 7}, True),
        ("loss", {"limit_train_batches": 3, "limit_val_batches": 1}, True),
        ("loss", {"accumulate_grad_batches": 2}, False),
        ("loss", {"gradient_clip_val": 0.1}, False),
        ("loss", {"profiler": "simple"}, False),
    ],
)
def test_the_same_happens(
    returns: str, options: dict[str, Any], lean: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    plain = train(monkeypatch, False, tmp_path, returns, **options)
    ours = train(monkeypatch, True, tmp_path, returns, **options)
    assert ours.pop("lean") == lean
    plain.pop("lean")
    assert [seen[0] for seen in ours["hooks"]] == [seen[0] for seen in plain["hooks"]]
    assert len(ours["own"]) > 5
    for what in plain:
        assert equal(ours[what], plain[what]), what
