from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.nn import functional as F

from lightconv.data import AddedNoise, Augmentation, InMemoryData, MNIST1DData, MNISTData
from lightconv.errors import UsageError


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(name="pictures")
def some_pictures() -> torch.Tensor:
    return torch.from_numpy(random(1).integers(1, 256, (200, 1, 9, 12), dtype=np.uint8))


def test_off_by_default(pictures: torch.Tensor):
    assert not Augmentation()
    assert Augmentation()(pictures, random()) is pictures
    assert not MNISTData().augmentation


def test_shifts_are_those_of_padding_and_cropping(pictures: torch.Tensor):
    shifted = Augmentation(shift=2)(pictures, random())
    assert shifted.dtype == torch.uint8
    padded = F.pad(pictures, (2, 2, 2, 2))
    choices = torch.stack(
        [padded[..., 2 - dy : 11 - dy, 2 - dx : 14 - dx] for dy in range(-2, 3) for dx in range(-2, 3)]
    )
    matches = (choices == shifted).flatten(2).all(2)
    assert matches.sum(0).eq(1).all(), "each picture is one of the 25"
    assert matches.any(1).all(), "each of the 25 occurs"


@pytest.mark.parametrize(("rotation", "scaling", "shift"), [(30.0, 0.0, 0), (0.0, 0.2, 0), (15.0, 0.1, 2)])
def test_affine_is_grid_sample(rotation: float, scaling: float, shift: int):
    x = torch.from_numpy(random(1).normal(size=(20, 2, 9, 12)))
    ours = Augmentation(shift, rotation, scaling)(x, random(5))
    draws = random(5)
    dy, dx = torch.from_numpy(draws.integers(-shift, shift + 1, (2, 20))).double()
    angle = torch.from_numpy(draws.uniform(-rotation, rotation, 20)).deg2rad()
    scale = torch.from_numpy(draws.uniform(1 - scaling, 1 + scaling, 20))
    # grid_sample counts from -1 to 1, columns first.
    height, width = 8 / 2, 11 / 2
    cos, sin = angle.cos() / scale, angle.sin() / scale
    theta = torch.stack([cos, sin * height / width, dx / width, -sin * width / height, cos, dy / height], 1)
    grid = F.affine_grid(theta.reshape(20, 2, 3), list(x.shape), align_corners=True)
    assert torch.allclose(ours, F.grid_sample(x, grid, align_corners=True), atol=1e-4)


def test_a_quarter_turn():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)

    class Greatest:
        def integers(self, low: int, high: int, size: tuple[int, ...]) -> np.ndarray:
            return np.full(size, high - 1)

        def uniform(self, low: float, high: float, count: int) -> np.ndarray:
            return np.full(count, high)

    turned = Augmentation(rotation=90.0)(x, Greatest())  # type: ignore[arg-type]
    assert torch.allclose(turned, x.rot90(-1, (2, 3)), atol=1e-4)


def test_a_bend_is_smooth_and_as_large_as_told():
    # Each value says where it stands, so what comes out says where it has been read.
    rows = (torch.arange(28.0)[:, None] + 100).expand(1000, 1, 28, 56)
    read = Augmentation(elastic=0.5)(rows, random()) - rows
    inner = read[:, :, 4:-4, 4:-4]
    assert inner[..., 3::7, 3::7].mean().abs() < 0.05
    assert 0.3 < inner.std() < 0.55, "less between the points than on them"
    assert inner.diff(dim=3).std() < 0.5 * inner.std(), "what is beside a pixel moves with it"
    assert inner.flatten(1).std(1).min() > 0.05, "each picture is bent"
    on_points = Augmentation(elastic=0.5)(rows[:, :, :, :29], random(3))[:, 0, 9, 7] - 109
    assert on_points.std() == pytest.approx(0.5, rel=0.15)


