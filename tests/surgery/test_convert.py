"""Modules exchanged: what stays the same object, what stays behind, and that the argument is not touched."""

import copy
import functools
import pickle
import re
import warnings
from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
import torchmetrics
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils import parametrizations, parametrize, weight_norm

import lightconv
from lightconv.surgery import Conversion
from lightconv.surgery.pairs import pairs

LAYERS = {
    "Conv": (4, 4, 3),
    "ConvTranspose": (4, 4, 3),
    "LazyConv": (4, 3),
    "LazyConvTranspose": (4, 3),
    "MaxPool": (2,),
    "AvgPool": (2,),
    "MaxUnpool": (2,),
    "AdaptiveAvgPool": (2,),
    "AdaptiveMaxPool": (2,),
    "Upsample": (None, 2),
    "UpsamplingNearest": (None, 2),
    "UpsamplingBilinear": (None, 2),
    "Unfold": (3,),
    "Fold": (6, 3),
}


def quiet(model: nn.Module) -> nn.Module:
    return lightconv.convert(model, report=lambda summary: None)


def summary_of(model: nn.Module, function=lightconv.convert) -> Conversion:
    found: list[Conversion] = []
    function(model, report=found.append)
    return found[0]


def is_ours(module: nn.Module) -> bool:
    return any(c.__module__.startswith("lightconv.nn") for c in type(module).__mro__)


@pytest.mark.parametrize("theirs", pairs(), ids=lambda cls: cls.__name__)
def test_every_layer_becomes_ours_and_torchs_again(theirs: type) -> None:
    layer = theirs(*LAYERS[re.sub(r"\dd$", "", theirs.__name__)])
    converted = lightconv.convert(layer)
    assert type(converted) is getattr(lightconv.nn, theirs.__name__) is pairs()[theirs]
    assert type(layer) is theirs
    assert repr(converted) == repr(layer)
    assert type(lightconv.revert(converted)) is theirs


def test_pairs_leave_nothing_out() -> None:
    names = {name for name in lightconv.nn.__all__ if hasattr(nn, name)}
    assert {cls.__name__ for cls in pairs()} == names
    assert len(names) >= 14


def block() -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 4, 3, padding=1), norm=nn.BatchNorm2d(4), relu=nn.ReLU(), up=nn.ConvTranspose2d(4, 1, 2)
        )
    )


def test_parameters_and_buffers_are_the_same_objects_and_the_modules_new() -> None:
    model = block().to(memory_format=torch.channels_last).double()
    model.norm.eval()
    before = [(name, type(module), id(module)) for name, module in model.named_modules()]
    converted = lightconv.convert(model)
    assert [(name, type(module), id(module)) for name, module in model.named_modules()] == before
    assert not {id(m) for m in model.modules()} & {id(m) for m in converted.modules()}
    for mine, theirs in ((converted.parameters, model.parameters), (converted.buffers, model.buffers)):
        assert [id(value) for value in mine()] == [id(value) for value in theirs()]
    assert list(converted.state_dict()) == list(model.state_dict())
    assert [m.training for m in converted.modules()] == [m.training for m in model.modules()]
    assert converted.conv.weight.is_contiguous(memory_format=torch.channels_last)
    converted.conv.padding = 0
    converted.extra = nn.ReLU()
    assert model.conv.padding == (1, 1)
    assert not hasattr(model, "extra")


def test_an_optimizer_of_the_original_trains_the_converted_model() -> None:
    model = block()
    optimizer = torch.optim.Adam(model.parameters())
    x = torch.randn(2, 1, 6, 6)
    model(x).sum().backward()
    optimizer.step()
    converted = lightconv.convert(model)
    optimizer.zero_grad()
    converted(x).sum().backward()
    before = model.conv.weight.clone()
    optimizer.step()
    assert not torch.equal(converted.conv.weight, before)
    assert optimizer.state[converted.conv.weight]["step"] == 2


def test_tied_modules_stay_tied_and_tied_parameters_too() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.again = nn.Conv1d(2, 2, 3, padding=1)
            self.other = nn.Conv1d(2, 2, 3, padding=1)
            self.other.weight = self.first.weight
            self.shortcuts = [self.first, {"other": (self.other,)}]
            self.call = functools.partial(self.run, self.other)

        def run(self, layer: nn.Module, x: Tensor) -> Tensor:
            return layer(self.first(x))

        def forward(self, x: Tensor) -> Tensor:
            return self.call(x)

    model = Tied()
    converted = lightconv.convert(model)
    assert converted.again is converted.first is converted.shortcuts[0] is not model.first
    assert converted.other is converted.shortcuts[1]["other"][0] is converted.call.args[0]
    assert converted.call.func.__self__ is converted
    assert converted.other.weight is converted.first.weight is model.first.weight
    assert model.shortcuts[0] is model.first
    seen: list[nn.Module] = []
    for layer in (converted.first, converted.other):
        layer.register_forward_hook(lambda module, args, y: seen.append(module))
    torch.testing.assert_close(converted(torch.ones(1, 2, 5)), model(torch.ones(1, 2, 5)))
    assert seen == [converted.first, converted.other]
    assert summary_of(model).replaced == {"first": "Conv1d", "other": "Conv1d"}


