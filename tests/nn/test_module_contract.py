"""Every Module goes through every check, driven by the tables in `tests/cases`; torch's Module is the truth."""

import copy
import inspect
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from cases import LAYERS
from contract import (
    KINDS,
    Call,
    Layer,
    Subject,
    _own_work,
    _Recorder,
    agree,
    attempt,
    floating,
    outputs,
    quiet,
    random_like,
    same,
    sentence,
    tensors,
)
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

LAZY = ("LazyConv", "LazyConvTranspose")


def rows(few: int | None = None, names: tuple[str, ...] = ()) -> Any:
    """Parametrise by layer and case; with `few`, the others are for the long run."""

    def each() -> Iterator[Any]:
        for layer in LAYERS:
            if names and not layer.name.startswith(names):
                continue
            for number, (name, (make, given)) in enumerate(layer.cases.items()):
                marks = [pytest.mark.long] if few is not None and number >= few else []
                yield pytest.param(layer, make, given, id=f"{layer.name}-{name}", marks=marks)

    return pytest.mark.parametrize(("layer", "make", "given"), list(each()))


def built(cls: type[nn.Module], make: Call, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Return the Module, its parameters initialised from a fixed seed."""
    torch.manual_seed(0)
    args, kwargs = make.make()
    with quiet():
        return cls(*args, **kwargs).to(dtype)


def pair(subject: Subject, layer: Layer, make: Call, given: Call, dtype: torch.dtype = torch.float64) -> Any:
    """Return our Module and torch's, initialised alike (a lazy one by its first call), and the arguments of forward."""
    ours, theirs = built(subject.layer(layer), make, dtype), built(layer.truth, make, dtype)
    args, kwargs = given.make(dtype)
    if layer.name.startswith(LAZY):
        for module in (ours, theirs):
            torch.manual_seed(1)
            module(*args, **kwargs)
            module.to(dtype)
    return ours, theirs, args, kwargs


def gradients(module: nn.Module, args: list[Any], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
    leaves = [t.detach().clone().requires_grad_() if t.is_floating_point() else t for t in tensors((args, kwargs))]
    left = iter(leaves)
    args = [next(left) if isinstance(a, Tensor) else a for a in args]
    first = floating(module(*args, **kwargs))
    wanted = [t for t in (*leaves, *module.parameters()) if t.requires_grad]
    return torch.autograd.grad(first, wanted, [random_like(r) for r in first])


@rows()
def test_initialisation_is_torchs(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """The same seed gives the same parameters, and leaves the generator in the same state."""
    ours = built(subject.layer(layer), make)
    after = torch.get_rng_state()
    theirs = built(layer.truth, make)
    assert torch.equal(after, torch.get_rng_state())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours, theirs, _, _ = pair(subject, layer, make, given)
    same(tuple(ours.state_dict().values()), tuple(theirs.state_dict().values()), tolerance=0.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@rows()
def test_values_and_gradients(subject: Subject, layer: Layer, make: Call, given: Call, dtype: torch.dtype) -> None:
    ours, theirs, args, kwargs = pair(subject, layer, make, given, dtype)
    same(ours(*args, **kwargs), theirs(*args, **kwargs))
    same(gradients(ours, args, kwargs), gradients(theirs, args, kwargs), what="gradient")


@rows()
def test_materials(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """Padding modes and output sizes included, no operator of torch does a layer's work."""
    if subject.name == "torch":
        pytest.skip("a promise that torch does not make")
    module, _, args, kwargs = pair(subject, layer, make, given)
    with _Recorder() as recorder:
        module(*args, **kwargs)
        gradients(module, args, kwargs)
    _own_work(recorder.names)


@rows()
def test_identity(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """It is torch's Module in every way but its arithmetic: type, name, repr and attributes."""
    ours, theirs, _, _ = pair(subject, layer, make, given)
    assert type(ours).__name__ == type(theirs).__name__
    assert repr(ours) == repr(theirs)
    if hasattr(nn, layer.name):
        assert isinstance(ours, type(theirs))
        assert isinstance(built(subject.layer(layer), make), layer.truth)
    if subject.name != "torch":
        assert type(ours).__module__.startswith("lightconv.")
    for name, value in vars(theirs).items():
        if not name.startswith("_") and isinstance(value, int | float | str | tuple | type(None)):
            assert getattr(ours, name) == value, name


@rows(few=1)
def test_constructor_takes_torchs_arguments(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    def parameters(cls: type[nn.Module]) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(cls).parameters.values() if p.kind.name != "VAR_KEYWORD"]

    if layer.theirs is None:
        assert parameters(subject.layer(layer)) == parameters(layer.truth)


@rows()
def test_state_dict_both_ways(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    ours, theirs, args, kwargs = pair(subject, layer, make, given)
    for source, target in ((ours, theirs), (theirs, ours)):
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.add_(0.5)
        target.load_state_dict(source.state_dict(), strict=True)
        same(target(*args, **kwargs), source(*args, **kwargs))


@rows(few=2)
def test_copies(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """deepcopy, pickle and torch.save keep type, repr and result."""
    module, _, args, kwargs = pair(subject, layer, make, given)
    expected = module(*args, **kwargs)
    saved = io.BytesIO()
    torch.save(module, saved)
    saved.seek(0)
    for other in (
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        torch.load(saved, weights_only=False),
    ):
        assert type(other) is type(module)
        assert repr(other) == repr(module)
        same(other(*args, **kwargs), expected, tolerance=0.0)
        assert all(a.data_ptr() != b.data_ptr() for a, b in zip(other.parameters(), module.parameters(), strict=True))


@rows(few=2)
def test_moves(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """Half precision, `meta`, channels_last, `skip_init` and `dtype` behave as torch's."""
    ours, theirs, args, kwargs = pair(subject, layer, make, given)
    half = [a.to(torch.bfloat16) if isinstance(a, Tensor) and a.is_floating_point() else a for a in args]
    ours, theirs = ours.to(torch.bfloat16), theirs.to(torch.bfloat16)
    mine, yours, error = agree(lambda: ours(*half, **kwargs), lambda: theirs(*half, **kwargs), "half precision")
    if error is None:
        same(mine, yours, tolerance=4e-2, what="half precision")
    ours, theirs, args, kwargs = pair(subject, layer, make, given)
    meta = [a.to("meta") if isinstance(a, Tensor) else a for a in args]
    for mine, yours in zip(
        outputs(copy.deepcopy(ours).to("meta")(*meta, **kwargs)), outputs(theirs(*args, **kwargs)), strict=True
    ):
        assert mine.device.type == "meta"
        assert mine.shape == yours.shape
    if args[0].dim() == 4 and not layer.name.endswith("3d") and all(args[0].shape):
        ours, theirs, args, kwargs = pair(subject, layer, make, given, torch.float32)
        for module in (ours, theirs):
            module.to(memory_format=torch.channels_last)
        laid = [a.contiguous(memory_format=torch.channels_last) if isinstance(a, Tensor) else a for a in args]
        mine, yours = ours(*laid, **kwargs), theirs(*laid, **kwargs)
        same(mine, yours)
        for a, b in zip(outputs(mine), outputs(yours), strict=True):
            if layer.theirs is None:
                assert a.is_contiguous(memory_format=torch.channels_last) == b.is_contiguous(
                    memory_format=torch.channels_last
                )
    lazy = layer.name.startswith(LAZY)
    if any(True for _ in ours.parameters()) and not lazy and subject.layer(layer) is not layer.theirs:
        made, options = make.make()
        made_double = subject.layer(layer)(*made, **options, dtype=torch.float64, device="meta")
        assert {(p.dtype, p.device.type) for p in made_double.parameters()} == {(torch.float64, "meta")}
        skipped = nn.utils.skip_init(subject.layer(layer), *made, **options)
        assert list(skipped.state_dict()) == list(ours.state_dict())


@rows(few=2)
def test_autocast(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    ours, theirs, args, kwargs = pair(subject, layer, make, given, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mine, yours = ours(*args, **kwargs), theirs(*args, **kwargs)
    same(mine, yours, tolerance=4e-2)


def compilations() -> Iterator[Any]:
    for layer in LAYERS:
        for number, (name, (make, given)) in enumerate(layer.cases.items()):
            for how in ("static", "dynamic"):
                long = number > 0 or how == "dynamic" or layer.name.endswith(("1d", "3d"))
                marks = [pytest.mark.long] if long else []
                yield pytest.param(layer, make, given, how == "dynamic", id=f"{layer.name}-{name}-{how}", marks=marks)


@pytest.mark.parametrize(("layer", "make", "given", "dynamic"), list(compilations()))
def test_compile(subject: Subject, layer: Layer, make: Call, given: Call, dynamic: bool) -> None:
    ours, _, args, kwargs = pair(subject, layer, make, given, torch.float32)
    torch._dynamo.reset()
    with quiet():
        compiled = torch.compile(ours, fullgraph=True, dynamic=dynamic, backend="aot_eager")
        same(compiled(*args, **kwargs), ours(*args, **kwargs))
        same(gradients(compiled, args, kwargs), gradients(ours, args, kwargs), tolerance=4e-5, what="gradient")
    torch._dynamo.reset()


@rows(few=1)
def test_export(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    ours, theirs, args, kwargs = pair(subject, layer, make, given, torch.float32)
    if not all(t.numel() for t in tensors((args, kwargs))):
        pytest.skip("an empty batch cannot be exported as a dynamic one")
    with quiet():
        program = torch.export.export(ours, tuple(args), kwargs)
    same(program.module()(*args, **kwargs), theirs(*args, **kwargs), tolerance=4e-5)
    assert set(program.state_dict) == set(theirs.state_dict())


@rows(few=2, names=("Conv", "ConvTranspose"))
def test_gradients_of_each_sample(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """functional_call under vmap and grad: one gradient a sample, as a loop gives them."""
    ours, theirs, args, kwargs = pair(subject, layer, make, given)
    if args[0].dim() != ours.weight.dim() or not args[0].shape[0] or len(args) > 1 or kwargs:
        pytest.skip("needs one batched argument")

    def loss(module: nn.Module, parameters: dict[str, Tensor], sample: Tensor) -> Tensor:
        return torch.func.functional_call(module, parameters, (sample,)).square().sum()

    parameters = dict(ours.named_parameters())
    many = torch.func.vmap(torch.func.grad(lambda p, x: loss(ours, p, x)), in_dims=(None, 0))(parameters, args[0])
    for number, sample in enumerate(args[0]):
        expected = torch.func.grad(lambda p, x=sample: loss(theirs, p, x))(dict(theirs.named_parameters()))
        for name, value in expected.items():
            same(many[name][number], value.detach(), what=f"gradient of sample {number}, {name}")


@rows(few=1, names=("Conv", "ConvTranspose"))
def test_an_ensemble(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """vmap over stacked parameters: several Modules at once."""
    _, _, args, kwargs = pair(subject, layer, make, given)
    modules = []
    for seed in range(3):
        torch.manual_seed(seed)
        made = make.make()
        modules.append(subject.layer(layer)(*made[0], **made[1]).double())
    parameters, buffers = torch.func.stack_module_state(modules)

    def run(p: Any, b: Any) -> Tensor:
        return torch.func.functional_call(modules[0], (p, b), tuple(args), kwargs)

    same(torch.func.vmap(run)(parameters, buffers), torch.stack([m(*args, **kwargs) for m in modules]))


def weight_norm(module: nn.Module) -> nn.Module:
    return parametrizations.weight_norm(module)


def old_weight_norm(module: nn.Module) -> nn.Module:
    with quiet():
        return nn.utils.weight_norm(module)


def spectral_norm(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return parametrizations.spectral_norm(module)


def orthogonal(module: nn.Module) -> nn.Module:
    return parametrizations.orthogonal(module)


def half_pruned(module: nn.Module) -> nn.Module:
    return prune.l1_unstructured(module, "weight", amount=0.5)


WRAPPERS = [weight_norm, old_weight_norm, spectral_norm, orthogonal, half_pruned]


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=lambda wrapper: wrapper.__name__)
@rows(few=1, names=("Conv", "ConvTranspose"))
def test_parametrised(
    subject: Subject, layer: Layer, make: Call, given: Call, wrapper: Callable[[nn.Module], nn.Module]
) -> None:
    """What torch wraps around a weight works around ours, and our arithmetic stays."""
    ours, theirs, args, kwargs = pair(subject, layer, make, given)
    wrapped, truth = wrapper(ours), wrapper(theirs)
    assert list(wrapped.state_dict()) == list(truth.state_dict())
    truth.load_state_dict(wrapped.state_dict())
    wrapped.eval(), truth.eval()
    with _Recorder() as recorder:
        result = wrapped(*args, **kwargs)
    if subject.name != "torch":
        _own_work(recorder.names)
    same(result, truth(*args, **kwargs))
    same(gradients(wrapped, args, kwargs), gradients(truth, args, kwargs), tolerance=1e-9, what="gradient")


@rows(names=LAZY)
def test_lazy(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """A lazy Module becomes ours, not torch's; until then its parameters wait, and it can be copied and loaded."""
    lazy, truth = (built(cls, make, torch.float32) for cls in (subject.layer(layer), layer.truth))
    assert repr(lazy) == repr(truth)
    assert lazy.has_uninitialized_params()
    copied = copy.deepcopy(lazy)
    args, kwargs = given.make(torch.float32)
    expected_class = subject.layer(Layer(layer.name.removeprefix("Lazy"), {}))
    for module in (lazy, copied, pickle.loads(pickle.dumps(copied))):
        module(*args, **kwargs)
        assert type(module) is expected_class
    ready, theirs, _, _ = pair(subject, layer, make, given, torch.float32)
    assert repr(ready) == repr(theirs)
    late = built(subject.layer(layer), make, torch.float32)
    late.load_state_dict(theirs.state_dict())
    same(late(*args, **kwargs), theirs(*args, **kwargs))


@pytest.mark.parametrize(
    ("layer", "bad", "argument"),
    [
        pytest.param(layer, bad, argument, id=f"{layer.name}-{name}")
        for layer in LAYERS
        for name, (bad, argument) in layer.errors.items()
    ],
)
def test_bad_constructor_arguments(subject: Subject, layer: Layer, bad: Call, argument: str | None) -> None:
    """What torch refuses is refused as the same kind; where the message is ours, it names the argument."""
    args, kwargs = bad.make()
    _, _, error = agree(
        lambda: subject.layer(layer)(*args, **kwargs), lambda: layer.truth(*args, **kwargs), "bad constructor"
    )
    assert error is not None, "neither we nor torch refuse it: it is no bad call"
    if argument is not None:
        assert argument in str(error)


@rows(few=1)
def test_bad_input(subject: Subject, layer: Layer, make: Call, given: Call) -> None:
    """An input with the wrong number of axes is refused in a sentence."""
    ours, theirs, args, kwargs = pair(subject, layer, make, given)
    wrong = [args[0][(None,) * 3], *args[1:]]
    _, error = attempt(lambda: ours(*wrong, **kwargs))
    _, refused = attempt(lambda: theirs(*wrong, **kwargs))
    if layer.theirs is None:  # a truth of our own takes any number of axes
        assert (error is None) == (refused is None), f"{error!r}, but torch: {refused!r}"
    if error is not None and subject.name != "torch":
        assert isinstance(error, KINDS)  # of several faults torch may tell another
        sentence(error, None)


def test_every_other_name_is_torchs(subject: Subject) -> None:
    for name in ("Linear", "ReLU", "Sequential", "Dropout2d", "BatchNorm2d", "Module", "Parameter", "init", "utils"):
        assert getattr(subject.nn, name) is getattr(nn, name)
    with pytest.raises(AttributeError):
        _ = subject.nn.NoSuchLayer
    for name in ("relu", "log_softmax", "cross_entropy", "linear", "pad"):
        assert getattr(subject.functional, name) is getattr(nn.functional, name)
    with pytest.raises(AttributeError):
        _ = subject.functional.no_such_function


def test_functional_is_ours_by_every_import() -> None:
    import lightconv.nn.functional as F

    import lightconv.functional as ours
    import lightconv.nn as drop_in

    assert F is drop_in.functional is ours
    assert {"Conv2d", "Linear", "functional"} <= set(dir(drop_in))
    assert {"conv2d", "relu"} <= set(dir(F))


# Torch's own samples of its Modules


def module_infos() -> list[Any]:
    try:
        with quiet():
            from torch.testing._internal.common_modules import module_db
    except Exception:
        return []
    names = {layer.name for layer in LAYERS}
    return [info for info in module_db if info.module_cls.__name__ in names]


@pytest.mark.parametrize("info", module_infos(), ids=lambda info: info.module_cls.__name__)
@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.long)], ids=str)
def test_torchs_samples(subject: Subject, info: Any, dtype: torch.dtype) -> None:
    ours = subject.layer(Layer(info.module_cls.__name__, {}))
    with quiet():
        drawn = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=True)
    assert drawn
    for sample in drawn:
        mine, yours = (
            built(cls, Call(tuple(sample.constructor_input.args), sample.constructor_input.kwargs), dtype)
            for cls in (ours, info.module_cls)
        )
        args, kwargs = list(sample.forward_input.args), sample.forward_input.kwargs
        if info.module_cls.__name__.startswith("Lazy"):
            for module in (mine, yours):
                torch.manual_seed(1)
                module(*args, **kwargs)
        same(mine(*args, **kwargs), yours(*args, **kwargs))
        same(gradients(mine, args, kwargs), gradients(yours, args, kwargs), what="gradient")


def test_there_are_samples_of_torchs() -> None:
    if not module_infos():
        pytest.skip("torch's Module samples cannot be imported")
    assert len(module_infos()) >= 24