def test_a_function_of_the_generator(pictures: torch.Tensor):
    augment = Augmentation(shift=1, rotation=10, scaling=0.1, elastic=1.0)
    state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    first, again, other = (augment(pictures, random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.random.get_state()[1].tolist() == state[1]
    assert len(augment(pictures[:0], random())) == 0


class Recorder(LightningModule):
    """Notes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: dict[str, list[torch.Tensor]] = {"train": [], "val": []}

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen["train"].append(batch[0])
        return self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["val"].append(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_copies_are_displaced_each_by_itself():
    plain, repeated = fit(epochs=1), fit(epochs=1, shift=2, repeats=3)
    for x, z in zip(plain.seen["train"], repeated.seen["train"], strict=True):
        assert z.shape == (3 * len(x), *x.shape[1:])
        copies = z.unflatten(0, (3, -1))
        assert not torch.equal(copies[0], copies[1])
        lit = (copies.flatten(2) > 0).sum(2) / (x.flatten(1) > 0).sum(1)
        assert (lit > 0.5).all(), "each is a copy of the same picture, or most of it"
    assert all(map(torch.equal, plain.seen["val"], repeated.seen["val"]))


def fit(epochs: int = 2, **options: Any) -> Recorder:
    return recorded(MNISTData(variant="digits", fraction=0.2, batch_size=100, val_split=0.5, **options), epochs)


def recorded(data: InMemoryData, epochs: int = 2) -> Recorder:
    model = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, data)
    return model


def test_in_training_only_and_alike_in_each_run():
    plain, augmented, again = fit(), fit(shift=2), fit(shift=2)
    assert len(plain.seen["train"]) == 2 * 2
    pairs = list(zip(plain.seen["train"], augmented.seen["train"], strict=True))
    assert all(x.shape == z.shape and x.dtype == z.dtype and not torch.equal(x, z) for x, z in pairs)
    for kind in ("train", "val"):
        assert all(map(torch.equal, augmented.seen[kind], again.seen[kind]))
    assert all(map(torch.equal, plain.seen["val"], augmented.seen["val"]))
    shifts = [random([0, epoch, batch, 0]) for epoch in range(2) for batch in range(2)]
    expected = [Augmentation(2)(x, generator) for x, generator in zip(plain.seen["train"], shifts, strict=True)]
    assert all(map(torch.equal, augmented.seen["train"], expected)), "a function of (seed, epoch, batch, process)"


def test_added_noise_has_the_amounts_asked_for_and_the_signals_own_smoothness():
    silence = torch.zeros(4000, 1, 40, dtype=torch.float64)
    smooth = AddedNoise(0.2)(silence, random())[:, 0]
    white = AddedNoise(white=0.06)(silence, random())[:, 0]
    assert smooth.dtype == torch.float64
    assert torch.allclose(smooth.std(0), torch.tensor(0.2, dtype=torch.float64), rtol=0.06), "at the ends, too"
    assert torch.allclose(white.std(0), torch.tensor(0.06, dtype=torch.float64), rtol=0.06)
    near = (smooth[:, 1:] * smooth[:, :-1]).mean() / smooth.square().mean()
    width = 2 * 40 / 72  # in samples: correlations of a Gaussian filter are a Gaussian of twice the variance
    assert float(near) == pytest.approx(np.exp(-1 / (4 * width**2)), abs=0.01)
    assert abs(float((white[:, 1:] * white[:, :-1]).mean())) < 1e-4
    both = AddedNoise(0.2, 0.06)(silence + 1, random())
    assert float(both.mean()) == pytest.approx(1, abs=0.01)
    assert float(both.std()) == pytest.approx(np.hypot(0.2, 0.06), rel=0.02)


def test_added_noise_is_off_by_default():
    signals = torch.zeros(2, 1, 40)
    assert not AddedNoise()
    assert AddedNoise()(signals, random()) is signals
    assert not MNIST1DData().added_noise
    assert "added_noise" not in MNIST1DData().describe()
    assert MNIST1DData(added_noise=0.2).describe()["added_noise"] == 0.2


@pytest.mark.parametrize("options", [{"added_noise": -0.1}, {"added_white_noise": float("nan")}])
def test_wrong_amounts_of_noise(options: dict):
    with pytest.raises(UsageError, match=f"Expected `{next(iter(options))}` to be 0 or more, but got"):
        MNIST1DData(**options)


def test_noise_in_training_only_and_alike_in_each_run(root: Path):
    def fit_signals(**options: Any) -> Recorder:
        return recorded(MNIST1DData(str(root), fraction=0.05, batch_size=50, val_split=0.5, **options))

    plain, noisy = fit_signals(), fit_signals(added_noise=0.2, added_white_noise=0.06)
    assert all(map(torch.equal, plain.seen["val"], noisy.seen["val"]))
    numbers = [random([0, epoch, batch, 0]) for epoch in range(2) for batch in range(2)]
    expected = [AddedNoise(0.2, 0.06)(x, generator) for x, generator in zip(plain.seen["train"], numbers, strict=True)]
    assert len(expected) == 4
    assert not any(map(torch.equal, plain.seen["train"], expected))
    assert all(map(torch.equal, noisy.seen["train"], expected)), "a function of (seed, epoch, batch, process)"
