"""Transposed convolution."""

from contract import Call, Layer, Operation, call, index, normal, odd

SIZE = {1: (5,), 2: (4, 3), 3: (3, 2, 3)}
KERNEL = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}


def each(n: int, *values: int) -> tuple[int, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def functions(n: int) -> dict[str, Call]:
    size, kernel = SIZE[n], KERNEL[n]
    x, w, b = normal(2, 4, *size), normal(4, 3, *kernel), normal(3)
    return {
        "stride, padding, output_padding, bias": call(x, w, b, stride=2, padding=1, output_padding=1),
        "all different": call(
            x, w, normal(6), each(n, 2, 3, 1), each(n, 1, 0, 1), each(n, 1, 2, 0), 2, each(n, 1, 1, 2)
        ),
        "plain": call(x, w),
        "bias": call(x, w, b),
        "stride": call(x, w, b, stride=2),
        "stride larger than the kernel": call(x, w, b, stride=4),
        "padding": call(x, w, b, padding=1),
        "padding as large as the kernel allows": call(normal(2, 4, *(4,) * n), normal(4, 3, *(3,) * n), padding=2),
        "output_padding with dilation": call(x, w, b, output_padding=1, dilation=2),
        "output_padding and stride 3": call(x, w, b, stride=3, output_padding=2),
        "dilation": call(x, w, b, dilation=2),
        "two groups": call(x, w, groups=2),
        "depthwise": call(x, normal(4, 1, *kernel), normal(4), groups=4, stride=2),
        "depthwise, two each": call(x, normal(4, 2, *kernel), normal(8), groups=4),
        "kernel of one element": call(x, normal(4, 3, *(1,) * n), b),
        "kernel of one element, stride": call(x, normal(4, 3, *(1,) * n), b, stride=3, output_padding=1),
        "one element": call(normal(2, 4, *(1,) * n), w, b, stride=2),
        "one channel to one": call(normal(2, 1, *size), normal(1, 1, *kernel), normal(1), stride=2),
        "lists": call(x, w, b, stride=[2] * n, padding=[1] * n, output_padding=[1] * n),
        "lists of one": call(x, w, b, stride=[2], padding=[1], output_padding=[1], dilation=[1]),
        "by keyword": call(input=x, weight=w, bias=b, stride=1, padding=0, output_padding=0, groups=1, dilation=1),
        "unbatched": call(normal(4, *size), w, b, stride=2),
        "unbatched, groups": call(normal(4, *size), w, groups=2, padding=1),
        "batch of one": call(normal(1, 4, *size), w, b),
        "empty batch": call(normal(0, 4, *size), w, b),
        "many channels": call(normal(1, 17, *size), normal(17, 9, *kernel), normal(9), stride=2),
        "NaN and infinity": call(odd(2, 4, *size), normal(4, 3, *(1,) * n), b),
    }


def errors(n: int) -> dict[str, tuple[Call, str | None]]:
    size, kernel = SIZE[n], KERNEL[n]
    x, w, b = normal(2, 4, *size), normal(4, 3, *kernel), normal(3)
    return {
        "too few axes": (call(normal(*size), w, b), "input"),
        "too many axes": (call(normal(2, 2, 4, *size), w, b), "input"),
        "weight with too few axes": (call(x, normal(4, *kernel), b), "weight"),
        "other number of channels": (call(normal(2, 5, *size), w, b), None),
        "groups do not divide": (call(x, w, normal(9), groups=3), "groups"),
        "no group": (call(x, w, b, groups=0), "groups"),
        "stride zero": (call(x, w, b, stride=0), "stride"),
        "too many strides": (call(x, w, b, stride=(1,) * (n + 1)), "stride"),
        "fractional stride": (call(x, w, b, stride=2.0), "stride"),
        "negative padding": (call(x, w, b, padding=-1), "padding"),
        "padding as a word": (call(x, w, b, padding="same"), "padding"),
        "too many paddings": (call(x, w, b, padding=(1,) * (n + 2)), "padding"),
        "padding eats everything": (call(x, w, b, padding=9), None),
        "output_padding as large as the stride": (call(x, w, b, stride=2, output_padding=2), "output_padding"),
        "output_padding without stride": (call(x, w, b, output_padding=1), "output_padding"),
        "negative output_padding": (call(x, w, b, stride=2, output_padding=-1), "output_padding"),
        "too many output_paddings": (call(x, w, b, stride=2, output_padding=(1,) * (n + 1)), "output_padding"),
        "dilation zero": (call(x, w, b, dilation=0), "dilation"),
        "bias of another length": (call(x, w, normal(4)), "bias"),
        "integer weight": (call(x, index(4, 3, *kernel, below=5), b), "weight"),
        "input is a list": (call([[[1.0, 2.0]]], w, b), "input"),
        "no weight": (call(x, None), "weight"),
        "an empty axis": (call(normal(2, 4, 0, *size[1:]), w, b), None),
    }


OPERATIONS = [
    Operation(
        f"conv_transpose{n}d",
        n,
        functions(n),
        errors(n),
        signature="input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1",
        large=call(
            normal(32, 8, *{1: (400,), 2: (20, 20), 3: (8, 8, 8)}[n]),
            normal(8, 8, *{1: (25,), 2: (5, 5), 3: (3, 3, 3)}[n]),
            normal(8),
        ),
        order_varies=n == 3,
    )
    for n in (1, 2, 3)
]


def modules(n: int) -> dict[str, tuple[Call, Call]]:
    x = normal(2, 4, *SIZE[n])
    doubled = [2 * s for s in SIZE[n]]
    return {
        "plain": (call(4, 6, 3, stride=2, padding=1), call(x)),
        "no bias": (call(4, 6, 2, bias=False), call(x)),
        "everything": (
            call(
                4,
                6,
                each(n, 2, 3, 2),
                stride=each(n, 2, 1, 3),
                padding=each(n, 1, 0, 1),
                output_padding=each(n, 1, 0, 2),
                groups=2,
                dilation=each(n, 1, 2, 1),
            ),
            call(x),
        ),
        "depthwise": (call(4, 8, 2, groups=4), call(x)),
        "unbatched": (call(4, 6, 2, stride=2), call(normal(4, *SIZE[n]))),
        "output_size": (call(4, 6, 3, stride=2, padding=1), call(x, output_size=doubled)),
        "output_size, second argument": (call(4, 6, 3, stride=2, padding=1), call(x, tuple(doubled))),
        "output_size with batch and channels": (
            call(4, 6, 3, stride=2, padding=1),
            call(x, output_size=[2, 6, *doubled]),
        ),
        "output_size, unbatched": (
            call(4, 6, 3, stride=2, padding=1),
            call(normal(4, *SIZE[n]), output_size=doubled),
        ),
        "output_size and dilation": (
            call(4, 6, 3, stride=2, padding=1, dilation=2),
            call(x, output_size=[2 * (s - 1) + 3 for s in SIZE[n]]),
        ),
    }


MODULE_ERRORS: dict[str, tuple[Call, str | None]] = {
    "groups do not divide the input channels": (call(4, 6, 3, groups=3), "in_channels"),
    "groups do not divide the output channels": (call(4, 6, 3, groups=4), "out_channels"),
    "another padding_mode": (call(4, 6, 3, padding_mode="circular"), "padding"),
}


def lazy(n: int) -> dict[str, tuple[Call, Call]]:
    x = normal(2, 4, *SIZE[n])
    return {
        "plain": (call(6, 3, padding=1), call(x)),
        "no bias": (call(6, 2, bias=False), call(x)),
        "everything": (call(6, 3, stride=2, output_padding=1, groups=2), call(x)),
    }


LAYERS = [
    *(Layer(f"ConvTranspose{n}d", modules(n), MODULE_ERRORS) for n in (1, 2, 3)),
    *(Layer(f"LazyConvTranspose{n}d", lazy(n)) for n in (1, 2, 3)),
]
