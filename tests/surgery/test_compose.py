"""Two layers as one: equal wherever it is granted, refused only where it would be wrong."""

import importlib
import itertools
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor, nn

import lightconv
from lightconv import compose, conv_matrix

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
module = importlib.import_module("lightconv.surgery.compose")


@st.composite
def layers(draw: DrawFn, n: int, inputs: int, outputs: int) -> nn.Module:
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if inputs % g == outputs % g == 0]))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(n))
    stride = tuple(draw(st.sampled_from((1, 1, 1, 2, 3))) for _ in range(n))
    dilation = tuple(draw(st.sampled_from((1, 1, 2))) for _ in range(n))
    full = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    padding: Any = draw(st.sampled_from((0, 0, full, "drawn", "same")))
    if padding == "drawn":
        padding = tuple(draw(st.integers(0, 2)) for _ in range(n))
    options: dict[str, Any] = {
        "dilation": dilation,
        "groups": groups,
        "bias": draw(st.sampled_from((False, False, True))),
    }
    if draw(st.integers(0, 2)):
        stride = (1,) * n if padding == "same" else stride
        mode = draw(st.sampled_from(("zeros", "zeros", "zeros", "circular", "reflect")))
        options |= {"stride": stride, "padding": padding, "padding_mode": mode}
        return getattr(nn, f"Conv{n}d")(inputs, outputs, kernel, **options)
    rest = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    padding = 0 if padding == "same" else padding
    options |= {"stride": stride, "padding": padding, "output_padding": draw(st.sampled_from((0, rest)))}
    return getattr(nn, f"ConvTranspose{n}d")(inputs, outputs, kernel, **options)


@st.composite
def rows(draw: DrawFn, length: int, axes: tuple[int, ...] = (1, 1, 1, 2, 3)) -> list[nn.Module]:
    n = draw(st.sampled_from(axes))
    channels = [draw(st.sampled_from((2, 4))) for _ in range(length + 1)]
    torch.manual_seed(draw(st.integers(0, 99)))
    return [draw(layers(n, a, b)).double() for a, b in itertools.pairwise(channels)]


def inputs(first: Any) -> list[Tensor]:
    axes = len(first.kernel_size)
    sizes = {1: range(6, 24), 2: range(9, 13), 3: (7, 8)}[axes]
    return [torch.randn(2, first.in_channels, *(n + i for i in range(axes)), dtype=torch.float64) for n in sizes]


def outputs(row: list[nn.Module], x: Tensor) -> Tensor | None:
    try:
        return nn.Sequential(*row)(x)
    except RuntimeError:  # too small an input
        return None


def equal(row: list[nn.Module], one: nn.Module) -> bool:
    results = [(outputs(row, x), x) for x in inputs(row[0])]
    pairs = [(expected, one(x)) for expected, x in results if expected is not None]
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in pairs)


def holds(row: list[nn.Module]) -> None:
    with lightconv.backend("aten"):  # the algebra is tested here, the layers elsewhere
        one = row[0]
        try:
            for layer in row[1:]:
                one = compose(one, layer)
        except ValueError:
            event("refused")
            return
        event("composed")
        assert type(one).__module__ == "lightconv.nn.conv"
        assert equal(row, one)


FEW = settings(max_examples=150, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=2000, derandomize=False)


class TestDrawn:
    @FEW
    @given(rows(2))
    def test_two_layers(self, row: list[nn.Module]) -> None:
        holds(row)

    @FEW
    @given(rows(3, (1, 1, 2)))
    def test_three_layers(self, row: list[nn.Module]) -> None:
        holds(row)

    @FEW
    @given(rows(2, (1,)))
    def test_every_refusal_at_the_border_is_needed(self, row: list[nn.Module]) -> None:
        refusal_is_needed(row)

    @pytest.mark.long
    @MANY
    @given(rows(2))
    def test_many_pairs(self, row: list[nn.Module]) -> None:
        holds(row)

    @pytest.mark.long
    @MANY
    @given(rows(3, (1, 1, 2)))
    def test_many_rows_of_three(self, row: list[nn.Module]) -> None:
        holds(row)

    @pytest.mark.long
    @MANY
    @given(rows(2, (1,)))
    def test_many_refusals(self, row: list[nn.Module]) -> None:
        refusal_is_needed(row)


def refusal_is_needed(row: list[Any]) -> None:
    """What would come out without the check of the border differs for some input (of every phase of the strides)."""
    if any(layer.padding_mode != "zeros" for layer in row):
        return
    try:
        compose(*row)
        return
    except ValueError:
        pass
    check, module._padding_mode = module._padding_mode, lambda a, b: "zeros"
    try:
        careless = compose(*row)
    except ValueError:
        return
    finally:
        module._padding_mode = check
    event("refused with reason")
    with lightconv.backend("aten"):
        assert not equal(row, careless)


