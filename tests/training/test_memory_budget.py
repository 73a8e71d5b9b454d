"""MemoryBudget: the same step in micro-batches, and again where memory ran out."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.plugins import MixedPrecision
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

import lightconv
from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier
from lightconv.training import MemoryBudget, MemorySummary
from lightconv.training.memory import LiveBytes, budget, predict_peak
from lightconv.training.memory.batch import part

SAMPLES = 24


@pytest.fixture(autouse=True)
def roomy(monkeypatch):
    """The process that runs the tests holds more than a program does."""
    monkeypatch.setattr(budget, "process_share", lambda: 0)


class Plain(LightningModule):
    """A linear classifier that logs."""

    def __init__(self, skip=()):
        super().__init__()
        self.linear = torch.nn.Linear(40, 10)
        self.skip = skip
        self.sizes = []
        self.validated = []

    def training_step(self, batch, batch_idx):
        x, y = batch
        self.sizes.append(len(x))
        self.log("mean", x.mean(), on_epoch=True, on_step=False)
        loss = torch.nn.functional.cross_entropy(self.linear(x.flatten(1)), y)
        return {"loss": loss, "samples": len(x)}

    def validation_step(self, batch, batch_idx):
        self.validated.append(len(batch[0]))
        self.log("validation_mean", batch[0].mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def samples(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 1, 40, generator=generator)
    return TensorDataset(x, torch.randint(10, (count,), generator=generator))


def fit(module, *callbacks, count=3 * SAMPLES, around=None, validation=0, **options):
    """Train an epoch; the trainer."""
    torch.manual_seed(7)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
        **options,
    )
    loaders = [DataLoader(samples(count), SAMPLES)]
    loaders += [DataLoader(samples(validation), SAMPLES)] if validation else []
    with around or lightconv.backend("definition"):
        trainer.fit(module, *loaders)
    return trainer


def classifier(network="tiny"):
    seed_everything(3, verbose=False)
    return MNIST1DClassifier(network=network, schedule="constant")


def outcome(module, trainer):
    """All that a training leaves behind."""
    return module.state_dict(), {name: float(value) for name, value in trainer.callback_metrics.items()}


def same(first, second):
    assert first[1] == second[1]
    assert all(torch.equal(value, second[0][name]) for name, value in first[0].items())


# --- the same step in parts -----------------------------------------------------------------------------------------


def test_one_part_is_lightnings_own_step():
    results = []
    for callbacks in ([], [MemoryBudget(gibibytes=1)]):
        module = classifier()
        results.append(outcome(module, fit(module, *callbacks)))
    same(*results)


@pytest.mark.parametrize("micro_batch", [1, 7, 23])
@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}, {"gradient_clip_val": 0.5}], ids=str)
def test_unequal_parts_give_the_gradient_and_the_figures_of_the_whole(micro_batch, options):
    results = []
    for callbacks in ([], [MemoryBudget(micro_batch=micro_batch)]):
        module = classifier("book")
        results.append(outcome(module, fit(module, *callbacks, count=60, **options)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-6)


def test_logged_means_have_the_weight_of_their_samples():
    module = Plain()
    trainer = fit(module, MemoryBudget(micro_batch=7), count=40, validation=30)
    assert module.sizes == [6, 6, 6, 6, 6, 5, 5]
    assert max(module.validated) == 6
    torch.testing.assert_close(trainer.callback_metrics["mean"], samples(40)[:][0].mean())
    torch.testing.assert_close(trainer.callback_metrics["validation_mean"], samples(30)[:][0].mean())


def test_a_gradient_scaler_sees_one_step():
    results = []
    for callbacks in ([], [MemoryBudget(micro_batch=5)]):
        seed_everything(3, verbose=False)
        module = Plain()
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=1)  # the first steps overflow
        fit(module, *callbacks, count=30 * SAMPLES, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
        results.append((module.linear.weight, scaler.get_scale()))
    assert results[0][1] == results[1][1] < 2.0**40
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-2, atol=1e-3)


def test_batches_of_any_make():
    batch = {"x": torch.arange(5), "pair": [torch.zeros(5, 2), "text"], "scale": torch.tensor(2.0)}
    cut = part(batch, 1, 3)
    assert cut["x"].tolist() == [1, 2]
    assert cut["pair"][0].shape == (2, 2)
    assert cut["pair"][1] == "text"
    assert cut["scale"] == 2


# --- the step repeated ----------------------------------------------------------------------------------------------


class Refusing(TorchDispatchMode, Callback):
    """An allocator that refuses one operation of the second step: the n-th, counted from ``training_step`` on."""

    def __init__(self, number):
        super().__init__()
        self.number, self.count, self.counting = number, 0, False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += self.counting
        if self.counting and self.count == self.number:
            raise torch.OutOfMemoryError("out of memory, says the test")
        return func(*args, **(kwargs or {}))

    def setup(self, trainer, pl_module, stage):
        step = pl_module.training_step

        def training_step(batch, batch_idx):
            self.counting = batch_idx == 1
            return step(batch, batch_idx)

        pl_module.training_step = training_step

    def on_train_batch_end(self, *args):
        self.counting = False

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.counting = False


@pytest.fixture(scope="module")
def undisturbed():
    """What comes out if the second step and the third begin with half the batch, and operations of a whole step."""
    module, sizes = classifier(), MemoryBudget(micro_batch=SAMPLES)
    watch = Refusing(0)

    class Halve(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            sizes.micro_batch = SAMPLES if batch_idx == 0 else SAMPLES // 2

    result = outcome(module, fit(module, sizes, Halve()))
    whole = classifier()
    fit(whole, MemoryBudget(micro_batch=SAMPLES), watch, around=watch)
    return result, watch.count


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.8, 1.0])
def test_wherever_it_stopped_the_step_is_as_if_it_had_begun_smaller(undisturbed, share):
    expected, operations = undisturbed
    module, sizes = classifier(), MemoryBudget(micro_batch=SAMPLES)
    refusing = Refusing(max(1, round(share * operations)))
    trainer = fit(module, sizes, refusing, around=refusing)
    assert sizes.micro_batch == SAMPLES // 2
    same(outcome(module, trainer), expected)


@pytest.mark.long
def test_at_every_operation(undisturbed):
    expected, operations = undisturbed
    for number in range(1, operations + 1):
        module, sizes = classifier(), MemoryBudget(micro_batch=SAMPLES)
        refusing = Refusing(number)
        same(outcome(module, fit(module, sizes, refusing, around=refusing)), expected)


def test_gradients_of_earlier_batches_survive():
    results = []
    for refusing in (None, Refusing(8)):
        seed_everything(3, verbose=False)
        module, sizes = Plain(), MemoryBudget(micro_batch=SAMPLES)
        callbacks = [refusing] if refusing else []
        trainer = fit(module, sizes, *callbacks, around=refusing, accumulate_grad_batches=3)
        results.append(outcome(module, trainer))
        assert sizes.micro_batch == (SAMPLES // 2 if refusing else SAMPLES)
    torch.testing.assert_close(results[1], results[0])


def test_live_bytes_as_the_cap():
    """The allocator's stand-in allows a third of what the whole batch takes."""
    module = classifier("light")
    batch = samples(SAMPLES)[:]
    optimizer = torch.optim.AdamW(module.parameters())
    with lightconv.backend("definition"):
        whole = predict_peak(module, batch, optimizer=optimizer)
        least = predict_peak(module, batch, optimizer=optimizer, micro_batch=2)
    limit = least.total + (whole.total - least.total) // 3
    live, sizes = LiveBytes(limit), MemoryBudget(micro_batch=SAMPLES)
    fit(module, sizes, around=live)
    assert 2 <= sizes.micro_batch < SAMPLES // 2
    smaller = classifier("light")
    fit(smaller, MemoryBudget(micro_batch=sizes.micro_batch))
    same((module.state_dict(), {}), (smaller.state_dict(), {}))


