"""Layers merged: equal outputs by fewer operations, and hands off wherever somebody else is looking."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from whole_models import MODELS, make, unlike_new

import lightconv
from lightconv.deploy import to_onnx
from lightconv.surgery import Fusion


def fused(model: nn.Module, *example: Any) -> tuple[nn.Module, Fusion]:
    """The fused model and its report, after checks that hold for every model."""
    found: list[Fusion] = []
    before = [(name, type(m), id(m)) for name, m in model.named_modules()]
    state = copy.deepcopy(model.state_dict())
    result = lightconv.fuse(model, *example, report=found.append)
    assert [(name, type(m), id(m)) for name, m in model.named_modules()] == before
    torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)
    assert type(result) is type(model)
    return result, found[0]


def kinds(model: nn.Module) -> list[str]:
    return [type(m).__name__ for m in model.modules() if not list(m.children())]


def close(one: nn.Module, other: nn.Module, *inputs: Tensor) -> None:
    torch.testing.assert_close(one(*inputs), other(*inputs), rtol=1e-9, atol=1e-9)


CONVOLUTIONS: list[Callable[[], Any]] = [
    lambda: nn.Conv1d(4, 6, 3, bias=False),
    lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2, groups=2),
    lambda: nn.Conv2d(4, 6, (2, 3), stride=2, padding=1, padding_mode="reflect"),
    lambda: nn.Conv3d(4, 6, 2, groups=2, bias=False),
    lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False),
    lambda: nn.ConvTranspose3d(4, 6, 2, groups=2),
    lambda: lightconv.nn.Conv2d(4, 6, 3),
    lambda: lightconv.nn.ConvTranspose1d(4, 6, 3),
]


@pytest.mark.parametrize("make_conv", CONVOLUTIONS)
@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_is_folded(make_conv: Callable[[], Any], affine: bool) -> None:
    conv = make_conv().to(torch.float64)
    axes = len(conv.kernel_size)
    norm = getattr(nn, f"BatchNorm{axes}d")(6, eps=0.1, affine=affine, dtype=torch.float64)
    tail = nn.Linear(3, 3, dtype=torch.float64)
    model = unlike_new(nn.Sequential(conv, norm, nn.ReLU(), tail)).eval()
    result, report = fused(model)
    assert kinds(result) == [type(conv).__name__, "Identity", "ReLU", "Linear"]
    assert type(result[0]) is type(conv)
    assert repr(result[0]).replace(", bias=False", "") == repr(conv).replace(", bias=False", "")
    assert result[3].weight is tail.weight
    assert report.fused == [("0", type(conv).__name__, "0, 1")]
    x = torch.randn(2, 4, *(9, 8, 7)[:axes], dtype=torch.float64)
    close(result[:2], model[:2], x)
    parameters = sum(p.numel() for p in [*result.parameters(), *result.buffers()])
    assert (report.after.parameters, report.after.operations) == (parameters, 0)
    assert report.before.parameters > parameters


def test_dropout_in_evaluation_mode_is_looked_through() -> None:
    model = unlike_new(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Dropout(), nn.Identity(), nn.BatchNorm1d(2)).double())
    result, _ = fused(model.eval())
    assert kinds(result) == ["Conv1d", "Dropout", "Identity", "Identity"]
    close(result, model, torch.randn(1, 1, 9, dtype=torch.float64))
    model[1].train()
    assert kinds(lightconv.fuse(model)) == kinds(model)


NEIGHBOURS = [
    # layers, and what is left of them
    ([nn.Conv2d(4, 32, 1), nn.Conv2d(32, 4, 3)], ["Conv2d", "Identity"]),
    ([nn.Conv2d(4, 32, 1, bias=False), nn.Conv2d(32, 4, 3, padding=1)], ["Conv2d", "Identity"]),
    ([nn.Conv2d(2, 16, 3), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 2, 1)], ["Conv2d", "Identity", "Identity"]),
    ([nn.Conv2d(2, 8, (3, 1), stride=2), nn.Conv2d(8, 2, 1, stride=2)], ["Conv2d", "Identity"]),
    ([nn.ConvTranspose2d(2, 8, 2, stride=2), nn.Conv2d(8, 2, 1)], ["ConvTranspose2d", "Identity"]),
    ([nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3)], ["Identity", "Conv2d"]),
    ([nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")], ["Identity", "Conv2d"]),
    # a full convolution where there were two parts that cost less
    ([nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1)], ["Conv2d", "Conv2d"]),
    ([nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)], ["Conv2d", "Conv2d"]),
    # not exact
    ([nn.Conv2d(4, 32, 1), nn.Conv2d(32, 4, 3, padding=1)], ["Conv2d", "Conv2d"]),
    ([nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3, padding=1)], ["BatchNorm2d", "Conv2d"]),
    # more weights: cheaper or not depends on the size of the picture
    ([nn.Conv2d(2, 2, 3), nn.AvgPool2d(2)], ["Conv2d", "AvgPool2d"]),
    ([nn.Conv2d(2, 2, 3, stride=2), nn.Conv2d(2, 2, 2, stride=2)], ["Conv2d", "Conv2d"]),
]


@pytest.mark.parametrize(("layers", "expected"), NEIGHBOURS)
def test_linear_neighbours(layers: list[nn.Module], expected: list[str]) -> None:
    model = unlike_new(nn.Sequential(*layers).double()).eval()
    result, report = fused(model)
    assert kinds(result) == expected
    assert all(type(m).__module__.startswith("torch.") for m in result)
    channels = next(getattr(m, "in_channels", None) or m.num_features for m in layers)
    close(result, model, torch.randn(2, channels, 12, 13, dtype=torch.float64))
    assert bool(report.left) == ("Identity" not in expected)


def test_an_example_decides_what_depends_on_the_size() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 3), nn.AvgPool2d(2)).double().eval()
    large, small = (torch.randn(1, 2, n, n, dtype=torch.float64) for n in (32, 4))
    result, report = fused(model, large)
    assert kinds(result) == ["Conv2d", "Identity"]
    close(result, model, large)
    assert report.after.operations < report.before.operations
    assert report.after.moved < report.before.moved
    result, report = fused(model, small)
    assert kinds(result) == ["Conv2d", "AvgPool2d"]
    assert report.left == {"0, 1": "as one convolution they would move more bytes"}


def test_operations_are_counted_and_said() -> None:
    _, report = fused(nn.Sequential(nn.Conv1d(8, 8, 3, groups=8), nn.Conv1d(8, 8, 1)), torch.randn(1, 8, 12))
    assert report.left == {"0, 1": "as one convolution they would take 1,920 operations instead of 880"}
    assert report.before.operations == report.after.operations == 880


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("order", ["pool relu", "relu pool"])
def test_convolution_pooling_and_relu_become_one(order: str, ours: bool) -> None:
    pool, relu = nn.MaxPool2d((2, 3)), nn.ReLU(inplace=True)
    rest = (pool, relu) if order == "pool relu" else (relu, pool)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False), *rest, nn.Flatten())
    model = lightconv.convert(model.double()) if ours else model.double()
    result, report = fused(model)
    assert kinds(result) == ["ConvMaxPoolReLU", "Identity", "Identity", "Flatten"]
    assert result[0].pool_size == (2, 3)
    assert result[0].weight is model[0].weight
    assert list(result.state_dict()) == list(model.state_dict())
    assert report.fused == [("0", "ConvMaxPoolReLU", "0, 1, 2")]
    close(result, model, torch.randn(2, 2, 9, 10, dtype=torch.float64))


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3, 2),
        nn.MaxPool2d(2, padding=1),
        nn.MaxPool2d(2, dilation=2),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2),
    ],
)
def test_other_pooling_stays(pool: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), pool).double()
    assert kinds(fused(model)[0]) == kinds(model)


def test_pooling_without_relu_stays() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Conv2d(2, 2, 1), nn.ReLU())
    assert kinds(fused(model)[0]) == kinds(model)


def conv_norm(**options: Any) -> nn.Sequential:
    return unlike_new(nn.Sequential(nn.Conv1d(2, 2, 3, padding=1, **options), nn.BatchNorm1d(2)).double()).eval()


class Twice(nn.Module):
    """One convolution, two batch normalisations."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a, self.b = nn.Conv1d(2, 2, 3, padding=1), nn.BatchNorm1d(2), nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.conv(self.a(self.conv(x))))


