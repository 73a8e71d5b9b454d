"""The predicted peak of a training step against the one that the allocator reports."""

import os

import pytest
import torch
from torch.nn import functional as F

import lightconv
from lightconv.errors import UsageError
from lightconv.tasks import MNIST1DClassifier, MNIST100Classifier, MNISTClassifier
from lightconv.tasks.optimisation import make_optimizer
from lightconv.training.memory import LiveBytes, Peak, measured_peak, predict_peak

os.environ.setdefault("KINETO_LOG_LEVEL", "5")

NETWORKS = [(task, name) for task in (MNIST1DClassifier, MNISTClassifier, MNIST100Classifier) for name in task.networks]
SETTINGS = [(8, "sgd", None), (24, "adamw", torch.bfloat16)]
MORE = [
    (batch, optimizer, autocast)
    for batch in (8, 64)
    for optimizer in ("sgd", "adamw")
    for autocast in (None, torch.bfloat16)
]


def made(task, network, samples, optimizer):
    classifier = task(network=network)
    raw = torch.randint(256, (samples, 1, *task.raw_shape), dtype=torch.uint8)
    raw = raw.float() if task is MNIST1DClassifier else raw
    batch = raw, torch.zeros(samples, dtype=torch.int64)
    return classifier, batch, make_optimizer(optimizer, classifier.parameters(), 0.01, 0.9, 0.0)


def train(classifier, batch, optimizer, autocast=None, steps=2):
    """As Lightning does; the second step finds what the first has left."""
    for _ in range(steps):
        with torch.autocast("cpu", autocast, enabled=autocast is not None):
            loss = classifier.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        del loss
        optimizer.step()


def check(task, network, samples, optimizer, autocast):
    classifier, batch, made_optimizer = made(task, network, samples, optimizer)
    predicted = predict_peak(classifier, batch, optimizer=made_optimizer, autocast=autocast).total
    measured = measured_peak(lambda: train(*made(task, network, samples, optimizer), autocast))
    scratch = 10_000 if autocast else 0  # which torch's linear layer takes in bfloat16
    assert abs(predicted - measured) < 0.1 * measured + scratch, f"{predicted:,} predicted, {measured:,} measured"


@pytest.mark.parametrize(("samples", "optimizer", "autocast"), SETTINGS)
@pytest.mark.parametrize(("task", "network"), NETWORKS)
def test_within_a_tenth_of_the_measured_peak(task, network, samples, optimizer, autocast):
    check(task, network, samples, optimizer, autocast)


@pytest.mark.parametrize(("task", "network"), [(MNIST1DClassifier, "light"), (MNIST100Classifier, "v2")])
def test_so_it_is_with_the_definition(task, network):
    with lightconv.backend("definition"):
        check(task, network, 8, "sgd", None)


@pytest.mark.long
@pytest.mark.parametrize("backend", ["auto", "definition"])
@pytest.mark.parametrize(("samples", "optimizer", "autocast"), MORE)
@pytest.mark.parametrize(("task", "network"), NETWORKS)
def test_in_every_setting(task, network, samples, optimizer, autocast, backend):
    with lightconv.backend(backend):
        check(task, network, samples, optimizer, autocast)


def test_micro_batches_of_a_batch_whose_gradients_add_up():
    def run():
        classifier, batch, optimizer = made(MNIST100Classifier, "v2", 48, "sgd")
        for _ in range(2):
            optimizer.zero_grad()
            for start in range(0, 48, 8):
                classifier.training_step(tuple(t[start : start + 8] for t in batch), 0).backward()
            optimizer.step()

    classifier, batch, optimizer = made(MNIST100Classifier, "v2", 48, "sgd")
    predicted = predict_peak(classifier, batch, optimizer=optimizer, micro_batch=8).total
    assert abs(predicted - (measured := measured_peak(run))) < 0.1 * measured
    assert predicted < predict_peak(classifier, batch, optimizer=optimizer).total / 2


def test_parts_are_what_they_are_called():
    classifier, batch, optimizer = made(MNIST100Classifier, "original", 16, "adamw")
    peak = predict_peak(classifier, batch, optimizer=optimizer)
    weights = 4 * 851_430
    assert weights < peak.parameters < weights + 400_000  # two confusion matrices of 100 classes among them
    assert 2 * weights < peak.optimizer < 2 * weights + 1000
    assert 0 < peak.gradients <= weights
    assert peak.batch == 16 * (28 * 56 + 8)
    first, second = 10 * 62 * 62, 20 * 29 * 29
    kept = 16 * (4 * 128 * 128 + 5 * (first + second))  # pictures, what the blocks return, a byte for each winner
    assert 0.9 * kept < peak.activations < 1.1 * kept  # of the linear layers nothing is left at the peak


def test_any_module_and_nothing_of_it_is_touched():
    module = torch.nn.Sequential(torch.nn.Linear(1000, 500), torch.nn.Dropout(), torch.nn.BatchNorm1d(500))
    sgd = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state, x = torch.get_rng_state(), {"x": torch.zeros(300, 1000), "y": torch.zeros(300, 500)}
    peak = predict_peak(module, x, step=lambda m, b: F.mse_loss(m(b["x"]), b["y"]), optimizer=sgd)
    assert peak.total > 300 * 1500 * 4
    assert torch.equal(torch.get_rng_state(), state)
    assert not sgd.state
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_module_without_a_step():
    with pytest.raises(UsageError, match="`step`"):
        predict_peak(torch.nn.Linear(1, 1), torch.zeros(2, 1))


def test_a_peak_in_words():
    assert str(Peak(0, 0, 0, 0, 2**30, 2**29)).startswith("1.50 GiB (parameters 0.00,")


def test_live_bytes_end_with_their_tensors_and_at_the_limit():
    with LiveBytes() as live:
        x = torch.zeros(1000)
        view = x[10:]
        assert live.now == 4000
        del x
        assert live.now == 4000
        del view
        assert (live.now, live.peak) == (0, 4000)
    with pytest.raises(torch.OutOfMemoryError), LiveBytes(limit=5000):
        torch.zeros(1000) + 1