def test_a_child_that_is_None_or_knows_its_parent() -> None:
    model = nn.Sequential(nn.Conv1d(1, 1, 1))
    model.register_module("missing", None)
    model[0].parent = [model]
    converted = lightconv.convert(model)
    assert converted.missing is None
    assert converted[0].parent[0] is converted
    assert model[0].parent[0] is model


class Recorder:
    """Something with a state that is not the model's."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, *args: object) -> None:
        self.seen.append(type(args[0]).__module__)

    def method(self, *args: object) -> None:
        self.seen.append("method")


class Watching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3)
        self.count = 0
        self.handle = self.conv.register_forward_hook(self.note)
        self.describe = lambda: type(self.conv).__module__
        self._register_load_state_dict_pre_hook(self.loading, with_module=False)
        self.conv._register_load_state_dict_pre_hook(lambda module, *_: module.seen.append(1), with_module=True)
        self.conv.seen = []

    def loading(self, *_: object) -> None:
        self.count += 10

    def note(self, *_: object) -> None:
        self.count += 1

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def test_hooks_stay_the_same_objects() -> None:
    conv, recorder, notes = nn.Conv1d(1, 1, 3), Recorder(), []

    def hook(module: nn.Module, args: object, y: Tensor) -> None:
        notes.append(module is conv)

    conv.register_forward_hook(hook)
    conv.register_forward_pre_hook(recorder)
    conv.register_full_backward_hook(recorder.method)
    converted = lightconv.convert(conv)
    assert list(converted._forward_hooks.values()) == [hook]
    assert list(converted._forward_pre_hooks.values()) == [recorder]
    converted(torch.ones(1, 1, 5, requires_grad=True)).sum().backward()
    assert notes == [False]
    assert recorder.seen == ["lightconv.nn.conv", "method"]
    converted._forward_hooks.clear()
    assert list(conv._forward_hooks.values()) == [hook]


def test_hooks_and_functions_of_the_model_itself_follow_it() -> None:
    model = Watching()
    converted = lightconv.convert(model)
    converted(torch.ones(1, 1, 5))
    assert (model.count, converted.count) == (0, 1)
    assert (model.describe(), converted.describe()) == ("torch.nn.modules.conv", "lightconv.nn.conv")
    converted.handle.remove()
    converted(torch.ones(1, 1, 5))
    model(torch.ones(1, 1, 5))
    assert (model.count, converted.count) == (1, 1)
    converted.load_state_dict(model.state_dict())
    assert (model.count, converted.count) == (1, 11)
    assert converted.conv.seen == [1]
    assert model.conv.seen == []


def test_parametrisations_are_kept() -> None:
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), parametrizations.spectral_norm(nn.Linear(4, 4))
    )
    converted = lightconv.convert(model)
    conv = converted[0]
    assert isinstance(conv, lightconv.nn.Conv2d)
    assert type(conv).__name__ == "ParametrizedConv2d"
    assert parametrize.is_parametrized(conv, "weight")
    assert [id(p) for p in converted.parameters()] == [id(p) for p in model.parameters()]
    x = torch.randn(1, 2, 6, 6)
    torch.testing.assert_close(conv(x), model[0](x))
    parametrize.register_parametrization(conv, "bias", nn.Tanh())
    parametrize.remove_parametrizations(conv, "weight")
    assert not parametrize.is_parametrized(model[0], "bias")
    assert parametrize.is_parametrized(model[0], "weight")
    assert isinstance(model[0].bias, nn.Parameter)
    torch.testing.assert_close(model[0](x), F.conv2d(x, model[0].weight, model[0].bias))
    parametrize.remove_parametrizations(conv, "bias")
    assert type(conv) is lightconv.nn.Conv2d
    back = lightconv.revert(lightconv.convert(model))[0]
    assert type(back).__bases__ == (nn.Conv2d,)
    assert torch.equal(back(x), model[0](x))
    assert summary_of(model).replaced == {"0": "Conv2d"}


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_weight_norm_of_old() -> None:
    conv = weight_norm(nn.Conv1d(2, 3, 3))
    converted = lightconv.convert(conv)
    x = torch.randn(1, 2, 6)
    with torch.no_grad():
        conv.weight_g.mul_(2)
    torch.testing.assert_close(converted(x), conv(x))


def test_lazy_layers_become_ours_when_they_run() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.LazyConvTranspose2d(2, 3))
    converted = lightconv.convert(model)
    assert type(converted[0]) is lightconv.nn.LazyConv2d
    converted(torch.zeros(1, 3, 8, 8))
    assert type(converted[0]) is lightconv.nn.Conv2d
    assert type(converted[2]) is lightconv.nn.ConvTranspose2d
    assert (converted[0].in_channels, converted[2].in_channels) == (3, 4)
    assert not converted[0]._forward_pre_hooks
    assert type(model[0]) is nn.LazyConv2d
    model(torch.zeros(1, 3, 8, 8))
    assert type(model[0]) is nn.Conv2d
    assert model[0].weight is converted[0].weight


class Named(nn.Conv2d):
    """Only made in another way: computes as Conv2d."""

    def __init__(self, channels: int, note: str = "") -> None:
        super().__init__(channels, channels, 3, padding=1)
        self.note = note

    def describe(self) -> str:
        return f"{self.note} {self.out_channels}"


class Standardized(nn.Conv2d):
    """Weight standardisation: computes in its own way."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Doubling(nn.Conv2d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, 2 * weight, bias)


