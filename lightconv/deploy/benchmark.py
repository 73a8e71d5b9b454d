"""How fast a model is: in onnxruntime, and as the same network in PyTorch."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lightconv.deploy.card import parse
from lightconv.deploy.classifier import Deployed
from lightconv.deploy.runtime import Classifier, InputError

__all__ = ["Benchmark", "benchmark", "in_torch"]


@dataclass(frozen=True)
class Benchmark:
    """Times of several ways to run a model.

    Attributes:
        batch_sizes: samples in one call.
        milliseconds: for each way, the time of a call for each batch size.
    """

    batch_sizes: tuple[int, ...]
    milliseconds: dict[str, tuple[float, ...]]

    def __str__(self) -> str:
        width = max(map(len, self.milliseconds))
        lines = [" " * width + "".join(f"{f'batch of {n}':>28}" for n in self.batch_sizes)]
        first = next(iter(self.milliseconds.values()))
        for name, times in self.milliseconds.items():
            cells = "".join(
                f"{t:9.3f} ms {t / best:5.2f}x{1000 * n / t:8.0f}/s"
                for t, best, n in zip(times, first, self.batch_sizes, strict=True)
            )
            lines.append(f"{name:{width}}{cells}")
        return "\n".join(lines)


def benchmark(
    model: str | os.PathLike[str], batch_sizes: Sequence[int] = (1, 64), *, threads: int = 1, rounds: int = 21
) -> Benchmark:
    """Time a classifier in onnxruntime, and its network of our layers and of torch.nn's in PyTorch, in turn.

    From raw input to label. The networks in PyTorch are those that the model's metadata name, with new weights; if
    they name none that is known, only onnxruntime is timed. Each time is the median over the rounds.

    Args:
        model: an ONNX file, or the name of a model that comes with the package.
        batch_sizes: samples in one call.
        threads: processor threads.
        rounds: how often each way has its turn.

    Raises:
        InputError: (a ValueError) if the model cannot be used, or for numbers that are not positive.
    """
    if not batch_sizes or any(n < 1 for n in batch_sizes):
        raise InputError(f"Expected `batch_sizes` to be positive whole numbers, but got {list(batch_sizes)}.")
    classifier = Classifier(model, threads=threads)
    networks = _networks(classifier)
    generator = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in ("onnxruntime", *networks)}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for batch in batch_sizes:
            raw = (100 * generator.random((batch, *classifier.shape))).astype(classifier.dtype)
            ways: dict[str, Callable[[], object]] = {"onnxruntime": _runtime(classifier, raw)}
            ways |= {name: _eager(network, raw) for name, network in networks.items()}
            # with one thread the processor's time says more than the wall's, on which other programs hang
            for name, found in _in_turn(ways, rounds, time.process_time if threads == 1 else time.perf_counter).items():
                times[name].append(found)
    finally:
        torch.set_num_threads(before)
    return Benchmark(tuple(batch_sizes), {name: tuple(values) for name, values in times.items()})


def _networks(classifier: Classifier) -> dict[str, torch.nn.Module]:
    """The model's network in our layers and in torch.nn's."""
    from lightconv.tasks.loading import TASKS

    task = TASKS.get(classifier.metadata.get("task", ""))
    network = classifier.metadata.get("network", "")
    if task is None or network not in task.networks:
        return {}
    recipe = parse(classifier.metadata.get("recipe", "{}"))
    options = recipe.get("network_options") if isinstance(recipe, dict) else None
    try:
        with torch.device("meta"):
            weights = sum(parameter.numel() for parameter in task(network, network_options=options).parameters())
    except (RuntimeError, TypeError, ValueError):
        return {}
    if weights > classifier.path.stat().st_size:  # a byte each at least
        return {}
    ours, theirs = (task(network, network_options=options).eval() for _ in range(2))
    theirs.network = in_torch(theirs.network)
    return {"PyTorch, lightconv.nn": Deployed(ours), "PyTorch, torch.nn": Deployed(theirs)}


def in_torch(network: torch.nn.Module) -> torch.nn.Module:
    """The same network of torch.nn's layers; a `ConvMaxPoolReLU` becomes three."""
    import lightconv

    def apart(module: torch.nn.Module) -> torch.nn.Module:
        for name, child in module.named_children():
            setattr(module, name, apart(child))
        if not isinstance(module, lightconv.nn.ConvMaxPoolReLU):
            return module
        conv = torch.nn.Conv2d(
            module.in_channels,
            module.out_channels,
            module.kernel_size,  # type: ignore[arg-type]
            module.stride,  # type: ignore[arg-type]
            module.padding,  # type: ignore[arg-type]
            module.dilation,  # type: ignore[arg-type]
            module.groups,
            module.bias is not None,
            module.padding_mode,
        )
        conv.load_state_dict(module.state_dict())
        return torch.nn.Sequential(conv, torch.nn.MaxPool2d(module.pool_size), torch.nn.ReLU())

    return apart(lightconv.revert(network, report=lambda line: None))


def _runtime(classifier: Classifier, raw: np.ndarray) -> Callable[[], object]:
    session = classifier.session
    return lambda: session.run(None, {classifier.input_name: raw})


def _eager(network: torch.nn.Module, raw: np.ndarray) -> Callable[[], object]:
    x = torch.from_numpy(raw)

    def run() -> object:
        with torch.inference_mode():
            return network(x)

    return run


def _in_turn(ways: dict[str, Callable[[], object]], rounds: int, now: Callable[[], float]) -> dict[str, float]:
    """Median milliseconds of a call, each way having its turn in every round."""

    def seconds(call: Callable[[], object], runs: int) -> float:
        start = now()
        for _ in range(runs):
            call()
        return (now() - start) / runs

    runs = {}
    for name, call in ways.items():
        seconds(call, 2)
        runs[name] = max(1, round(0.005 / max(seconds(call, 2), 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            found[name].append(1000 * seconds(call, runs[name]))
    return {name: statistics.median(values) for name, values in found.items()}
