"""The contract tester: what every function and layer promises, one check each.

The tables in `tests/cases` say for which operations and with which arguments; `functional/test_contract.py` and
`nn/test_module_contract.py` run every check over every table. A check takes a `Subject` (whose functions are tested;
`lightconv`, unless `--subject torch` asks for torch's own, to test the tester), an `Operation` and a `Call`. The truth
is torch's operator of the same name, or what the table gives for it.
"""

import importlib
import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
DTYPES = (
    *FLOATS,
    torch.complex128,
    torch.complex64,
    torch.complex32,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.bool,
    torch.float8_e4m3fn,
)
TOLERANCE = {
    torch.float64: 1e-11,
    torch.complex128: 1e-11,
    torch.float32: 2e-5,
    torch.complex64: 2e-5,
    torch.float16: 5e-3,
    torch.complex32: 1e-2,
    torch.bfloat16: 4e-2,
}


# What goes in


@dataclass(frozen=True)
class Drawn:
    """A tensor that is drawn anew for every check."""

    shape: tuple[int, ...]
    kind: str = "normal"
    below: int = 0

    def draw(self, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
        if self.kind == "index":
            return torch.randint(self.below, self.shape, generator=generator)
        if self.kind == "distinct":
            planes, elements = math.prod(self.shape[:2]), math.prod(self.shape[2:])
            chosen = [torch.randperm(self.below, generator=generator)[:elements] for _ in range(planes)]
            return torch.cat(chosen).reshape(self.shape)
        x = torch.randn(self.shape, generator=generator, dtype=torch.float64)
        if self.kind == "few":
            x = x.round().clamp(-1, 1) + 0.0  # no negative zeros
        if self.kind == "odd":
            flat = x.view(-1)
            flat[::4], flat[1::7], flat[2::9] = torch.nan, torch.inf, -torch.inf
        if dtype.is_complex:
            return torch.complex(x, torch.randn(self.shape, generator=generator, dtype=torch.float64)).to(dtype)
        if dtype.is_floating_point:
            return x.to(dtype)
        if dtype == torch.bool:
            return x > 0
        x = (3 * x).round()
        return (x if dtype.is_signed else x.abs()).to(torch.int64).to(dtype)


def normal(*shape: int) -> Drawn:
    """A tensor of normally distributed numbers."""
    return Drawn(shape)


def few(*shape: int) -> Drawn:
    """A tensor of -1, 0 and 1: ties everywhere."""
    return Drawn(shape, "few")


def odd(*shape: int) -> Drawn:
    """A tensor with NaN and infinities in it."""
    return Drawn(shape, "odd")


def index(*shape: int, below: int) -> Drawn:
    """A tensor of indices, repetitions included."""
    return Drawn(shape, "index", below)


def distinct(*shape: int, below: int) -> Drawn:
    """A tensor of indices, without repetition within a channel of a sample."""
    return Drawn(shape, "distinct", below)


@dataclass(frozen=True)
class Call:
    """The arguments of one call, tensors yet to be drawn."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def smooth(self) -> bool:
        """Whether the result can be differentiated numerically: no ties, no NaN, no index twice."""
        return not any(a.kind in ("few", "odd", "index") for a in self.drawn)

    @property
    def drawn(self) -> list[Drawn]:
        return [a for a in (*self.args, *self.kwargs.values()) if isinstance(a, Drawn)]

    def make(
        self, dtype: torch.dtype = torch.float64, seed: int = 0, grad: bool = False
    ) -> tuple[list[Any], dict[str, Any]]:
        """Draw the tensors; with `grad`, floating ones require a gradient."""
        generator = torch.Generator().manual_seed(seed)

        def draw(value: Any) -> Any:
            if not isinstance(value, Drawn):
                return value
            tensor = value.draw(dtype, generator)
            return tensor.requires_grad_(grad and _differentiable(tensor))

        return [draw(a) for a in self.args], {k: draw(v) for k, v in self.kwargs.items()}


def call(*args: Any, **kwargs: Any) -> Call:
    """Write a call as it would be made, with `normal(...)` and the like for tensors."""
    return Call(args, kwargs)


@dataclass(frozen=True)
class Operation:
    """One row of a table: an operation and the calls it is tested with.

    Args:
        name: name in `lightconv.functional`.
        n: number of spatial axes.
        cases: calls by readable id. The first are the ones that slow checks use.
        errors: bad calls by readable id, each with the argument that the message must name.
        signature: parameters as `inspect.signature` writes them, without annotations.
        theirs: the truth; torch's function of the same name if not given.
        label: distinguishes tables of the same function.
        exact: values are copied, not computed: they must be equal to the last bit.
        large: a call whose windows together are much larger than its input and output.
        few: how many of the cases take part in the slower checks of the fast run; compilation takes one.
        dtypes: those for which the truth decides what is accepted.
        order_varies: whether torch keeps channels_last depends on its threads and on the batch; ours always keeps it.
    """

    name: str
    n: int
    cases: dict[str, Call]
    errors: dict[str, tuple[Call, str | None]] = field(default_factory=dict)
    signature: str = ""
    theirs: Callable[..., Any] | None = None
    label: str = ""
    exact: bool = False
    large: Call | None = None
    few: int = 2
    dtypes: tuple[torch.dtype, ...] = DTYPES
    order_varies: bool = False

    @property
    def id(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name

    @property
    def truth(self) -> Callable[..., Any]:
        return self.theirs or getattr(F, self.name)


@dataclass(frozen=True)
class Layer:
    """One row of a table of Modules.

    Args:
        name: name in `lightconv.nn`.
        cases: by readable id, the arguments of the constructor and of forward.
        errors: bad constructor arguments by readable id, each with the argument that the message must name.
        theirs: a class that computes the same; torch's of the same name if not given.
    """

    name: str
    cases: dict[str, tuple[Call, Call]]
    errors: dict[str, tuple[Call, str | None]] = field(default_factory=dict)
    theirs: type[torch.nn.Module] | None = None

    @property
    def id(self) -> str:
        return self.name

    @property
    def truth(self) -> type[torch.nn.Module]:
        return self.theirs or getattr(torch.nn, self.name)


# Who is tested


@dataclass(frozen=True)
class Subject:
    """The package under test: where its functions and Modules are found."""

    name: str
    functional: Any
    nn: Any

    def function(self, operation: Operation) -> Callable[..., Any]:
        """Return the function, or skip the test as long as it does not exist."""
        if self.name == "torch":
            return operation.truth
        found = getattr(self.functional, operation.name, None)
        if found is None or found is getattr(F, operation.name, None):
            pytest.skip(f"{self.name}.functional.{operation.name} does not exist yet")
        return found

    def layer(self, layer: Layer) -> type[torch.nn.Module]:
        """Return the Module class, or skip the test as long as it does not exist."""
        if self.name == "torch":
            return layer.truth
        found = getattr(self.nn, layer.name, None)
        if found is None or found is getattr(torch.nn, layer.name, None):
            pytest.skip(f"{self.name}.nn.{layer.name} does not exist yet")
        return found


def subject(name: str) -> Subject:
    if name == "torch":
        return Subject("torch", F, torch.nn)
    return Subject(name, importlib.import_module(f"{name}.functional"), importlib.import_module(f"{name}.nn"))


# Comparing


def _differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def outputs(result: Any) -> tuple[Tensor, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def floating(result: Any) -> tuple[Tensor, ...]:
    return tuple(r for r in outputs(result) if _differentiable(r))


def tensors(made: tuple[list[Any], dict[str, Any]]) -> list[Tensor]:
    return [a for a in (*made[0], *made[1].values()) if isinstance(a, Tensor)]


def same(ours: Any, theirs: Any, *, tolerance: float | None = None, what: str = "result") -> None:
    """Assert equal structure, dtype, shape and value. The tolerance is relative to the largest element."""
    assert isinstance(ours, Tensor) == isinstance(theirs, Tensor), f"{what}: {type(ours)} instead of {type(theirs)}"
    if not isinstance(theirs, Tensor):
        assert len(ours) == len(theirs), f"{what}: {len(ours)} tensors instead of {len(theirs)}"
    for number, (mine, yours) in enumerate(zip(outputs(ours), outputs(theirs), strict=True)):
        name = f"{what} {number}"
        assert mine.dtype == yours.dtype, f"{name}: {mine.dtype} instead of {yours.dtype}"
        assert mine.shape == yours.shape, f"{name}: shape {tuple(mine.shape)} instead of {tuple(yours.shape)}"
        assert mine.device == yours.device, f"{name}: on {mine.device} instead of {yours.device}"
        near(mine, yours, TOLERANCE.get(yours.dtype, 0.0) if tolerance is None else tolerance, name)


def near(mine: Tensor, yours: Tensor, tolerance: float, name: str = "result") -> None:
    if yours.dtype in (torch.complex32, torch.float8_e4m3fn):
        wide = torch.complex64 if yours.is_complex() else torch.float32
        mine, yours = mine.to(wide), yours.to(wide)
    if yours.is_complex() and tolerance:  # products of infinities are infinite or NaN, by the order of their parts
        mine, yours = (torch.where(x.isfinite(), x, math.nan) for x in (mine, yours))
    finite = yours.detach()[yours.detach().isfinite()] if _differentiable(yours) else yours.new_zeros(0)
    scale = max(1.0, finite.abs().max().item()) if finite.numel() else 1.0
    torch.testing.assert_close(
        mine.detach(),
        yours.detach().to(mine.dtype),
        rtol=0,
        atol=tolerance * scale,
        equal_nan=True,
        msg=lambda text: f"{name}: {text}",
    )


def derivatives(
    function: Callable[..., Any],
    made: tuple[list[Any], dict[str, Any]],
    cotangents: Sequence[Tensor] | None = None,
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """Return the gradient of a fixed random sum of the results, for every tensor that requires one."""
    results = floating(function(*made[0], **made[1]))
    if cotangents is None:
        cotangents = [random_like(r) for r in results]
    wanted = [t for t in tensors(made) if t.requires_grad]
    return torch.autograd.grad(results, wanted, cotangents, create_graph=create_graph)


def random_like(x: Tensor, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    wide = torch.complex128 if x.is_complex() else torch.float64
    return torch.randn(x.shape, generator=generator, dtype=wide).to(x.dtype)


@contextmanager
def quiet() -> Iterator[None]:
    """Torch's warnings (a beta feature, a slow path) are not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


KINDS = (TypeError, ValueError, RuntimeError)


def kind(error: Exception) -> tuple[type[Exception], ...]:
    """Return what may be raised where torch raised `error`."""
    found = tuple(k for k in KINDS if isinstance(error, k))
    return found or (*KINDS, IndexError)


def attempt(function: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """Return the result, or the exception."""
    try:
        with quiet():
            return function(), None
    except Exception as error:
        return None, error


def agree(ours: Callable[[], Any], theirs: Callable[[], Any], what: str) -> tuple[Any, Any, Exception | None]:
    """Run both; assert that they both return, or raise the same kind. Return both results and our exception."""
    result, error = attempt(ours)
    expected, their_error = attempt(theirs)
    if their_error is None:
        assert error is None, f"{what}: {error!r}, but torch accepts it"
    else:
        assert error is not None, f"{what}: accepted, but torch raises {their_error!r}"
        allowed = (*kind(their_error), type(their_error))
        assert isinstance(error, allowed), f"{what}: {error!r}, but torch raises {their_error!r}"
    return result, expected, error


def sentence(error: Exception, argument: str | None) -> None:
    """Assert that a message says which argument, what was expected and what came."""
    text = str(error)
    assert re.match(r"[A-Z`].*\.$", text, re.DOTALL), f"not a sentence: {text!r}"
    assert re.search(r"[Ee]xpected\b.*\bbut\b", text, re.DOTALL), (
        f"does not say what was expected and what came: {text!r}"
    )
    if argument is not None:
        assert re.search(rf"\b{argument}\b", text), f"does not name `{argument}`: {text!r}"


def _ours_only(subject: Subject) -> None:
    if subject.name == "torch":
        pytest.skip("a promise that torch does not make")


# Where torch itself, put in our place, breaks the promise.
TORCH_FAILS = {
    ("check_determinism", "max_unpool"): "torch's max_unpool refuses to be deterministic",
    ("check_layouts", "max_unpool"): "torch's max_unpool cannot go back through a transposed argument",
    ("check_meta", "interpolate-nearest"): "torch stumbles over an empty batch on meta",
}


def _unless_torch_fails(subject: Subject, operation: Operation, check: str) -> None:
    for (name, start), reason in TORCH_FAILS.items():
        if subject.name == "torch" and check == name and operation.id.startswith(start):
            pytest.skip(reason)


# The checks of functions


def check_signature(subject: Subject, operation: Operation) -> None:
    """Parameters have torch's names, order and defaults."""
    _ours_only(subject)
    function = subject.function(operation)
    parameters = inspect.signature(function).parameters.values()
    written = ", ".join(str(p.replace(annotation=inspect.Parameter.empty)) for p in parameters)
    assert written == operation.signature


def check_values(subject: Subject, operation: Operation, case: Call) -> None:
    """Values, dtypes and shapes are torch's; the arguments are left alone and the result is no view of them."""
    function = subject.function(operation)
    for dtype in (torch.float64, torch.float32):
        made, again = case.make(dtype), case.make(dtype)
        result, expected = function(*made[0], **made[1]), operation.truth(*again[0], **again[1])
        same(result, expected, tolerance=0.0 if operation.exact else None)
        for mine, before in zip(tensors(made), tensors(again), strict=True):
            assert torch.equal(mine.nan_to_num(), before.nan_to_num()), "an argument was changed"
            for out in outputs(result):
                assert not out.numel() or out.untyped_storage().data_ptr() != mine.untyped_storage().data_ptr(), (
                    "the result shares memory with an argument"
                )


def check_inference(subject: Subject, operation: Operation, case: Call) -> None:
    """The same comes out without autograd, in both ways to ask for that, and with it."""
    function = subject.function(operation)
    made = case.make(grad=True)
    with torch.inference_mode():
        inferred = function(*made[0], **made[1])
    with torch.no_grad():
        frozen = function(*made[0], **made[1])
    tracked = function(*made[0], **made[1])
    for a, b, c in zip(outputs(inferred), outputs(frozen), outputs(tracked), strict=True):
        assert torch.equal(a.clone().nan_to_num(), c.detach().nan_to_num()), "another result in inference mode"
        assert torch.equal(b.nan_to_num(), c.detach().nan_to_num()), "another result without gradients"
        assert not b.requires_grad, "requires a gradient under no_grad"
        assert c.requires_grad == _differentiable(c), f"requires_grad is {c.requires_grad} for {c.dtype}"


def check_gradients(subject: Subject, operation: Operation, case: Call) -> None:
    """Gradients are torch's: for all arguments together, for each alone, and in single precision."""
    function = subject.function(operation)
    for dtype in (torch.float64, torch.float32):
        made, again = case.make(dtype, grad=True), case.make(dtype, grad=True)
        same(derivatives(function, made), derivatives(operation.truth, again), what="gradient")
    differentiable = [t for t in tensors(made) if t.requires_grad]
    if len(differentiable) > 1:
        for alone in range(len(differentiable)):
            made, again = case.make(grad=True), case.make(grad=True)
            for side in (made, again):
                floats = [t for t in tensors(side) if t.requires_grad]
                for number, tensor in enumerate(floats):
                    tensor.requires_grad_(number == alone)
            same(derivatives(function, made), derivatives(operation.truth, again), what=f"gradient of {alone} alone")


def check_second_derivatives(subject: Subject, operation: Operation, case: Call) -> None:
    """The gradient can be differentiated again, and torch's comes out."""
    function = subject.function(operation)
    if operation.theirs is not None and any(drawn.kind == "odd" for drawn in case.drawn):
        pytest.skip("what two operations in turn make of NaN and infinity in a second derivative is no promise")

    def twice(f: Callable[..., Any]) -> tuple[Tensor, ...]:
        made = case.make(grad=True)
        wanted = [t for t in tensors(made) if t.requires_grad]
        results = floating(f(*made[0], **made[1]))
        cotangents = [random_like(r).requires_grad_() for r in results]
        first = torch.autograd.grad(results, wanted, cotangents, create_graph=True)
        total = sum((g * random_like(g, seed=2)).sum() for g in first)
        unknown = [*wanted, *cotangents]
        found = torch.autograd.grad(total, unknown, allow_unused=True) if total.requires_grad else [None] * len(unknown)
        return tuple(torch.zeros_like(w) if g is None else g for g, w in zip(found, unknown, strict=True))

    expected, refused = attempt(lambda: twice(operation.truth))
    if refused is not None:
        pytest.skip(f"torch has no second derivative here: {refused}")
    same(twice(function), expected, what="second derivative")


def check_numerically(subject: Subject, operation: Operation, case: Call, thorough: bool = False) -> None:
    """Derivatives are those of the function: backward, forward, batched, and twice."""
    function = subject.function(operation)
    if not case.smooth:
        pytest.skip("ties, NaN or repeated indices: no derivative to compute numerically")
    made = case.make(grad=True)
    if not all(t.numel() for t in tensors(made)):
        pytest.skip("an empty tensor has no derivative to compute numerically")
    arguments = [t for t in tensors(made) if t.requires_grad]
    inputs = sum(t.numel() for t in arguments)
    outputs_too = inputs + sum(t.numel() for t in floating(function(*made[0], **made[1])))
    if thorough and inputs * outputs_too > 2_000_000:
        pytest.skip("so many derivatives one by one take minutes; all at once they are checked")

    def of_the_floats(*floats: Tensor) -> tuple[Tensor, ...]:
        given = iter(floats)

        def fill(value: Any) -> Any:
            return next(given) if isinstance(value, Tensor) and value.requires_grad else value

        return floating(function(*(fill(a) for a in made[0]), **{k: fill(v) for k, v in made[1].items()}))

    with quiet():
        assert gradcheck(
            of_the_floats,
            arguments,
            check_forward_ad=True,
            check_batched_grad=subject.name != "torch",  # torch's max_pool lacks a rule
            check_batched_forward_grad=subject.name != "torch",
            fast_mode=not thorough,
        )
        assert gradgradcheck(
            of_the_floats,
            arguments,
            check_fwd_over_rev=True,
            check_batched_grad=subject.name != "torch",
            fast_mode=not thorough,
        )


def check_dtypes(subject: Subject, operation: Operation, case: Call) -> None:
    """What torch accepts is accepted, with as good values and gradients; the rest is refused in a sentence."""
    function = subject.function(operation)
    problems = []
    for dtype in operation.dtypes:
        try:
            _check_dtype(subject, function, operation, case, dtype)
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


def _check_dtype(
    subject: Subject, function: Callable[..., Any], operation: Operation, case: Call, dtype: torch.dtype
) -> None:
    what = f"{dtype}"
    made, again = case.make(dtype), case.make(dtype)
    if "INTERNAL ASSERT" in str(attempt(lambda: operation.truth(*again[0], **again[1]))[1]):
        return  # a bug of torch says nothing about what it accepts
    if dtype not in FLOATS and not all(t.numel() for t in tensors(made)):
        return  # torch finds a type wanting when it computes, and of an empty batch it computes nothing
    result, expected, error = agree(
        lambda: function(*made[0], **made[1]), lambda: operation.truth(*again[0], **again[1]), what
    )
    if error is not None:
        if subject.name != "torch":
            sentence(error, None)
        return
    if dtype not in TOLERANCE:
        same(result, expected, what=what)
        return
    as_good(result, expected, _exactly(operation, case, dtype), what)
    if dtype in (torch.float16, torch.bfloat16, torch.complex32):
        made, again = case.make(dtype, grad=True), case.make(dtype, grad=True)
        gradients, expected, error = agree(
            lambda: derivatives(function, made), lambda: derivatives(operation.truth, again), f"{what}, backward"
        )
        if error is None:
            # not near torch's: where it rounds on the way to a maximum, another may win
            exact = derivatives(operation.truth, _widened(case, dtype, grad=True))
            as_good(gradients, expected, exact, f"{what}, gradient", 4 * TOLERANCE[dtype])


def _widened(case: Call, dtype: torch.dtype, grad: bool = False) -> tuple[list[Any], dict[str, Any]]:
    """The arguments rounded to `dtype`, in double precision."""
    wide = torch.complex128 if dtype.is_complex else torch.float64

    def widen(tensor: Tensor) -> Tensor:
        return tensor.detach().to(wide).requires_grad_(grad) if _differentiable(tensor) else tensor

    return tree_map_only(Tensor, widen, case.make(dtype))


def _exactly(operation: Operation, case: Call, dtype: torch.dtype) -> Any:
    """The result in double precision, of arguments rounded to `dtype`."""
    made = _widened(case, dtype)
    return operation.truth(*made[0], **made[1])


def as_good(ours: Any, theirs: Any, exact: Any, what: str, tolerance: float | None = None) -> None:
    """Assert torch's dtype and shape, and values near the exact ones, by default as the dtype allows."""
    assert len(outputs(ours)) == len(outputs(theirs)), what
    for mine, yours, true in zip(outputs(ours), outputs(theirs), outputs(exact), strict=True):
        assert mine.dtype == yours.dtype, f"{what}: {mine.dtype} instead of {yours.dtype}"
        assert mine.shape == yours.shape, f"{what}: shape {tuple(mine.shape)} instead of {tuple(yours.shape)}"
        allowed = TOLERANCE.get(yours.dtype, 0.0) if tolerance is None else tolerance
        near(mine.to(true.dtype), true, allowed, what)


def check_autocast(subject: Subject, operation: Operation, case: Call) -> None:
    """Under autocast, result and gradient have the dtype torch gives them, whatever came in."""
    function = subject.function(operation)
    for low in (torch.bfloat16, torch.float16):
        for given in (torch.float32, low, torch.float64):
            what = f"{given} under autocast to {low}"

            def under(f: Callable[..., Any], given: torch.dtype = given, low: torch.dtype = low) -> Any:
                made = case.make(given, grad=True)
                with torch.autocast("cpu", dtype=low):
                    results = f(*made[0], **made[1])
                wanted = [t for t in tensors(made) if t.requires_grad]
                first = floating(results)
                return results, torch.autograd.grad(first, wanted, [random_like(r) for r in first])

            result, expected, error = agree(lambda f=function: under(f), lambda: under(operation.truth), what)
            if error is None:
                as_good(result[0], expected[0], _exactly(operation, case, given), what) if (
                    outputs(expected[0])[0].dtype == given
                ) else same(result[0], expected[0], what=what)
                computed = low if outputs(expected[0])[0].dtype == low else given
                exact = derivatives(operation.truth, _widened(case, computed, grad=True))
                as_good(result[1], expected[1], exact, f"gradient of {what}", 4 * TOLERANCE[low])


def _reshaped(t: Tensor, how: str) -> Tensor:
    """Return the same values in another memory layout."""
    if how == "transposed":
        return t.transpose(0, -1).contiguous().transpose(0, -1)
    if how == "strided":
        wide = t.new_zeros(*t.shape[:-1], 2 * t.shape[-1])
        wide[..., ::2] = t
        return wide[..., ::2]
    if how == "offset":
        return torch.cat([t.new_zeros(3), t.reshape(-1)])[3:].view(t.shape)
    if how == "expanded":
        return t[:1].expand(t.shape)
    channels_last = {4: torch.channels_last, 5: torch.channels_last_3d}[t.dim()]
    return t.contiguous(memory_format=channels_last)


def check_layouts(subject: Subject, operation: Operation, case: Call) -> None:
    """The memory layout of the arguments changes no value, and channels_last stays as torch keeps it."""
    _unless_torch_fails(subject, operation, "check_layouts")
    function = subject.function(operation)
    arguments = [n for n, a in enumerate(case.args) if isinstance(a, Drawn) and len(a.shape) > 1 and all(a.shape)]
    for number in arguments:
        ways = ["transposed", "strided", "offset", "expanded"]
        if len(case.args[number].shape) == operation.n + 2 and operation.n > 1:
            ways.append("channels_last")
        if len(case.args[number].shape) == 4 and operation.n == 3:
            ways.append("channels_last")
        for how in ways:
            what = f"argument {number} {how}"
            if how == "expanded" and case.args[number].kind == "distinct":
                continue

            laid = case.make(torch.float32)
            laid[0][number] = _reshaped(laid[0][number], how)
            result, gradients = _with_gradients(function, laid)
            plain = tree_map_only(Tensor, lambda t: t.clone(memory_format=torch.contiguous_format), laid)
            expected, theirs = _with_gradients(operation.truth, plain)
            same(result, expected, what=what)
            same(gradients, theirs, what=f"gradient, {what}")
            if how == "channels_last":
                _check_order(subject, operation, laid, laid[0][number], outputs(result), what)


def _check_order(
    subject: Subject,
    operation: Operation,
    made: tuple[list[Any], dict[str, Any]],
    last: Tensor,
    results: Sequence[Tensor],
    what: str,
) -> None:
    """Where the argument `last` lies channels last the result does, if torch's does."""
    expected, refused = attempt(lambda: operation.truth(*made[0], **made[1]))
    told = last.dim() == operation.n + 2 and not last.is_contiguous()  # of one channel both orders are the same
    for mine, yours in zip(results, outputs(expected) if refused is None else (), strict=False):
        if not mine.numel():
            continue
        if operation.theirs is None and not operation.order_varies:
            assert _formats(mine) == _formats(yours), f"{what}: {_formats(mine)}, not {_formats(yours)}"
        elif subject.name != "torch" and told:
            unbatched = operation.order_varies and mine.dim() == operation.n + 1
            whole = mine[None] if unbatched else mine
            assert whole.dim() != last.dim() or "channels_last" in _formats(whole), f"{what}: {_formats(whole)}"


def _with_gradients(
    function: Callable[..., Any], made: tuple[list[Any], dict[str, Any]]
) -> tuple[Any, tuple[Tensor, ...]]:
    """Return the result, and the gradients of a fixed random sum of it, keeping the layout of the arguments."""
    leaves = [t.detach().requires_grad_() for t in tensors(made) if _differentiable(t)]
    given = iter(leaves)
    args, kwargs = tree_map_only(Tensor, lambda t: next(given) if _differentiable(t) else t, made)
    result = function(*args, **kwargs)
    first = floating(result)
    return result, torch.autograd.grad(first, leaves, [random_like(r) for r in first])


def _formats(x: Tensor) -> list[str]:
    formats = {"contiguous": torch.contiguous_format}
    formats |= {4: {"channels_last": torch.channels_last}, 5: {"channels_last": torch.channels_last_3d}}.get(
        x.dim(), {}
    )
    return [name for name, each in formats.items() if x.is_contiguous(memory_format=each)]


def check_meta(subject: Subject, operation: Operation, case: Call) -> None:
    """On `meta` tensors the shape, dtype and strides come out, and nothing else is needed."""
    _unless_torch_fails(subject, operation, "check_meta")
    function = subject.function(operation)
    made = case.make(grad=True)
    real = function(*made[0], **made[1])
    made = tree_map_only(Tensor, lambda t: t.detach().to("meta").requires_grad_(t.requires_grad), made)
    for mine, yours in zip(outputs(function(*made[0], **made[1])), outputs(real), strict=True):
        assert mine.device.type == "meta"
        assert (mine.dtype, mine.shape, _strides(mine)) == (yours.dtype, yours.shape, _strides(yours))


def _strides(x: Tensor) -> list[int]:
    """Strides, but for axes of one element, where they mean nothing."""
    return [stride for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1]


def check_fake(subject: Subject, operation: Operation, case: Call) -> None:
    """Fake tensors, which have a device but no memory, go through forward and backward, strides included."""
    _unless_torch_fails(subject, operation, "check_fake")
    function = subject.function(operation)
    made = case.make(torch.float32, grad=True)
    real = function(*made[0], **made[1])
    gradients = derivatives(function, made)
    with FakeTensorMode() as mode:
        fake = tree_map_only(Tensor, mode.from_tensor, made)
        result = function(*fake[0], **fake[1])
        fakes = torch.autograd.grad(
            floating(result),
            [t for t in tensors(fake) if t.requires_grad],
            [torch.empty_like(r) for r in floating(result)],
        )
    for mine, yours in zip(outputs(result), outputs(real), strict=True):
        assert isinstance(mine, FakeTensor)
        assert mine.device == yours.device
        assert (mine.dtype, mine.shape, _strides(mine)) == (yours.dtype, yours.shape, _strides(yours))
    assert [(g.dtype, g.shape) for g in fakes] == [(g.dtype, g.shape) for g in gradients]


def check_views(subject: Subject, operation: Operation, case: Call) -> None:
    """Tensors that are negated or conjugated lazily, when they are read, count as what they mean."""
    function = subject.function(operation)
    for dtype in (torch.float64, torch.complex128):
        made = case.make(dtype)
        # of an empty batch, and of one that stays as it is, torch takes what it cannot compute
        ordinary = next(iter(operation.cases.values())).make(dtype)
        expected, refused = attempt(lambda args=made: operation.truth(*args[0], **args[1]))
        if refused is not None or attempt(lambda args=ordinary: operation.truth(*args[0], **args[1]))[1] is not None:
            continue

        def lazily(t: Tensor) -> Tensor:
            if t.is_complex():
                return t.conj_physical().conj()
            return torch._neg_view(-t) if t.is_floating_point() else t

        views = tree_map_only(Tensor, lazily, made)
        result, gradients = _with_gradients(function, views)
        same(result, expected, what=f"lazy {dtype}")
        plain = _with_gradients(operation.truth, made)[1]
        same(tuple(g.resolve_conj().resolve_neg() for g in gradients), plain, what=f"gradient of lazy {dtype}")


def check_surroundings(subject: Subject, operation: Operation, case: Call) -> None:
    """Nothing around the call changes the result: defaults, threads, checkpoints, hooks on what is saved."""
    function = subject.function(operation)
    expected = _with_gradients(function, case.make(torch.float32))

    def again(what: str, f: Callable[..., Any] = function) -> None:
        result, gradients = _with_gradients(f, case.make(torch.float32))
        same(result, expected[0], what=what)
        same(gradients, expected[1], what=f"gradient, {what}")

    before = torch.get_default_dtype()
    for dtype in (torch.float64, torch.float16):
        torch.set_default_dtype(dtype)
        try:
            made = case.make(torch.float32)
            result = function(*made[0], **made[1])
        finally:
            torch.set_default_dtype(before)
        same(result, expected[0], what=f"with {dtype} as the default")
    made = case.make(torch.float32)
    with torch.device("meta"):
        result = function(*made[0], **made[1])
    same(result, expected[0], what="with another default device")

    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        again("with three threads")
    finally:
        torch.set_num_threads(threads)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(again, "from four threads at once") for _ in range(8)]:
            done.result()

    with quiet(), torch.autograd.graph.save_on_cpu(), torch.autograd.detect_anomaly(check_nan=False):
        again("with hooks on what is saved")

    def recomputed(*args: Any, **kwargs: Any) -> Any:
        return torch.utils.checkpoint.checkpoint(function, *args, use_reentrant=False, **kwargs)

    with quiet():
        again("checkpointed", recomputed)


class _Tagged(Tensor):
    """A subclass that only wants to stay one."""


class _Counter(TorchFunctionMode):
    """Counts the public functions of torch that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def check_overrides(subject: Subject, operation: Operation, case: Call) -> None:
    """A subclass of Tensor comes out as torch returns it, and a function mode does not stand in the way."""
    function = subject.function(operation)
    made = case.make(torch.float32)
    expected = operation.truth(*made[0], **made[1])
    with _Counter() as counter:
        result = function(*made[0], **made[1])
    same(result, expected, what="under a function mode")
    assert counter.calls
    made = tree_map_only(Tensor, lambda t: t.as_subclass(_Tagged), made)
    result, expected = function(*made[0], **made[1]), operation.truth(*made[0], **made[1])
    for mine, yours in zip(outputs(result), outputs(expected), strict=True):
        assert type(mine) is type(yours), f"a {type(mine).__name__} instead of a {type(yours).__name__}"
        same(mine.as_subclass(Tensor), yours.as_subclass(Tensor), what="of a subclass")


FORBIDDEN = re.compile(r"aten::.*(conv|pool|upsample|im2col|col2im|grid_sampler|interpolate|thnn|nnpack)")


class _Recorder(TorchDispatchMode):
    """Remembers the names of the operators that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


def check_materials(subject: Subject, operation: Operation, case: Call) -> None:
    """No convolution, pooling or resampling operator of torch runs, forward, backward or twice backward."""
    _ours_only(subject)
    function = subject.function(operation)
    with _Recorder() as recorder:
        _forward_and_twice_backward(function, case)
    _own_work(recorder.names)


def check_materials_inside(subject: Subject, operation: Operation, case: Call) -> None:
    """None runs inside a custom operator or a compiled graph either, where only the profiler sees it."""
    _ours_only(subject)
    function = subject.function(operation)
    torch._dynamo.reset()
    compiled = torch.compile(Wrapped(function, case), backend="eager", fullgraph=True, dynamic=False)
    with quiet(), torch.autograd.profiler.profile(use_kineto=False) as profile:
        _forward_and_twice_backward(function, case)
        derivatives(lambda *a, **k: compiled(*tensors((list(a), k))), case.make(torch.float32, grad=True))
    torch._dynamo.reset()
    _own_work({event.name for event in profile.function_events})


def _forward_and_twice_backward(function: Callable[..., Any], case: Call) -> None:
    made = case.make(torch.float32)
    function(*made[0], **made[1])
    made = case.make(torch.float32, grad=True)
    results = floating(function(*made[0], **made[1]))
    wanted = [t for t in tensors(made) if t.requires_grad]
    cotangents = [random_like(r).requires_grad_() for r in results]
    first = torch.autograd.grad(results, wanted, cotangents, create_graph=True)
    torch.autograd.grad(sum(g.square().sum() for g in first), [*wanted, *cotangents], allow_unused=True)


def _own_work(names: set[str]) -> None:
    assert any(name.startswith("aten::") for name in names), "no operator was seen"
    used = sorted(filter(FORBIDDEN.match, names))
    assert not used, f"torch's own {', '.join(used)} did the work"


class _Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operator allocated, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.operator = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        known = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.untyped_storage().data_ptr() not in known:
                size = tensor.untyped_storage().nbytes()
                if size > self.bytes:
                    self.bytes, self.operator = size, str(func)
        return result


def check_memory(subject: Subject, operation: Operation) -> None:
    """With a small workspace no tensor is allocated that is much larger than input and output."""
    _ours_only(subject)
    function = subject.function(operation)
    workspace = getattr(importlib.import_module("lightconv"), "workspace", None)
    if workspace is None or operation.large is None:
        pytest.skip("there is no workspace limit to respect")
    made, again = (operation.large.make(torch.float32, grad=True) for _ in range(2))
    limit = 2**20
    with workspace(1), _Largest() as largest:
        result = function(*made[0], **made[1])
        given = max(t.untyped_storage().nbytes() for t in (*tensors(made), *outputs(result)))
        forward, by = largest.bytes, largest.operator
        assert forward <= 1.5 * given + limit, (
            f"forward: {by} made {forward >> 10} KiB, the largest given {given >> 10}"
        )
        results = floating(result)
        wanted = [t for t in tensors(made) if t.requires_grad]
        cotangents = [random_like(r) for r in results]
        given = max(given, *(c.untyped_storage().nbytes() for c in cotangents))
        largest.bytes = 0
        gradients = torch.autograd.grad(results, wanted, cotangents)
    backward, by = largest.bytes, largest.operator
    assert backward <= 1.5 * given + limit, f"backward: {by} made {backward >> 10} KiB, the largest given {given >> 10}"
    expected = operation.truth(*again[0], **again[1])
    same(result, expected)
    theirs = torch.autograd.grad(floating(expected), [t for t in tensors(again) if t.requires_grad], cotangents)
    same(gradients, theirs, tolerance=1e-4, what="gradient")


def check_workspace(subject: Subject, operation: Operation, case: Call) -> None:
    """The smallest workspace gives the same values, indices and gradients."""
    _ours_only(subject)
    function = subject.function(operation)
    workspace = importlib.import_module("lightconv").workspace
    made, again = case.make(grad=True), case.make(grad=True)
    with workspace(1e-6):
        result, gradients = function(*made[0], **made[1]), derivatives(function, made)
    same(result, operation.truth(*again[0], **again[1]), tolerance=0.0 if operation.exact else None)
    same(gradients, derivatives(operation.truth, again), what="gradient")


def check_backend(subject: Subject, operation: Operation, case: Call, name: str) -> None:
    """Every backend gives the same values and gradients."""
    _ours_only(subject)
    function = subject.function(operation)
    package = importlib.import_module("lightconv")
    try:
        package.backend("native").__exit__()
    except RuntimeError as error:
        if name == "native":
            pytest.skip(str(error))
        if name == "definition":
            pytest.skip("without compiled kernels the definition is what runs in all other tests")
    setting = package.backend(name)
    made, again = case.make(grad=True), case.make(grad=True)
    with setting:
        result, gradients = function(*made[0], **made[1]), derivatives(function, made)
    same(result, operation.truth(*again[0], **again[1]))
    same(gradients, derivatives(operation.truth, again), what="gradient")


class Wrapped(torch.nn.Module):
    """A call as a Module of its tensors, the other arguments fixed, as export wants it."""

    def __init__(self, function: Callable[..., Any], case: Call) -> None:
        super().__init__()
        self.function, self.case = function, case

    def forward(self, *given: Tensor) -> Any:
        left = iter(given)

        def fill(value: Any) -> Any:
            return next(left) if isinstance(value, Drawn) else value

        return self.function(*(fill(a) for a in self.case.args), **{k: fill(v) for k, v in self.case.kwargs.items()})


def input_of(case: Call) -> Any:
    """The call's input, by its place or by its keyword."""
    return case.args[0] if case.args else case.kwargs["input"]


def grown(operation: Operation, case: Call, batch: int) -> tuple[Call, list[bool]]:
    """Return the call with another batch size, and which of its tensors have a batch axis."""
    original = input_of(case)
    batched = isinstance(original, Drawn) and len(original.shape) == operation.n + 2
    rank_of_columns = isinstance(original, Drawn) and operation.name == "fold" and len(original.shape) == 3
    carries: list[bool] = []

    def grow(value: Any) -> Any:
        if not isinstance(value, Drawn):
            return value
        mine = (batched or rank_of_columns) and (value is original or value.kind in ("index", "distinct"))
        carries.append(mine)
        return replace(value, shape=(batch, *value.shape[1:])) if mine else value

    return Call(tuple(grow(a) for a in case.args), {k: grow(v) for k, v in case.kwargs.items()}), carries


def check_compile(
    subject: Subject, operation: Operation, case: Call, dynamic: bool, backend: str = "aot_eager"
) -> None:
    """`torch.compile(fullgraph=True)` gives the same values and gradients; dynamic, one graph serves all batches."""
    function = subject.function(operation)
    graphs = _compiled_graphs(function, operation, case, dynamic, backend)
    if graphs == 2 and dynamic and subject.name != "torch":
        # as torch's own does, unless it does not compile: the first scale factor is taken for a constant
        theirs, refused = attempt(lambda: _compiled_graphs(operation.truth, operation, case, dynamic, backend))
        graphs = 1 if refused is not None or theirs == 2 else graphs
    assert graphs == 1, f"{graphs} graphs were compiled instead of 1"


def _compiled_graphs(
    function: Callable[..., Any], operation: Operation, case: Call, dynamic: bool, backend: str
) -> int:
    """Assert that the compiled function gives the function's results; return how many graphs that took."""
    torch._dynamo.reset()
    graphs = 0
    inner = torch._dynamo.lookup_backend(backend)

    def counting(graph: Any, inputs: Any) -> Any:
        nonlocal graphs
        graphs += 1
        return inner(graph, inputs)

    module = Wrapped(function, case)
    with quiet():
        compiled = torch.compile(module, fullgraph=True, dynamic=dynamic, backend=counting)
        # sizes that occur nowhere else: dynamo takes equal sizes for the same unknown
        calls = [case] if not dynamic else [grown(operation, case, batch)[0] for batch in (23, 29)]
        for each in calls:
            made, again = each.make(torch.float32, grad=True), each.make(torch.float32, grad=True)
            same(compiled(*tensors(made)), module(*tensors(again)), tolerance=2e-5, what="compiled")
            ours = derivatives(lambda *a, **k: compiled(*tensors((list(a), k))), made)
            same(ours, derivatives(function, again), tolerance=4e-5, what="compiled gradient")
    torch._dynamo.reset()
    return graphs


def check_export(subject: Subject, operation: Operation, case: Call) -> None:
    """`torch.export` gives a program with the same values, for other batch sizes too."""
    function = subject.function(operation)
    module = Wrapped(function, case)
    two, carries = grown(operation, case, 2)
    if any(carries) and not input_of(case).shape[0]:
        pytest.skip("an empty batch cannot be a dynamic one")
    batch = torch.export.Dim("batch")
    shapes = (tuple({0: batch} if mine else None for mine in carries),)
    with quiet():
        program = torch.export.export(
            module, tuple(tensors(two.make(torch.float32))), dynamic_shapes=shapes if any(carries) else None
        )
    for each in [case] if not any(carries) else [two, *(grown(operation, case, size)[0] for size in (1, 5))]:
        made = each.make(torch.float32)
        same(program.module()(*tensors(made)), operation.truth(*made[0], **made[1]), tolerance=4e-5, what="exported")


def check_vmap(subject: Subject, operation: Operation, case: Call) -> None:
    """`torch.func.vmap` over all tensors, or over the first alone, is a loop."""
    function = subject.function(operation)
    many = [tensors(case.make(seed=seed)) for seed in range(3)]
    ours, theirs = Wrapped(function, case), Wrapped(operation.truth, case)

    def stacked(results: list[Any]) -> Any:
        if isinstance(results[0], Tensor):
            return torch.stack(results)
        return tuple(torch.stack(parts) for parts in zip(*results, strict=True))

    with quiet():
        everything = [torch.stack(each) for each in zip(*many, strict=True)]
        same(torch.func.vmap(ours)(*everything), stacked([theirs(*each) for each in many]), what="vmap")
        last = torch.func.vmap(ours, in_dims=-1, out_dims=1)(*(t.movedim(0, -1) for t in everything))
        expected = stacked([theirs(*each) for each in many])
        same(last, tree_map_only(Tensor, lambda t: t.movedim(0, 1), expected), what="vmap over the last axis")
        if len(many[0]) > 1:
            rest = many[0][1:]
            first = torch.func.vmap(lambda x: ours(x, *rest))(everything[0])
            same(first, stacked([theirs(each[0], *rest) for each in many]), what="vmap over the first tensor")
            first = torch.func.vmap(lambda *w: ours(many[0][0], *w))(*everything[1:])
            same(first, stacked([theirs(many[0][0], *each[1:]) for each in many]), what="vmap over the other tensors")

        def loss(f: Callable[..., Any], *given: Tensor) -> Tensor:
            return sum((r * random_like_shape(r)).sum() for r in floating(f(*given)))

        floats = tuple(n for n, t in enumerate(many[0]) if _differentiable(t))
        gradients = torch.func.vmap(torch.func.grad(lambda *g: loss(ours, *g), argnums=floats))(*everything)
        expected = [derivatives_of(lambda *g: loss(theirs, *g), each, floats) for each in many]
        same(gradients, stacked(expected), what="vmap of grad")


def random_like_shape(x: Tensor) -> Tensor:
    """A fixed weighting, computed so that vmap need not draw random numbers."""
    return torch.arange(1, x.numel() + 1, dtype=x.dtype).reshape(x.shape).sin()


def derivatives_of(f: Callable[..., Tensor], given: Sequence[Tensor], floats: Sequence[int]) -> tuple[Tensor, ...]:
    leaves = [t.detach().clone().requires_grad_(n in floats) for n, t in enumerate(given)]
    return torch.autograd.grad(f(*leaves), [leaves[n] for n in floats])


def check_functorch(subject: Subject, operation: Operation, case: Call, thorough: bool = False) -> None:
    """`torch.func.jacrev`, `jacfwd`, `jvp`, `vjp` and `hessian` agree with torch's gradients."""
    function = subject.function(operation)
    given = tensors(case.make())
    floats = tuple(n for n, t in enumerate(given) if _differentiable(t))
    ours, theirs = Wrapped(function, case), Wrapped(operation.truth, case)

    def of(module: Wrapped) -> Callable[..., Tensor]:
        return lambda *x: floating(module(*x))[0]

    with quiet():
        leaves = [t.detach().clone().requires_grad_(n in floats) for n, t in enumerate(given)]
        value = of(theirs)(*leaves)
        if not value.numel() or not all(t.numel() for t in leaves):
            pytest.skip("nothing has no Jacobian")
        if value.numel() > 10_000:
            pytest.skip("a Jacobian of so many rows takes gigabytes")
        wanted = [leaves[n] for n in floats]
        basis = torch.eye(value.numel(), dtype=value.dtype).reshape(-1, *value.shape)
        rows = [torch.autograd.grad(value, wanted, row, retain_graph=True) for row in basis]
        jacobians = [
            torch.stack([row[n] for row in rows]).reshape(*value.shape, *wanted[n].shape) for n in range(len(wanted))
        ]
        same(torch.func.jacrev(of(ours), argnums=floats, chunk_size=500)(*given), tuple(jacobians), what="jacrev")
        if not case.smooth:  # where the derivative is a convention, torch's forward mode has its own
            jacobians = list(torch.func.jacfwd(of(theirs), argnums=floats)(*given))
        same(torch.func.jacfwd(of(ours), argnums=floats)(*given), tuple(jacobians), what="jacfwd")
        tangents = tuple(random_like(t) if n in floats else torch.zeros_like(t) for n, t in enumerate(given))

        def of_floats(*x: Tensor, module: Wrapped = ours) -> Tensor:
            full = list(given)
            for n, tensor in zip(floats, x, strict=True):
                full[n] = tensor
            return of(module)(*full)

        mine, moved = tuple(given[n] for n in floats), tuple(tangents[n] for n in floats)
        primal, tangent = torch.func.jvp(of_floats, mine, moved)
        expected = sum(
            (j.reshape(value.numel(), -1) @ tangents[n].reshape(-1)).reshape(value.shape)
            for j, n in zip(jacobians, floats, strict=True)
        )
        if not all(j.isfinite().all() for j in jacobians):  # a sum over all inputs, so one infinite entry spoils many
            expected = torch.func.jvp(partial(of_floats, module=theirs), mine, moved)[1]
        same(primal, value.detach(), what="value of jvp")
        same(tangent, expected, what="jvp")
        with torch.autograd.forward_ad.dual_level():
            duals = [torch.autograd.forward_ad.make_dual(given[n], tangents[n]) for n in floats]
            unpacked = torch.autograd.forward_ad.unpack_dual(of_floats(*duals))
            assert unpacked.tangent is not None, "no tangent came out of a dual tensor"
            same(unpacked.tangent, expected, what="tangent")
        if not case.smooth:
            return
        cotangent = random_like(value)
        _, pull = torch.func.vjp(of_floats, *mine)
        same(
            pull(cotangent),
            tuple(
                (j * cotangent[(...,) + (None,) * (j.dim() - value.dim())]).sum(tuple(range(value.dim())))
                for j in jacobians
            ),
            what="vjp",
        )
        if thorough:

            def square(*x: Tensor) -> Tensor:
                return (of_floats(*x) ** 2).sum()

            # 2 J^T J holds for a piecewise linear function of one argument
            found = torch.func.hessian(square)(*mine)
            flat = jacobians[0].reshape(value.numel(), -1)
            expected = (2 * flat.T @ flat).reshape(*mine[0].shape, *mine[0].shape)
            same(found, expected, what="hessian")


def check_determinism(subject: Subject, operation: Operation, case: Call) -> None:
    """Repeats are equal to the last bit, and deterministic algorithms are what there is."""
    _unless_torch_fails(subject, operation, "check_determinism")
    function = subject.function(operation)
    seen = []
    before = torch.are_deterministic_algorithms_enabled()
    for deterministic in (False, True, True, False):
        torch.use_deterministic_algorithms(deterministic)
        try:
            made = case.make(torch.float32, grad=True)
            result = function(*made[0], **made[1])
            first = floating(result)
            gradients = torch.autograd.grad(
                first, [t for t in tensors(made) if t.requires_grad], [random_like(r) for r in first]
            )
        finally:
            torch.use_deterministic_algorithms(before)
        seen.append([t.detach() for t in (*outputs(result), *gradients)])
    for other in seen[1:]:
        for a, b in zip(seen[0], other, strict=True):
            assert torch.equal(a.nan_to_num(), b.nan_to_num()), "another run gives another result"


def check_error(subject: Subject, operation: Operation, bad: Call, argument: str | None) -> None:
    """What torch rejects is rejected, as the same kind of exception, in a sentence that names the argument."""
    function = subject.function(operation)
    made = bad.make(torch.float32)
    _, _, error = agree(lambda: function(*made[0], **made[1]), lambda: operation.truth(*made[0], **made[1]), "bad call")
    assert error is not None, "neither we nor torch reject it: it is no bad call"
    if subject.name != "torch":
        sentence(error, argument)
