"""Arguments drawn at random: values, indices and gradients are torch's, and a part is compared with `reference.py` too.

What torch refuses must be refused, as the same kind of exception. The fast run draws the same few hundred calls every
time; the long run draws thousands of new ones.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import own, unfolding
from cases.resampling import LANCZOS
from contract import (
    Call,
    Drawn,
    Operation,
    Subject,
    agree,
    attempt,
    few,
    index,
    normal,
    odd,
    quiet,
    random_like,
    same,
    tensors,
)
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor
from torch.utils._pytree import tree_map_only

from lightconv import reference

LARGEST = {1: 12, 2: 8, 3: 5}
BAD = (0, -1, 1.5, "x", None)


def axes(draw: DrawFn) -> int:
    return draw(st.sampled_from((1, 2, 2, 3)))


def sizes(draw: DrawFn, n: int, least: int = 1, most: int | None = None) -> tuple[int, ...]:
    return tuple(draw(st.integers(least, most or LARGEST[n])) for _ in range(n))


def numbers(draw: DrawFn, n: int, least: int, most: int) -> Any:
    """One number, or one an axis, in one of the forms that are allowed."""
    form = draw(st.sampled_from(("number", "number", "tuple", "list", "one")))
    one = st.integers(least, most)
    if form == "number":
        return draw(one)
    if form == "one":
        return [draw(one)]
    values = [draw(one) for _ in range(n)]
    return tuple(values) if form == "tuple" else values


def lead(draw: DrawFn, channels: int) -> tuple[int, ...]:
    """Batch and channels, or channels alone."""
    batch = draw(st.sampled_from((1, 2, 2, 3, 0, None)))
    return (channels,) if batch is None else (batch, channels)


def picture(draw: DrawFn, shape: tuple[int, ...]) -> Drawn:
    return draw(st.sampled_from((normal, normal, few, odd)))(*shape)


def spoil(draw: DrawFn, n: int, options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Replace, now and then, one of the options by something wrong."""
    if draw(st.integers(0, 11)) == 0:
        options[draw(st.sampled_from(names))] = draw(st.sampled_from((*BAD, (1,) * (n + 1))))
    return options


Drawing = tuple[str, int, Call]


@st.composite
def convolution(draw: DrawFn) -> Drawing:
    n = axes(draw)
    groups = draw(st.sampled_from((1, 1, 1, 2, 3)))
    channels_in, channels_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel = sizes(draw, n, most=4 if n < 3 else 3)
    padding = draw(st.sampled_from(("number", "number", "number", "same", "valid")))
    options = {
        "stride": 1 if padding == "same" and draw(st.integers(0, 9)) else numbers(draw, n, 1, 4),
        "padding": numbers(draw, n, 0, 3) if padding == "number" else padding,
        "dilation": numbers(draw, n, 1, 3),
        "groups": groups,
    }
    x = normal(*lead(draw, channels_in * groups), *sizes(draw, n))
    weight = normal(channels_out * groups, channels_in, *kernel)
    bias = draw(st.sampled_from((None, normal(channels_out * groups))))
    spoil(draw, n, options, "stride", "padding", "dilation", "groups")
    return f"conv{n}d", n, Call((x, weight, bias), options)


@st.composite
def transposed_convolution(draw: DrawFn) -> Drawing:
    n = axes(draw)
    groups = draw(st.sampled_from((1, 1, 1, 2, 3)))
    channels_in, channels_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    options = {
        "stride": numbers(draw, n, 1, 4),
        "padding": numbers(draw, n, 0, 2),
        "output_padding": draw(st.sampled_from((0, 0, 1))) if draw(st.booleans()) else numbers(draw, n, 0, 2),
        "groups": groups,
        "dilation": numbers(draw, n, 1, 3),
    }
    x = normal(*lead(draw, channels_in * groups), *sizes(draw, n, most=5 if n < 3 else 3))
    weight = normal(channels_in * groups, channels_out, *sizes(draw, n, most=4 if n < 3 else 3))
    bias = draw(st.sampled_from((None, normal(channels_out * groups))))
    spoil(draw, n, options, "stride", "padding", "output_padding", "dilation", "groups")
    return f"conv_transpose{n}d", n, Call((x, weight, bias), options)


def windows(draw: DrawFn, n: int) -> tuple[Any, dict[str, Any]]:
    kernel = numbers(draw, n, 1, 4)
    half = max(kernel) // 2 if isinstance(kernel, list | tuple) else kernel // 2
    return kernel, {
        "stride": draw(st.sampled_from((None,))) if draw(st.integers(0, 2)) == 0 else numbers(draw, n, 1, 4),
        "padding": numbers(draw, n, 0, half),
        "ceil_mode": draw(st.booleans()),
    }