class Tied(nn.Module):
    """The same pair under two names, called once each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.second = nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), nn.BatchNorm1d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Skips(nn.Module):
    """What the convolution gives is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 2, 3, padding=1), nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class Borrows(Skips):
    """Somebody uses the convolution's weights."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + F.conv1d(x, self.conv.weight, padding=1)


class Asks(Skips):
    """What is computed depends on an attribute that changes."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return y if self.conv.bias is None else y + 1


class Optional(Skips):
    """The second argument, left out or not, decides who reads the convolution."""

    def forward(self, x: Tensor, more: Tensor | None = None, raw: bool = False) -> Tensor:
        y = self.conv(x)
        if raw:
            return y
        return self.norm(y) if more is None else self.norm(y + more)


class Branches(Skips):
    """torch.fx cannot follow: the path depends on the values."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) if x.sum() > 0 else y


class Watched(Skips):
    def __init__(self) -> None:
        super().__init__()
        self.conv.register_forward_hook(lambda module, args, y: None)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Patched(Skips):
    def __init__(self) -> None:
        super().__init__()
        original = self.conv.forward
        self.conv.forward = lambda x: 2 * original(x)  # type: ignore[method-assign]

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Normed(Skips):
    def __init__(self) -> None:
        super().__init__()
        self.conv = parametrizations.weight_norm(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class Slices(nn.Module):
    """Not to be followed, and reads between the layers of its child."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, 2, 3, padding=1), nn.BatchNorm1d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[0](x) if x.sum() > 0 else self.layers(x)