def test_the_prediction_finds_the_largest_that_fits():
    module = classifier("light")
    batch, optimizer = samples(SAMPLES)[:], torch.optim.AdamW(module.parameters())
    with lightconv.backend("definition"):
        whole = predict_peak(module, batch, optimizer=optimizer).total
    sizes = MemoryBudget(gibibytes=1.5 * 0.6 * whole / 2**30)
    live = LiveBytes()
    fit(module, sizes, around=live)
    assert SAMPLES // 3 <= sizes.micro_batch <= SAMPLES // 2
    assert sizes.peak.total <= 0.6 * whole


def test_when_not_even_one_sample_fits():
    with pytest.raises(UsageError, match="one sample"):
        fit(Plain(), MemoryBudget(gibibytes=1e-6))

    tried = []

    class Greedy(Plain):
        def training_step(self, batch, batch_idx):
            tried.append(len(batch[0]))
            raise torch.OutOfMemoryError("out of memory, says the test")

    with pytest.raises(UsageError, match="one sample"):
        fit(Greedy(), MemoryBudget(micro_batch=4))
    assert tried == [4, 3, 2, 1]


def test_other_errors_are_not_taken_for_it():
    class Broken(Plain):
        def training_step(self, batch, batch_idx):
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        fit(Broken(), MemoryBudget(micro_batch=4))


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does")
def test_processes_repeat_a_step_together():
    """The operating system refuses one of two processes memory; both repeat, and neither gradient is lost."""
    script = Path(__file__).with_name("two_processes.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=540)
    told = [line.split(": ", 1) for line in done.stdout.splitlines() if line.startswith("rank ")]
    assert len(told) == 8, done.stderr[-2000:]
    runs = {rank: [line.split(" ", 1) for r, line in told if r == rank] for rank in ("rank 0", "rank 1")}
    assert runs["rank 0"] == runs["rank 1"]
    (size, starved), (_, smaller), (_, without), (_, whole) = runs["rank 0"]
    assert without == whole
    assert int(size) < 6000
    assert starved == smaller


# --- around it ------------------------------------------------------------------------------------------------------


def test_the_trainer_is_left_as_it_was():
    trainer = fit(Plain(), MemoryBudget(micro_batch=4))
    assert type(trainer.fit_loop.epoch_loop.automatic_optimization).__name__ == "_AutomaticOptimization"
    assert "validation_step" not in vars(trainer.strategy)
    assert trainer.global_step == 3


def test_a_resumed_run_goes_on_with_the_size():
    first, second, other = MemoryBudget(4, micro_batch=7), MemoryBudget(4), MemoryBudget(3)
    second.load_state_dict(first.state_dict())
    other.load_state_dict(first.state_dict())
    assert (second.micro_batch, other.micro_batch) == (7, None)


@pytest.mark.parametrize("options", [{"gibibytes": 0}, {"gibibytes": float("nan")}, {"micro_batch": 0}])
def test_numbers_out_of_range(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        MemoryBudget(**options)


def test_what_cannot_be_helped():
    class ByItself(Plain):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

    class Synchronised(Plain):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.SyncBatchNorm(3)

    class Looks(Plain):
        def training_step(self, batch, batch_idx):
            return super().training_step((batch[0], torch.from_numpy(batch[1].numpy())), batch_idx)

    for module, word in ((ByItself(), "automatic_optimization"), (Synchronised(), "SyncBatchNorm"), (Looks(), "micro")):
        with pytest.raises(UsageError, match=word):
            fit(module, MemoryBudget())


def test_a_budget_that_the_process_itself_uses_up(monkeypatch):
    monkeypatch.setattr(budget, "process_share", lambda: 5 * 2**30)
    with pytest.raises(UsageError, match="process needs"):
        fit(Plain(), MemoryBudget(gibibytes=4))


def test_the_summary_says_the_peak(capsys):
    fit(classifier(), MemorySummary())
    assert "Peak of a training step, predicted: " in capsys.readouterr().out


def test_on_the_command_line(command, capsys):
    options = ["--trainer.max_epochs", "1", "--trainer.callbacks+=MemoryBudget"]
    assert command("fit", *options, "--trainer.callbacks.gibibytes", "3") == 0
    assert "Peak of a training step, predicted: " in capsys.readouterr().out
    assert command("fit", *options, "--trainer.callbacks.gibibytes", "0") == 2
    assert "`gibibytes`" in capsys.readouterr().err