@st.composite
def max_pooling(draw: DrawFn) -> Drawing:
    n = axes(draw)
    kernel, options = windows(draw, n)
    options |= {"dilation": numbers(draw, n, 1, 3), "return_indices": draw(st.booleans())}
    x = picture(draw, (*lead(draw, 2), *sizes(draw, n)))
    spoil(draw, n, options, "stride", "padding", "dilation")
    return f"max_pool{n}d", n, Call((x, kernel), options)


@st.composite
def average_pooling(draw: DrawFn) -> Drawing:
    n = axes(draw)
    kernel, options = windows(draw, n)
    options["count_include_pad"] = draw(st.booleans())
    if n > 1:
        options["divisor_override"] = draw(st.sampled_from((None, None, 1, 3, -2)))
    x = picture(draw, (*lead(draw, 2), *sizes(draw, n)))
    spoil(draw, n, options, "padding")
    return f"avg_pool{n}d", n, Call((x, kernel), options)


@st.composite
def adaptive_pooling(draw: DrawFn) -> Drawing:
    n = axes(draw)
    x = picture(draw, (*lead(draw, 2), *sizes(draw, n)))
    output = numbers(draw, n, 1, 9)
    if n > 1 and draw(st.integers(0, 3)) == 0:
        output = tuple(draw(st.sampled_from((None, 1, 2, 5))) for _ in range(n))
    if isinstance(output, list) and len(output) != n:
        output = output * n
    if draw(st.booleans()):
        return f"adaptive_avg_pool{n}d", n, Call((x, output))
    return f"adaptive_max_pool{n}d", n, Call((x, output), {"return_indices": draw(st.booleans())})


@st.composite
def max_unpooling(draw: DrawFn) -> Drawing:
    n = axes(draw)
    size = sizes(draw, n, most=5 if n < 3 else 3)
    kernel, stride, padding = sizes(draw, n, most=4), sizes(draw, n, most=3), sizes(draw, n, 0, 1)
    shape = (*lead(draw, 2), *size)
    usual = [(size[a] - 1) * stride[a] - 2 * padding[a] + kernel[a] for a in range(n)]
    wanted = [max(1, usual[a] + draw(st.integers(1 - stride[a], stride[a] - 1))) for a in range(n)]
    output = draw(st.sampled_from((None, wanted, tuple(wanted), [*shape[:-n], *wanted])))
    elements = math.prod(usual if output is None else wanted)
    places = index(*shape, below=max(1, elements + draw(st.sampled_from((0, 0, 0, 0, 3)))))
    options = {"stride": stride, "padding": padding, "output_size": output}
    return f"max_unpool{n}d", n, Call((normal(*shape), places, kernel), options)


FACTORS = st.one_of(
    st.sampled_from((1, 2, 3, 0.5, 1.5, 2.0, 1 / 3, 0.1 + 0.2, 0.7, 1.1, 2.6, 7 / 3)),
    st.floats(0.15, 3.2).map(lambda factor: round(factor, 3)),
    st.floats(0.15, 3.2),
)


@st.composite
def resampling(draw: DrawFn) -> Drawing:
    mode, n = draw(
        st.sampled_from(
            (
                *((mode, n) for mode in ("nearest", "nearest-exact", "area") for n in (1, 2, 3)),
                ("linear", 1),
                *(("bilinear", 2), ("bicubic", 2)) * 3,
                *((mode, n) for mode, axes in LANCZOS.items() for n in axes),
                ("trilinear", 3),
            )
        )
    )
    options: dict[str, Any] = {"mode": mode}
    if draw(st.booleans()):
        options["size"] = draw(st.integers(1, 13)) if draw(st.booleans()) else sizes(draw, n, 1, 13)
    else:
        options["scale_factor"] = draw(FACTORS) if draw(st.booleans()) else [float(draw(FACTORS)) for _ in range(n)]
        options["recompute_scale_factor"] = draw(st.sampled_from((None, False, True)))
    if mode in ("linear", "bilinear", "bicubic", "trilinear"):
        options["align_corners"] = draw(st.sampled_from((None, False, True)))
    if mode in ("bilinear", "bicubic", "lanczos"):
        options["antialias"] = draw(st.booleans())
    x = normal(draw(st.integers(1, 2)), draw(st.integers(1, 2)), *sizes(draw, n, most=10 if n < 3 else 5))
    return "interpolate", n, Call((x,), options)