class Loops(Slices):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            for child in self.children():
                x = next(iter(child))(x)
        return x


UNSAFE = [
    (Twice, "conv, a", "conv is used more than once"),
    (Tied, "first.0, first.1", "first.0 is used more than once"),
    (Skips, "conv, norm", "conv is read elsewhere too"),
    (Borrows, "conv, norm", "conv has its parameters read from outside"),
    (Optional, "conv, norm", "conv is read elsewhere too|norm does not always read conv"),
    (Branches, "", r"\(Branches\) could not be followed: symbolically traced variables"),
    (Watched, "conv, norm", "conv has hooks"),
    (Normed, "conv, norm", "conv is parametrised"),
    (Slices, "", r"\(Slices\) could not be followed"),
    (Loops, "", r"\(Loops\) could not be followed"),
]


@pytest.mark.parametrize(("cls", "name", "reason"), UNSAFE)
def test_what_somebody_else_looks_at_stays_and_is_reported(cls: type, name: str, reason: str) -> None:
    model = unlike_new(cls().double()).eval()
    result, report = fused(model)
    assert kinds(result) == kinds(model)
    assert re.search(reason, report.left[name])
    for sign in (1, -1):
        close(result, model, sign * torch.rand(2, 2, 9, dtype=torch.float64))


def test_a_patched_forward_stays() -> None:
    model = unlike_new(Patched().double()).eval()
    result, _ = fused(model)
    assert kinds(result) == kinds(model)
    close(result, model, torch.rand(2, 2, 9, dtype=torch.float64))


def test_a_path_that_depends_on_what_changes_is_noticed() -> None:
    model = unlike_new(Asks().double()).eval()
    model.conv.bias = None
    result, report = fused(model)
    assert kinds(result) == kinds(model)
    assert "depends on the layers' attributes" in report.left[""]
    close(result, model, torch.rand(2, 2, 9, dtype=torch.float64))


def test_training_mode_is_left_alone() -> None:
    model = conv_norm().train()
    x = torch.randn(4, 2, 9, dtype=torch.float64)
    result, report = fused(model, x)
    assert kinds(result) == ["Conv1d", "BatchNorm1d"]
    assert "call eval() first" in report.left["0, 1"]
    assert "0, 1: BatchNorm1d in training mode" in str(report)
    model = nn.Sequential(nn.Conv1d(2, 2, 3), nn.BatchNorm1d(2, track_running_stats=False)).eval()
    assert kinds(fused(model)[0]) == ["Conv1d", "BatchNorm1d"]


class Whole(nn.Module):
    """Not to be followed, but calls its child as a whole."""

    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.child = child

    def forward(self, x: Tensor) -> Tensor:
        return self.child(x) if x.sum() > 0 else self.child(-x)


def test_children_of_what_cannot_be_followed_are_fused_if_called_as_a_whole() -> None:
    model = Whole(conv_norm())
    result, report = fused(model)
    assert kinds(result) == ["Conv1d", "Identity"]
    assert list(report.left) == [""]
    for sign in (1, -1):
        close(result, model, sign * torch.rand(2, 2, 9, dtype=torch.float64))


