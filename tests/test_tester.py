"""The tester itself: torch in our place passes (`--subject torch`), and each kind of fault is found."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import contract
import pytest
import torch
import torch.nn.functional as F
from contract import Call, Operation, Subject, call, few, normal
from torch import Tensor

CASE = call(normal(2, 3, 6, 7), normal(4, 3, 3, 2), normal(4), stride=2, padding=1)
CONV = Operation(
    "conv2d",
    2,
    {"plain": CASE},
    signature="input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1",
    large=call(normal(32, 8, 20, 20), normal(8, 8, 5, 5)),
)
POOL = Operation("max_pool2d", 2, {"ties": call(few(2, 3, 6, 6), 2, return_indices=True)}, exact=True)
COPY = Operation("copy", 2, {"plain": call(normal(2, 3, 6, 6))}, theirs=torch.clone)


def broken(function: Callable[..., Any]) -> Subject:
    """A package whose every function is this one."""
    module = SimpleNamespace(conv2d=function, max_pool2d=function, copy=function)
    return Subject("broken", module, SimpleNamespace())


def by_windows(input: Tensor, weight: Tensor, bias: Tensor | None = None, **options: Any) -> Tensor:
    """A right convolution, of all windows at once: no fault but its hunger for memory."""
    stride, padding = options.get("stride", 1), options.get("padding", 0)
    size = [s + 2 * padding for s in input.shape[2:]]
    x = input.new_zeros(*input.shape[:2], *size)
    x[:, :, padding : size[0] - padding, padding : size[1] - padding] = input
    windows = x.unfold(2, weight.shape[2], stride).unfold(3, weight.shape[3], stride)
    out = windows.permute(0, 2, 3, 1, 4, 5).flatten(3) @ weight.flatten(1).T
    return (out if bias is None else out + bias).movedim(-1, 1)


def torchs(*args: Any, **kwargs: Any) -> Tensor:
    return F.conv2d(*args, **kwargs)


def a_bit_off(*args: Any, **kwargs: Any) -> Tensor:
    return F.conv2d(*args, **kwargs) * (1 + 1e-4)


def single_precision(*args: Any, **kwargs: Any) -> Tensor:
    return F.conv2d(*(a.float() if isinstance(a, Tensor) else a for a in args), **kwargs).to(args[0].dtype)


def the_argument(input: Tensor) -> Tensor:
    return input


def writes_into_its_input(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    out = F.conv2d(input, *args, **kwargs)
    input.data.add_(1)
    return out


class _WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * 1.01

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return tangent.clone()


def wrong_gradient(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return F.conv2d(_WrongGradient.apply(input), *args, **kwargs)


def no_gradient_for_the_weight(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return F.conv2d(input, weight.detach(), *args, **kwargs) + 0 * weight.sum()


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g


def once_differentiable(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return _Once.apply(F.conv2d(input, *args, **kwargs))


def accepts_integers(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if input.dtype == torch.bool:
        return F.conv2d(input.double(), weight.double(), *(a.double() for a in args), **kwargs).to(input.dtype)
    return F.conv2d(input, weight, *args, **kwargs)


def refuses_half(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    if input.dtype == torch.float16:
        raise NotImplementedError("Expected `input` to be float32, but got float16.")
    return F.conv2d(input, *args, **kwargs)


def sloppy_half(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    out = F.conv2d(input, weight, *args, **kwargs)
    return (out * 16).round() / 16 if out.dtype == torch.float16 else out


def blind_to_autocast(*args: Any, **kwargs: Any) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return F.conv2d(*args, **kwargs)


def always_contiguous(*args: Any, **kwargs: Any) -> Tensor:
    return F.conv2d(*args, **kwargs).contiguous()


def blind_to_strides(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    size = math.prod(input.shape)
    packed = torch.as_strided(input, (size,), (1,)) if input.untyped_storage().nbytes() >= 4 * size else input
    return F.conv2d(packed.reshape(input.shape), *args, **kwargs)


def looks_at_values(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    assert input.sum().item() < 1e9
    return F.conv2d(input, *args, **kwargs)


def depends_on_the_batch(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return F.conv2d(input, *args, **kwargs) + (1e-9 if input.shape[0] > 25 else 0)


def without_forward_mode(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return _NoForwardMode.apply(F.conv2d(input, *args, **kwargs))


class _NoForwardMode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g


def noisy(*args: Any, **kwargs: Any) -> Tensor:
    out = F.conv2d(*args, **kwargs)
    return out + 1e-7 * torch.rand_like(out)


def last_of_ties(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    values, indices = F.max_pool2d(input.flip(-1), *args, **kwargs)
    width = input.shape[-1]
    return values.flip(-1), (indices - indices % width + width - 1 - indices % width).flip(-1)


FAULTS: list[tuple[Callable[..., None], Callable[..., Any], Operation, str]] = [
    (contract.check_values, a_bit_off, CONV, "result 0"),
    (contract.check_values, single_precision, CONV, "result 0"),
    (contract.check_values, the_argument, COPY, "shares memory"),
    (contract.check_values, writes_into_its_input, CONV, "an argument was changed"),
    (contract.check_values, last_of_ties, POOL, "result 1"),
    (contract.check_inference, noisy, CONV, "another result"),
    (contract.check_gradients, wrong_gradient, CONV, "gradient 0"),
    (contract.check_gradients, no_gradient_for_the_weight, CONV, "gradient 1"),
    (contract.check_gradients, last_of_ties, POOL, "gradient 0"),
    (contract.check_second_derivatives, once_differentiable, CONV, "second derivative"),
    (contract.check_numerically, wrong_gradient, CONV, "Jacobian"),
    (contract.check_numerically, without_forward_mode, CONV, "jvp"),
    (contract.check_dtypes, accepts_integers, CONV, "torch.bool: accepted, but torch raises"),
    (contract.check_dtypes, refuses_half, CONV, "torch.float16: .* but torch accepts it"),
    (contract.check_dtypes, sloppy_half, CONV, "torch.float16 0|torch.float16, gradient|torch.float16:"),
    (contract.check_autocast, blind_to_autocast, CONV, "torch.float32 instead of torch.bfloat16"),
    (contract.check_layouts, always_contiguous, CONV, "channels_last"),
    (contract.check_layouts, blind_to_strides, CONV, "argument 0 transposed"),
    (contract.check_meta, looks_at_values, CONV, "meta"),
    (contract.check_materials, torchs, CONV, "aten::convolution"),
    (contract.check_materials_inside, torchs, CONV, "aten::convolution"),
    (contract.check_memory, by_windows, CONV, "forward: aten.clone"),
    (contract.check_export, depends_on_the_batch, CONV, "batch"),
    (contract.check_vmap, looks_at_values, CONV, "item"),
    (contract.check_functorch, without_forward_mode, CONV, "functorch"),
    (contract.check_determinism, noisy, CONV, "another run"),
]


def name(value: Any) -> str:
    return getattr(value, "__name__", "").removeprefix("check_")


@pytest.mark.parametrize(("check", "fault", "operation", "finding"), FAULTS, ids=name)
def test_a_fault_is_found(
    check: Callable[..., None], fault: Callable[..., Any], operation: Operation, finding: str
) -> None:
    arguments = [] if check is contract.check_memory else [next(iter(operation.cases.values()))]
    with pytest.raises((AssertionError, RuntimeError), match=finding):
        check(broken(fault), operation, *arguments)


@pytest.mark.parametrize(
    ("fault", "dynamic"), [(looks_at_values, False), (depends_on_the_batch, True)], ids=["a break", "a graph a batch"]
)
def test_a_fault_in_compiling_is_found(fault: Callable[..., Any], dynamic: bool) -> None:
    with pytest.raises(Exception) as found:  # noqa: PT011
        contract.check_compile(broken(fault), CONV, CASE, dynamic)
    assert not isinstance(found.value, pytest.skip.Exception)


def test_a_signature_that_differs_is_found() -> None:
    with pytest.raises(AssertionError):
        contract.check_signature(broken(by_windows), CONV)


def raising(error: Exception) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise error

    return function


BAD = call(normal(2, 3, 6, 7), normal(4, 3, 3, 2), stride=0)


@pytest.mark.parametrize(
    "fault",
    [
        lambda *args, **kwargs: None,
        raising(TypeError("Expected `stride` to be positive, but got 0.")),
        raising(RuntimeError("Expected `padding` to be positive, but got 0.")),
        raising(RuntimeError("bad stride")),
        raising(RuntimeError("")),
        torchs,
    ],
    ids=["accepts it", "another kind", "another argument", "no sentence", "no message", "torch's message"],
)
def test_a_bad_refusal_is_found(fault: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError):
        contract.check_error(broken(fault), CONV, BAD, "stride")


def test_a_good_refusal_passes() -> None:
    good = raising(RuntimeError("Expected `stride` to be positive, but got 0."))
    contract.check_error(broken(good), CONV, BAD, "stride")


def test_a_call_that_nobody_refuses_is_no_bad_call() -> None:
    with pytest.raises(AssertionError, match="no bad call"):
        contract.check_error(broken(torchs), CONV, CASE, "stride")


@pytest.mark.parametrize(
    "check",
    [
        contract.check_values,
        contract.check_inference,
        contract.check_gradients,
        contract.check_second_derivatives,
        contract.check_numerically,
        contract.check_autocast,
        contract.check_layouts,
        contract.check_meta,
        contract.check_export,
        contract.check_vmap,
        contract.check_functorch,
        contract.check_determinism,
    ],
    ids=name,
)
def test_torch_in_our_place_passes(check: Callable[..., None]) -> None:
    subject = contract.subject("torch")
    check(subject, CONV, CASE)
    if check is not contract.check_numerically:  # ties have no derivative
        check(subject, POOL, POOL.cases["ties"])


def test_a_case_draws_the_same_tensors_every_time_and_others_for_another_seed() -> None:
    first, again, other = (tuple(Call((normal(3),)).make(seed=seed)[0]) for seed in (0, 0, 1))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


def test_an_operation_that_does_not_exist_yet_is_skipped_visibly() -> None:
    nothing = Subject("lightconv", F, torch.nn)
    with pytest.raises(pytest.skip.Exception, match="does not exist yet"):
        nothing.function(CONV)