def walk(draw: DrawFn, n: int) -> dict[str, Any]:
    return {
        "dilation": sizes(draw, n, 1, 2),
        "padding": sizes(draw, n, 0, 2),
        "stride": sizes(draw, n, 1, 3),
    }


@st.composite
def unfolding_(draw: DrawFn) -> Drawing:
    n = axes(draw)
    x = picture(draw, (*lead(draw, 2), *sizes(draw, n)))
    return "unfold", n, Call((x, sizes(draw, n, most=3)), walk(draw, n))


@st.composite
def folding(draw: DrawFn) -> Drawing:
    n = axes(draw)
    size, kernel, options = sizes(draw, n), sizes(draw, n, most=3), walk(draw, n)
    count = [
        (size[a] + 2 * options["padding"][a] - options["dilation"][a] * (kernel[a] - 1) - 1) // options["stride"][a] + 1
        for a in range(n)
    ]
    columns = max(1, math.prod(max(0, c) for c in count)) + draw(st.sampled_from((0, 0, 0, 0, 1)))
    rows = 2 * math.prod(kernel) + draw(st.sampled_from((0, 0, 0, 0, 1)))
    return "fold", n, Call((normal(*lead(draw, rows), columns), size, kernel), options)


@st.composite
def own_resampling(draw: DrawFn) -> Drawing:
    n = axes(draw)
    name = draw(st.sampled_from(("subsample", "duplicate", "upsample_bilinear_zeros")))
    factor = draw(st.integers(1, 4)) if draw(st.booleans()) else sizes(draw, n, 1, 4)
    return name, n, Call((normal(*draw(st.sampled_from(((1, 2), (2, 1), (0, 2)))), *sizes(draw, n)), factor))


@st.composite
def fused(draw: DrawFn) -> Drawing:
    _, n, call = draw(convolution().filter(lambda drawing: drawing[1] == 2))
    return "conv_max_pool_relu", n, Call(call.args, {**call.kwargs, "pool_size": numbers(draw, n, 1, 3)})


STRATEGIES: dict[str, Callable[[], st.SearchStrategy[Drawing]]] = {
    "convolution": convolution,
    "transposed convolution": transposed_convolution,
    "max-pooling": max_pooling,
    "average pooling": average_pooling,
    "adaptive pooling": adaptive_pooling,
    "max-unpooling": max_unpooling,
    "resampling": resampling,
    "unfold": unfolding_,
    "fold": folding,
    "our resampling": own_resampling,
    "convolution, pooling and ReLU": fused,
}


def truth(name: str, n: int) -> Callable[..., Any]:
    """Torch's function, or the expression that stands for it where torch has none."""
    if name in ("unfold", "fold") and n != 2:
        return {"unfold": unfolding.unfold_in_n, "fold": unfolding.fold_in_n}[name]
    return getattr(own, name, None) or getattr(F, name)


def arrange(tensor: Tensor, how: str) -> Tensor:
    """Return the same values in another memory layout."""
    if how == "transposed" and tensor.dim() > 1:
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if how == "channels last" and tensor.dim() in (4, 5):
        return tensor.contiguous(memory_format={4: torch.channels_last, 5: torch.channels_last_3d}[tensor.dim()])
    return tensor