def test_a_hook_on_a_container_sees_what_it_saw() -> None:
    seen: list[Tensor] = []
    inner = conv_norm()
    inner.register_forward_hook(lambda module, args, y: seen.append(y))
    model = nn.Sequential(inner, nn.BatchNorm1d(2).double()).eval()
    result, _ = fused(model)
    assert kinds(result) == ["Conv1d", "Identity", "BatchNorm1d"]
    x = torch.rand(2, 2, 9, dtype=torch.float64)
    seen.clear()
    close(result, model, x)
    torch.testing.assert_close(seen[0], seen[1])


class Remembers(nn.Module):
    """Keeps what it sees, asks whether it is a tensor, and takes a list."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = conv_norm()
        self.last: Any = None
        self.calls = 0

    def forward(self, x: Any) -> Tensor:
        parts = [x] if isinstance(x, Tensor) else x
        self.calls += 1
        self.last = self.pair(torch.cat(parts, 1))
        return self.last


def test_tracing_leaves_no_trace() -> None:
    model = Remembers().eval()
    result, _ = fused(model)
    assert (model.calls, model.last, result.calls, result.last) == (0, None, 0, None)
    assert kinds(result) == ["Conv1d", "Identity"]
    close(result, model, torch.rand(2, 2, 9, dtype=torch.float64))


def test_modules_of_our_own_and_our_functions_are_followed() -> None:
    class Ours(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = lightconv.convert(conv_norm())

        def forward(self, x: Tensor) -> Tensor:
            return lightconv.functional.max_pool1d(self.pair(x), 2)

    model = Ours()
    result, _ = fused(model)
    assert type(result.pair[0]) is lightconv.nn.Conv1d
    assert kinds(result) == ["Conv1d", "Identity"]
    close(result, model, torch.rand(2, 2, 9, dtype=torch.float64))


def test_subclasses_and_single_layers() -> None:
    class Named(nn.Conv1d):
        pass

    model = unlike_new(nn.Sequential(Named(2, 2, 3), nn.BatchNorm1d(2))).eval()
    assert type(lightconv.fuse(model)[0]) is Named
    conv = nn.Conv1d(1, 1, 3)
    assert lightconv.fuse(conv).weight is conv.weight


class Program(nn.Module):
    """Layers applied in an order that was drawn: each step reads an earlier result, or adds two."""

    def __init__(self, layers: list[nn.Module], steps: list[tuple[int, int, int]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        known = [x]
        for layer, one, other in self.steps:
            one, other = one % len(known), other % len(known)
            y = known[-1 - one] if layer < 0 else self.layers[layer](known[-1 - one])
            known.append(y + known[-1 - other] if layer < 0 else y)
        return known[-1]


KINDS: list[Callable[[], nn.Module]] = [
    lambda: nn.Conv2d(2, 2, 3, padding=1),
    lambda: nn.Conv2d(2, 2, 1, bias=False),
    lambda: nn.ConvTranspose2d(2, 2, 3, padding=1),
    lambda: nn.BatchNorm2d(2),
    lambda: nn.BatchNorm2d(2),
    lambda: nn.AvgPool2d(3, 1, 1),
    lambda: nn.ReLU(),
    lambda: nn.Dropout2d(),
    lambda: nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)),
    lambda: lightconv.nn.Conv2d(2, 2, 3, padding=1, groups=2),
]


@st.composite
def programs(draw: DrawFn) -> Program:
    torch.manual_seed(draw(st.integers(0, 99)))
    layers = [draw(st.sampled_from(KINDS))() for _ in range(draw(st.integers(1, 8)))]
    used = st.integers(-1, len(layers) - 1)
    far = st.sampled_from((0, 0, 0, 0, 1, 2))
    steps = [(i, draw(far), 0) for i in range(len(layers))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0 if steps else 1, 6))):
        steps.insert(draw(st.integers(0, len(steps))), (draw(used), draw(far), draw(far)))
    model = unlike_new(Program(layers, steps).double())
    for module in layers:
        if draw(st.integers(0, 9)) == 0:
            module.register_forward_hook(lambda module, args, y: None)
    return model.eval()


def stays_equal(model: Program) -> None:
    x = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    with lightconv.backend("aten"):
        expected = model(x).detach()
        seen: list[Tensor] = []
        for module in model.layers:
            if module._forward_hooks:
                module.register_forward_hook(lambda module, args, y: seen.append(y))
        model(x)
        once = list(seen)
        result = lightconv.fuse(model)
        seen.clear()
        torch.testing.assert_close(result(x), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))
        torch.testing.assert_close(seen, once, rtol=1e-9, atol=1e-9)
    event(f"{kinds(result).count('Identity')} merged")


@settings(max_examples=80)
@given(programs())
def test_drawn_programs_stay_equal(model: Program) -> None:
    stays_equal(model)


@pytest.mark.long
@settings(max_examples=1500, derandomize=False)
@given(programs())
def test_many_drawn_programs_stay_equal(model: Program) -> None:
    stays_equal(model)


@pytest.mark.parametrize("name", MODELS)
def test_known_architectures(name: str) -> None:
    model, x = make(name)
    model.eval()
    if name in ("segnet", "fcn_head"):
        model = lightconv.convert(model, report=lambda summary: None)
    result, report = fused(model)
    expected = model(x).detach()
    largest = float(expected.detach().abs().max())
    torch.testing.assert_close(result(x), expected, rtol=1e-9, atol=1e-9 * largest)
    if name != "squeezenet1_1":  # without batch normalisation, and its pooling overlaps
        assert report.fused
        assert not any("BatchNorm" in kind for kind in kinds(result))
    assert report.after.parameters <= report.before.parameters
    assert kinds(result).count("ConvMaxPoolReLU") == {"vgg11_bn": 5}.get(name, 0)


def test_stacks_cost_less_afterwards() -> None:
    """What the three kinds of fusion save: batch normalisation, linear neighbours, blocks."""
    torch.manual_seed(0)
    stacks = {
        "norm": nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)),
        "linear": nn.Sequential(nn.Conv2d(8, 64, 1), nn.Conv2d(64, 8, 3), nn.Conv2d(8, 8, 1)),
        "block": nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
    }
    for stack in stacks.values():
        result, report = fused(unlike_new(stack).eval(), torch.randn(1, 8, 20, 20))
        assert report.difference is not None
        assert report.difference < 1e-5
        assert report.after.operations < report.before.operations
        assert report.after.moved < report.before.moved
        assert report.after.parameters <= report.before.parameters
        assert report.milliseconds is not None
        assert min(report.milliseconds) > 0
        text = str(report)
        assert re.search(rf"operations +{report.before.operations:,} +{report.after.operations:,}", text)
        assert "milliseconds" in text
    assert kinds(result) == ["ConvMaxPoolReLU", "Identity", "Identity"]


def test_smaller_onnx_files_follow(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = lightconv.convert(nn.Sequential(nn.Conv2d(8, 64, 1), nn.Conv2d(64, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    model = unlike_new(model).eval()
    x = torch.randn(1, 8, 9, 9)
    before = to_onnx(model, x, tmp_path / "before.onnx")
    after = to_onnx(lightconv.fuse(model), x, tmp_path / "after.onnx")
    assert (before.nodes["Conv"], after.nodes) == (2, {"Conv": 1, "Relu": 1})
    assert after.size < before.size / 2


def test_counts_are_those_of_the_literature() -> None:
    """He et al. (2016), table 1: 1.8 billion multiply-additions for ResNet-18."""
    model, _ = make("resnet18", torch.float32)
    model.fc = nn.Linear(512, 1000)
    cost = lightconv.surgery.count(model.to("meta").eval(), torch.zeros(1, 3, 224, 224, device="meta"))
    assert cost.operations == pytest.approx(1.82e9, rel=0.01)
    assert cost.parameters == pytest.approx(11.69e6, rel=0.01)


def test_dtype_memory_format_and_what_trains_are_kept() -> None:
    model = unlike_new(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).eval()
    model = model.to(memory_format=torch.channels_last).to(torch.bfloat16).requires_grad_(False)
    conv = lightconv.fuse(model)[0]
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert (conv.weight.dtype, conv.bias.dtype) == (torch.bfloat16, torch.bfloat16)
    assert not conv.weight.requires_grad
    assert not conv.training


@pytest.mark.parametrize("example", ["x", {"a": 1}, [1, 2], torch.ones(1, 1, 8).numpy()])
def test_an_example_without_tensors_is_refused(example: object) -> None:
    with pytest.raises(TypeError, match="Expected `example` to be the model's input, or a tuple of all, but got"):
        lightconv.fuse(nn.Conv1d(1, 2, 3), example)


def test_meta_tensors_stay() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)).to("meta").eval()
    result, report = fused(model)
    assert kinds(result) == ["Conv1d", "BatchNorm1d"]
    assert "meta device" in report.left["0, 1"]