def smoothing(**options: Any) -> nn.Conv1d:
    conv = nn.Conv1d(1, 1, 3, bias=False, **options)
    nn.init.constant_(conv.weight, 0.33)
    return conv


def test_the_same_convolution_twice() -> None:
    """Notebook 10.1 asks; without padding it is one convolution, with zero padding only in the interior."""
    x = torch.tensor([[[5.2, 5.3, 5.4, 5.1, 10.1, 10.3, 9.9, 10.3, 3.2, 3.4, 3.3, 3.1]]])
    valid, padded = smoothing(), smoothing(padding=1)
    once = compose(valid, valid)
    torch.testing.assert_close(once.weight.flatten(), 0.33**2 * torch.tensor([1.0, 2, 3, 2, 1]))
    torch.testing.assert_close(once(x), valid(valid(x)))
    with pytest.raises(ValueError, match="No single convolution is equal at the border"):
        compose(padded, padded)
    once.padding = (2,)
    difference = once(x) - padded(padded(x))
    assert difference[..., 1:-1].abs().max() < 1e-5
    torch.testing.assert_close(difference[0, 0, 0], 0.33**2 * x[0, 0, 0])
    torch.testing.assert_close(difference[0, 0, -1], 0.33**2 * x[0, 0, -1])
    matrix = conv_matrix(padded.weight, (1, 12), padding=1, layout=torch.strided)
    torch.testing.assert_close(matrix @ (matrix @ x.flatten()), padded(padded(x)).flatten())


EXAMPLES = [
    # first, second, the layer that they make
    (nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 3, stride=2), "Conv2d(4, 4, kernel_size=(3, 3), stride=(2, 2))"),
    (
        nn.Conv2d(4, 8, 1, bias=False),
        nn.Conv2d(8, 4, 3, padding=1),
        "Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
    ),
    (
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4),
        nn.Conv2d(4, 8, (1, 3), groups=2),
        "Conv2d(4, 8, kernel_size=(3, 7), stride=(2, 2), padding=(1, 1), groups=2)",
    ),
    (
        nn.Conv1d(1, 1, 3, dilation=2),
        nn.Conv1d(1, 1, 2, dilation=4),
        "Conv1d(1, 1, kernel_size=(5,), stride=(1,), dilation=(2,))",
    ),
    (
        nn.Conv1d(1, 2, 2, padding="same", bias=False),
        nn.Conv1d(2, 1, 1),
        "Conv1d(1, 1, kernel_size=(2,), stride=(1,), padding=same)",
    ),
    (
        nn.Conv1d(1, 2, 2, padding="same"),
        nn.Conv1d(2, 1, 1, stride=2),
        "Conv1d(1, 1, kernel_size=(3,), stride=(2,), padding=(1,))",
    ),
    (
        nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
        nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
        "Conv1d(2, 2, kernel_size=(5,), stride=(1,), padding=(2,), padding_mode=circular)",
    ),
    (
        nn.ConvTranspose2d(2, 3, 2, stride=2),
        nn.Conv2d(3, 2, 1),
        "ConvTranspose2d(2, 2, kernel_size=(2, 2), stride=(2, 2))",
    ),
    (
        nn.ConvTranspose1d(1, 2, 4, stride=2),
        nn.Conv1d(2, 1, 2, stride=2),
        "Conv1d(1, 1, kernel_size=(2,), stride=(1,), padding=(1,))",
    ),
    (nn.Conv2d(2, 3, 3, padding=1), nn.AvgPool2d(2), "Conv2d(2, 3, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1))"),
    (nn.AvgPool1d(2), nn.Conv1d(3, 1, 3), "Conv1d(3, 1, kernel_size=(6,), stride=(2,))"),
    (
        nn.Conv3d(2, 2, 3, padding=1),
        nn.BatchNorm3d(2).eval(),
        "Conv3d(2, 2, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1))",
    ),
    (nn.SyncBatchNorm(2).eval(), nn.Conv1d(2, 2, 3), "Conv1d(2, 2, kernel_size=(3,), stride=(1,))"),
]


@pytest.mark.parametrize(("first", "second", "expected"), EXAMPLES)
def test_examples(first: Any, second: Any, expected: str) -> None:
    one = compose(first.double(), second.double())
    assert repr(one) == expected
    x = torch.randn(2, one.in_channels, *(12, 11, 10)[: len(one.kernel_size)], dtype=torch.float64)
    torch.testing.assert_close(one(x), second(first(x)))