def by_reference(name: str, n: int, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The result of `reference.py`, or None where it has no such function or would take long."""
    if not isinstance(args[0], Tensor) or args[0].dim() != (3 if name == "fold" else n + 2):
        return None
    given = [a.detach().numpy() if isinstance(a, Tensor) else a for a in args]
    base = name.removesuffix(f"{n}d")
    if base == "conv":
        if isinstance(kwargs["padding"], str):
            return None
        return reference.conv(*given, **kwargs)
    if base in ("conv_transpose", "avg_pool", "adaptive_avg_pool", "unfold", "fold"):
        if base == "adaptive_avg_pool" and not isinstance(given[1], int) and None in given[1]:
            return None
        return getattr(reference, base)(*given, **kwargs)
    if base in ("max_pool", "adaptive_max_pool"):
        if base == "adaptive_max_pool" and not isinstance(given[1], int) and None in given[1]:
            return None
        found = getattr(reference, base)(*given, **{k: v for k, v in kwargs.items() if k != "return_indices"})
        return found if kwargs["return_indices"] else found[0]
    if base == "upsample_bilinear_zeros":
        return reference.upsample_zeros(*given, **kwargs)
    return None


def reads_nothing(name: str, n: int, made: tuple[list[Any], dict[str, Any]]) -> bool:
    """Whether a window of a max-pooling lies in the padding with all its elements."""
    (x, *rest), kwargs = made
    values = truth(name, n)(torch.zeros_like(x), *rest, **{**kwargs, "return_indices": False})
    return bool(torch.isinf(values).any())


def refused_with_samples(name: str, n: int, call: Call) -> bool:
    """Whether torch refuses the call once the batch is not empty: then it has not looked at the arguments."""
    x = call.args[0]
    full = Call((Drawn((1, *x.shape[1:]), x.kind, x.below), *call.args[1:]), call.kwargs)
    args, kwargs = full.make()
    return attempt(lambda: truth(name, n)(*args, **kwargs))[1] is not None


def adjoint_gradient(x: Tensor, g: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """The adjoint of torch's forward pass; its backward pass sometimes rounds or skips otherwise."""
    elements = math.prod(x.shape[2:])
    pictures = torch.eye(elements, dtype=x.dtype).reshape(elements, 1, *x.shape[2:])
    matrix = F.interpolate(pictures, **kwargs).reshape(elements, -1)
    return (g.flatten(2) @ matrix.T).view_as(x)


def holds(subject: Subject, drawing: Drawing, seed: int, layout: str, check_reference: bool) -> None:
    name, n, call = drawing
    function = subject.function(Operation(name, n, {}, theirs=truth(name, n)))
    made = call.make(torch.float64, seed)
    if subject.name == "torch" and name.startswith("max_unpool"):
        layout = "plain"  # torch cannot go back through a transposed argument
    arguments = tree_map_only(Tensor, lambda t: arrange(t, layout), made)

    def run(f: Callable[..., Any], given: Any) -> tuple[Any, tuple[Tensor, ...]]:
        args, kwargs = tree_map_only(
            Tensor, lambda t: t.detach().requires_grad_() if t.is_floating_point() else t, given
        )
        result = f(*args, **kwargs)
        first = result if isinstance(result, Tensor) else result[0]
        leaves = [t for t in tensors((args, kwargs)) if t.requires_grad]
        return result, torch.autograd.grad(first, leaves, random_like(first))

    with quiet():
        if call.args[0].shape[0] == 0 and refused_with_samples(name, n, call):
            event("bad arguments for an empty batch")
            return
        result, expected, error = agree(
            lambda: function(*arguments[0], **arguments[1]), lambda: truth(name, n)(*made[0], **made[1]), name
        )
        event("refused" if error is not None else "computed")
        if error is not None:
            return
        if name.startswith("max_pool") and reads_nothing(name, n, made):
            # torch's index is arbitrary then, and its backward pass may write outside of its memory
            event("a window without an element")
            run(function, arguments)
            first = [r[0] if isinstance(r, tuple) else r for r in (result, expected)]
            same(first[0], first[1], what=name)
            return
        if made[1].get("antialias") and expected.shape[-1] == 1:
            event("one column")  # torch repeats its first element; test_laws.py and the reference know better
            run(function, arguments)
            return
        same(result, expected, what=name)
        if isinstance(expected, Tensor) and not expected.numel():
            event("nothing comes out")  # and some of torch's operators refuse to go back from there
        elif name == "interpolate":
            _, (gradient,) = run(function, arguments)
            same(gradient, adjoint_gradient(made[0][0], random_like(expected), made[1]), what="gradient")
        else:
            ours, theirs, error = agree(lambda: run(function, arguments), lambda: run(truth(name, n), made), "backward")
            if error is None:
                same(ours[1], theirs[1], what="gradient")
    if check_reference:
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            slow = by_reference(name, n, *made)
        if slow is not None:
            event("compared with reference.py")
            for mine, known in zip(*((r if isinstance(r, tuple) else (r,)) for r in (result, slow)), strict=True):
                np.testing.assert_allclose(mine.numpy(), known, rtol=1e-9, atol=1e-9, equal_nan=True)


def draw_and_check(subject: Subject, strategy: str, chosen: settings) -> None:
    @chosen
    @given(
        drawing=STRATEGIES[strategy](),
        seed=st.integers(0, 1000),
        layout=st.sampled_from(("plain", "plain", "transposed", "channels last")),
        check_reference=st.sampled_from((False, False, False, True)),
    )
    def check(drawing: Drawing, seed: int, layout: str, check_reference: bool) -> None:
        holds(subject, drawing, seed, layout, check_reference)

    check()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_random_calls(subject: Subject, strategy: str) -> None:
    draw_and_check(subject, strategy, settings(max_examples=60))


@pytest.mark.long
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_many_random_calls(subject: Subject, strategy: str) -> None:
    draw_and_check(subject, strategy, settings(max_examples=3000, derandomize=False))