def test_subclasses_that_compute_as_their_base_are_converted() -> None:
    model = nn.Sequential(Named(2, "note"))
    converted = lightconv.convert(model)
    layer = converted[0]
    assert isinstance(layer, Named)
    assert isinstance(layer, lightconv.nn.Conv2d)
    assert layer.describe() == "note 2"
    assert type(layer).__name__ == "Named"
    x = torch.randn(1, 2, 5, 5, requires_grad=True)
    torch.testing.assert_close(layer(x), model[0](x))
    assert "Convolution" not in layer(x).grad_fn.name()
    for twin in (copy.deepcopy(converted), pickle.loads(pickle.dumps(converted))):
        assert type(twin[0]) is type(layer)
        assert torch.equal(twin[0].weight, layer.weight)
    assert lightconv.convert(converted)[0].__class__ is type(layer)
    assert type(lightconv.revert(converted)[0]) is Named


class Causal(nn.Conv1d):
    """Sees no later sample: padded at both ends, cut at the high one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[..., : x.shape[-1]]


class Scaled(nn.ConvTranspose2d):
    def forward(self, x: Tensor, output_size: object = None) -> Tensor:
        return 2 * super().forward(x, output_size)


class Colliding(nn.Conv2d):
    """Has a method that our layers use for something else."""

    def forward(self, x: Tensor) -> Tensor:
        return self._compute(super().forward(x))

    def _compute(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Causal(1, 2, 3, padding=2), (1, 1, 9)),
        (Scaled(1, 2, 3), (1, 1, 5, 5)),
        (Doubling(1, 2, 3), (1, 1, 5, 5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_that_go_on_to_their_base_are_converted(layer: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, requires_grad=True)
    converted = lightconv.convert(layer)
    assert is_ours(converted)
    assert isinstance(converted, type(layer))
    torch.testing.assert_close(converted(x), layer(x))
    names, waiting = set(), [converted(x).grad_fn]
    while waiting:
        node = waiting.pop()
        names.add(node.name())
        waiting += [following for following, _ in node.next_functions if following is not None]
    assert not any(name.startswith("Convolution") for name in names)
    assert type(lightconv.revert(converted)) is type(layer)


def test_subclasses_with_a_forward_of_their_own_are_left_alone_and_reported() -> None:
    own = nn.Conv2d(2, 2, 3)
    own.forward = lambda x: x  # type: ignore[method-assign]
    model = nn.Sequential(Standardized(2, 2, 3), Colliding(2, 2, 3), own, nn.Conv2d(2, 2, 3))
    with pytest.warns(UserWarning, match="3 modules kept arithmetic as it was: 0, 1, 2; pass report=print"):
        converted = lightconv.convert(model)
    assert [type(m) for m in converted[:3]] == [Standardized, Colliding, nn.Conv2d]
    assert is_ours(converted[3])
    assert converted[0] is not model[0]
    summary = summary_of(model)
    assert list(summary.left) == ["0", "1", "2"]
    assert "Standardized" in summary.left["0"]
    assert "computes in a way of its own" in str(summary)


def upsampled(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2)


class Calls(nn.Module):
    factor = 2

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(upsampled(F.relu(x)))

    def pooled(self, x: Tensor) -> Tensor:
        return self.product(torch.conv2d(x, torch.ones(1, 1, 2, 2)))

    @property
    def product(self):  # type: ignore[no-untyped-def]
        return lambda x: [torch.nn.functional.unfold(y, 2) for y in x]

    def unused(self, x: Tensor) -> Tensor:
        return F.fold(x, 2, 2)


class Inherits(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


@pytest.mark.parametrize("cls", [Calls, Inherits])
def test_function_calls_that_no_exchange_of_modules_reaches_are_reported(cls: type) -> None:
    model = nn.Sequential(cls(), nn.Conv2d(1, 1, 1))
    calls = ["torch.nn.functional.conv2d", "torch.nn.functional.interpolate", "torch.nn.functional.unfold"]
    summary = summary_of(model)
    assert summary.calls == {"0": calls}
    assert f"0 calls {', '.join(calls)}" in str(summary)
    with pytest.warns(UserWarning, match="1 module kept"):
        lightconv.convert(model)


def test_our_own_functions_and_models_are_not_reported() -> None:
    from lightconv.tasks import networks

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lightconv.convert(networks.mnist1d_light())
        lightconv.convert(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Linear(1, 1), nn.MultiheadAttention(4, 2)))


def test_the_summary_counts() -> None:
    model = nn.Sequential(
        *(nn.Conv1d(1, 1, 1) for _ in range(6)), nn.Sequential(nn.ReLU(), nn.ConvTranspose1d(1, 1, 1))
    )
    summary = summary_of(model)
    assert str(summary).splitlines() == [
        "7 of 10 modules exchanged",
        "layer            number  names",
        "Conv1d                6  0, 1, 2, ..., 5",
        "ConvTranspose1d       1  6.1",
    ]
    assert str(summary_of(nn.ReLU())) == "0 of 1 modules exchanged"
    assert summary_of(lightconv.convert(model), lightconv.revert).replaced == summary.replaced


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_scripted_and_compiled_parts_are_taken_over_and_reported() -> None:
    scripted = torch.jit.script(nn.Conv1d(1, 1, 3))
    compiled = torch.compile(nn.Conv1d(1, 1, 3), backend="eager")
    model = nn.Sequential(scripted, compiled, nn.Conv1d(1, 1, 3))
    summary = summary_of(model)
    assert list(summary.left) == ["0", "1"]
    assert "before torch.jit.script" in summary.left["0"]
    assert "before torch.compile" in summary.left["1"]
    converted = quiet(model)
    assert converted[0] is scripted
    assert converted[1] is compiled
    assert is_ours(converted[2])


def test_traced_graphs_are_converted() -> None:
    traced = torch.fx.symbolic_trace(block())
    converted = lightconv.convert(traced)
    assert is_ours(converted.conv)
    assert type(traced.conv) is nn.Conv2d
    assert converted.graph is not traced.graph
    x = torch.randn(1, 1, 6, 6)
    torch.testing.assert_close(converted.eval()(x), traced.eval()(x))


def test_what_revert_cannot_take_back_is_reported() -> None:
    class Derived(lightconv.nn.Conv2d):
        pass

    model = nn.Sequential(Derived(1, 1, 3), lightconv.nn.Duplicate(2), lightconv.nn.Conv2d(1, 1, 3))
    found: list[Conversion] = []
    reverted = lightconv.revert(model, report=found.append)
    assert [type(m) for m in reverted] == [Derived, lightconv.nn.Duplicate, nn.Conv2d]
    assert list(found[0].left) == ["0", "1"]
    assert "no counterpart" in found[0].left["1"]


class Measured(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 2, 3)
        self.accuracy = torchmetrics.MeanMetric()


def test_metrics_within_the_model_count_for_themselves() -> None:
    model = Measured()
    converted = lightconv.convert(model)
    converted.accuracy.update(3.0)
    model.accuracy.update(1.0)
    assert (float(model.accuracy.compute()), float(converted.accuracy.compute())) == (1.0, 3.0)


def test_meta_tensors_and_bare_parameters() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.constant = torch.ones(3)
            self.alias = self.scale.data
            self.convs = nn.ModuleDict({"a": nn.Conv1d(1, 1, 3, device="meta")})
            self.parameters_too = nn.ParameterList([self.scale])

    model = Bare()
    converted = lightconv.convert(model)
    assert is_ours(converted.convs["a"])
    assert converted.convs["a"].weight.is_meta
    assert converted.constant is not model.constant
    assert converted.alias is model.alias
    assert converted.parameters_too[0] is model.scale


@pytest.mark.parametrize("function", [lightconv.convert, lightconv.revert, lightconv.fuse])
def test_something_else_than_a_module_is_refused(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match=r"Expected `model` to be an nn\.Module, but got list"):
        function([nn.Conv1d(1, 1, 1)])