REFUSED = [
    (nn.Conv1d(1, 1, 3), nn.Conv1d(1, 1, 3, padding=1), "Exact without padding in `second`, or with padding of at"),
    (nn.Conv1d(1, 1, 1), nn.Conv1d(1, 1, 3, padding=1), "go on with its bias. Exact without that bias"),
    (nn.Conv1d(1, 1, 3), nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect"), "pads by 'reflect'"),
    (nn.Conv1d(1, 1, 3, stride=2), nn.ConvTranspose1d(1, 1, 3, stride=2), "repeats only every 2 outputs"),
    (
        nn.ConvTranspose1d(1, 1, 3, stride=2),
        nn.Conv1d(1, 1, 3, stride=3),
        "stride 2 up and stride 3 down make a fraction",
    ),
    (nn.ConvTranspose1d(1, 1, 3, 2, 1), nn.ConvTranspose1d(1, 1, 3, 2), "`first` cuts off"),
    (nn.ConvTranspose1d(1, 1, 3, 2), nn.ConvTranspose1d(1, 1, 2, 2), "spreads the bias of `first`"),
    (nn.Conv1d(1, 2, 3), nn.Conv1d(1, 1, 3), "take the 2 channels"),
    (nn.Conv1d(1, 1, 3), nn.Conv2d(1, 1, 3), "same number of spatial axes"),
    (
        nn.Conv1d(1, 1, 3),
        nn.Conv1d(1, 1, 3).double(),
        "one dtype on one device, but got torch.float32 on cpu, torch.float64",
    ),
    (nn.Conv1d(1, 1, 3), nn.ReLU(), "ReLU is not a convolution"),
    (nn.Conv1d(1, 1, 3), nn.BatchNorm1d(1), r"training mode depends on the batch; call eval\(\) first"),
    (nn.Conv1d(1, 1, 3), nn.BatchNorm1d(1, track_running_stats=False).eval(), "keeps no running statistics"),
    (nn.Conv2d(1, 1, 3), nn.BatchNorm1d(1).eval(), "same number of spatial axes"),
    (nn.LazyConv1d(1, 3), nn.Conv1d(1, 1, 3), "not initialised; run it once"),
    (nn.Conv1d(1, 1, 3, device="meta"), nn.Conv1d(1, 1, 3, device="meta"), "on the meta device"),
    (nn.AvgPool1d(2), nn.AvgPool1d(2), "Expected a convolution among the two"),
    (nn.Conv1d(1, 1, 3), nn.AvgPool1d(3, padding=1, count_include_pad=False), "divides by other numbers at the border"),
    (nn.Conv1d(1, 1, 3), nn.AvgPool1d(3, ceil_mode=True), "divides by other numbers at the border"),
    (lightconv.nn.ConvMaxPoolReLU(1, 1, 3), nn.Conv2d(1, 1, 3), "ConvMaxPoolReLU is not a convolution"),
]


@pytest.mark.parametrize(("first", "second", "words"), REFUSED)
def test_refusals_say_why(first: nn.Module, second: nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        compose(first, second)
    assert "\n" not in str(caught.value)


def test_something_else_than_a_layer() -> None:
    with pytest.raises(TypeError, match="Expected `second` to be a layer, but got 3"):
        compose(nn.Conv1d(1, 1, 3), 3)  # type: ignore[arg-type]


def test_what_makes_it_exact_according_to_the_refusals_does() -> None:
    first, second = nn.Conv1d(1, 1, 3, padding=2, bias=False), nn.Conv1d(1, 1, 3, padding=1)
    assert equal([first.double(), second.double()], compose(first, second))
    wide = nn.Conv1d(1, 1, 3, padding=2, dilation=2, bias=False).double()
    with pytest.raises(ValueError, match="at least dilation"):
        compose(wide, second)
    wide.padding = (4,)
    assert equal([wide, second], compose(wide, second))


def test_the_result_is_trainable_and_of_its_own() -> None:
    first, second = nn.Conv1d(2, 3, 3).half().eval(), nn.Conv1d(3, 1, 3).half().eval()
    one = compose(first, second)
    assert one.weight.dtype == torch.float16
    assert not one.training
    assert one.weight.requires_grad
    assert not compose(first.requires_grad_(False), second.requires_grad_(False)).weight.requires_grad
    assert one.bias is not None
    assert compose(nn.Conv1d(1, 1, 3, bias=False), nn.Conv1d(1, 1, 3, bias=False)).bias is None


def test_complex_weights() -> None:
    row = [nn.Conv1d(2, 2, 3, dtype=torch.complex128), nn.Conv1d(2, 1, 2, dtype=torch.complex128)]
    x = torch.randn(1, 2, 9, dtype=torch.complex128)
    torch.testing.assert_close(compose(*row)(x), row[1](row[0](x)))
