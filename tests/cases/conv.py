"""Convolution."""

from contract import Call, Layer, Operation, call, few, index, normal, odd

SIZE = {1: (9,), 2: (6, 7), 3: (4, 5, 3)}
KERNEL = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}


def each(n: int, *values: int) -> tuple[int, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def functions(n: int) -> dict[str, Call]:
    size, kernel = SIZE[n], KERNEL[n]
    x, w, b = normal(2, 3, *size), normal(4, 3, *kernel), normal(4)
    many, grouped = normal(2, 4, *size), normal(6, 2, *kernel)
    return {
        "stride, padding, bias": call(x, w, b, stride=2, padding=1),
        "all different": call(many, grouped, normal(6), each(n, 2, 1, 3), each(n, 1, 0, 2), each(n, 1, 2, 2), groups=2),
        "plain": call(x, w),
        "bias": call(x, w, b),
        "stride larger than the kernel": call(x, w, b, stride=4),
        "stride leaves a rest": call(x, w, b, stride=3),
        "padding larger than the kernel": call(x, w, b, padding=5),
        "dilation": call(x, normal(4, 3, *(2,) * n), b, dilation=2),
        "dilation and padding": call(x, w, b, dilation=2, padding=3),
        "dilation without effect": call(x, normal(4, 3, *(1,) * n), b, dilation=7),
        "two groups": call(many, grouped, groups=2),
        "depthwise": call(x, normal(3, 1, *kernel), normal(3), padding=1, groups=3),
        "depthwise, two each": call(x, normal(6, 1, *kernel), normal(6), groups=3),
        "one channel to one": call(normal(2, 1, *size), normal(1, 1, *kernel), normal(1)),
        "kernel of one element": call(x, normal(4, 3, *(1,) * n), b),
        "kernel of one element, stride": call(x, normal(4, 3, *(1,) * n), b, stride=2),
        "kernel as large as the input": call(x, normal(4, 3, *size), b),
        "kernel as large as the padded input": call(x, normal(4, 3, *(s + 2 for s in size)), b, padding=1),
        "even kernel": call(x, normal(4, 3, *(2,) * n), b, padding=1),
        "same": call(x, normal(4, 3, *(3,) * n), b, padding="same"),
        "same, even kernel": call(x, normal(4, 3, *(2,) * n), b, padding="same"),
        "same, dilation": call(x, w, b, padding="same", dilation=each(n, 2, 3, 1)),
        "same, even kernel and dilation": call(x, normal(4, 3, *(4,) * n), b, 1, "same", 3),
        "same, groups": call(many, grouped, padding="same", groups=2),
        "valid": call(x, w, b, padding="valid", stride=2),
        "lists": call(x, w, b, stride=[2] * n, padding=[1] * n, dilation=[1] * n),
        "lists of one": call(x, w, b, stride=[2], padding=[1], dilation=[1]),
        "by keyword": call(input=x, weight=w, bias=b, stride=1, padding=0, dilation=1, groups=1),
        "unbatched": call(normal(3, *size), w, b, padding=1),
        "unbatched, same": call(normal(3, *size), w, padding="same"),
        "unbatched, groups": call(normal(4, *size), grouped, groups=2, stride=2),
        "batch of one": call(normal(1, 3, *size), w, b),
        "empty batch": call(normal(0, 3, *size), w, b, padding=1),
        "many channels": call(normal(1, 17, *size), normal(19, 17, *kernel), normal(19), padding=1),
        "NaN and infinity": call(odd(2, 3, *size), normal(4, 3, *(1,) * n), b),
        "ties": call(few(2, 3, *size), few(4, 3, *kernel), few(4)),
    }


def errors(n: int) -> dict[str, tuple[Call, str | None]]:
    size, kernel = SIZE[n], KERNEL[n]
    x, w, b = normal(2, 3, *size), normal(4, 3, *kernel), normal(4)
    return {
        "too few axes": (call(normal(*size), w, b), "input"),
        "too many axes": (call(normal(2, 2, 3, *size), w, b), "input"),
        "weight with too few axes": (call(x, normal(4, *kernel), b), "weight"),
        "weight with too many axes": (call(x, normal(4, 3, 1, *kernel), b), None),
        "other number of channels": (call(normal(2, 5, *size), w, b), "input"),
        "other number of channels, unbatched": (call(normal(5, *size), w, b), "input"),
        "groups do not divide": (call(normal(2, 9, *size), w, b, groups=3), "groups"),
        "no group": (call(x, w, b, groups=0), "groups"),
        "negative groups": (call(x, w, b, groups=-1), "groups"),
        "stride zero": (call(x, w, b, stride=0), "stride"),
        "negative stride": (call(x, w, b, stride=-1), "stride"),
        "stride zero on the last axis": (call(x, w, b, stride=[1] * (n - 1) + [0]), "stride"),
        "too many strides": (call(x, w, b, stride=(1,) * (n + 1)), "stride"),
        "fractional stride": (call(x, w, b, stride=1.5), "stride"),
        "stride as text": (call(x, w, b, stride="2"), "stride"),
        "no stride": (call(x, w, b, stride=None), "stride"),
        "negative padding": (call(x, w, b, padding=-1), "padding"),
        "too many paddings": (call(x, w, b, padding=(1,) * (n + 2)), "padding"),
        "unknown word for padding": (call(x, w, b, padding="full"), "padding"),
        "same with stride": (call(x, w, b, padding="same", stride=2), "padding"),
        "dilation zero": (call(x, w, b, dilation=0), "dilation"),
        "negative dilation": (call(x, w, b, dilation=-2), "dilation"),
        "too many dilations": (call(x, w, b, dilation=(1,) * (n + 1)), "dilation"),
        "kernel larger than the input": (call(x, normal(4, 3, *(12,) * n), b), None),
        "dilated kernel larger than the input": (call(x, w, b, dilation=9), None),
        "bias of another length": (call(x, w, normal(5)), "bias"),
        "bias with two axes": (call(x, w, normal(4, 1)), "bias"),
        "bias is a number": (call(x, w, 1.0), "bias"),
        "integer weight": (call(x, index(4, 3, *kernel, below=5), b), "weight"),
        "integer input": (call(index(2, 3, *size, below=5), w, b), None),
        "integer bias": (call(x, w, index(4, below=5)), "bias"),
        "input is a list": (call([[[1.0, 2.0]]], w, b), "input"),
        "weight is a list": (call(x, [1.0, 2.0], b), "weight"),
        "no weight": (call(x, None), "weight"),
        "an empty axis": (call(normal(2, 3, 0, *size[1:]), w, b), None),
        "a kernel without elements": (call(x, normal(4, 3, 0, *kernel[1:]), b), None),
    }


OPERATIONS = [
    Operation(
        f"conv{n}d",
        n,
        functions(n),
        errors(n),
        signature="input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1",
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
    return {
        "plain": (call(4, 6, 3, padding=1), call(x)),
        "no bias": (call(4, 6, 2, bias=False), call(x)),
        "everything": (
            call(
                4,
                6,
                each(n, 2, 3, 2),
                stride=each(n, 2, 1, 2),
                padding=each(n, 1, 2, 1),
                dilation=each(n, 1, 2, 1),
                groups=2,
            ),
            call(x),
        ),
        "depthwise": (call(4, 8, 2, groups=4), call(x)),
        "same": (call(4, 6, 2, padding="same"), call(x)),
        "valid": (call(4, 6, 2, padding="valid"), call(x)),
        "unbatched": (call(4, 6, 2, padding=1), call(normal(4, *SIZE[n]))),
        "reflect": (call(4, 6, 3, padding=2, padding_mode="reflect"), call(x)),
        "reflect, same": (call(4, 6, 2, padding="same", dilation=2, padding_mode="reflect"), call(x)),
        "replicate": (call(4, 6, 3, padding=2, stride=2, padding_mode="replicate"), call(x)),
        "replicate, same": (call(4, 6, 2, padding="same", padding_mode="replicate"), call(x)),
        "circular": (call(4, 6, 3, padding=each(n, 2, 1, 0), padding_mode="circular"), call(x)),
        "circular, same": (call(4, 6, 2, padding="same", padding_mode="circular"), call(x)),
        "circular, unbatched": (call(4, 6, 2, padding=1, padding_mode="circular"), call(normal(4, *SIZE[n]))),
        "empty batch": (call(4, 6, 2), call(normal(0, 4, *SIZE[n]))),
    }


MODULE_ERRORS: dict[str, tuple[Call, str | None]] = {
    "groups do not divide the input channels": (call(4, 6, 3, groups=3), "in_channels"),
    "groups do not divide the output channels": (call(4, 6, 3, groups=4), "out_channels"),
    "no group": (call(4, 6, 3, groups=0), "groups"),
    "unknown word for padding": (call(4, 6, 3, padding="full"), "padding"),
    "same with stride": (call(4, 6, 3, padding="same", stride=2), "padding"),
    "unknown padding_mode": (call(4, 6, 3, padding_mode="mirror"), "padding_mode"),
    "no kernel": (call(4, 6), None),
}


def lazy(n: int) -> dict[str, tuple[Call, Call]]:
    x = normal(2, 4, *SIZE[n])
    return {
        "plain": (call(6, 3, padding=1), call(x)),
        "no bias": (call(6, 2, bias=False), call(x)),
        "groups, stride": (call(6, 2, groups=2, stride=2), call(x)),
        "circular": (call(6, 2, padding=1, padding_mode="circular"), call(x)),
    }


LAYERS = [
    *(Layer(f"Conv{n}d", modules(n), MODULE_ERRORS) for n in (1, 2, 3)),
    *(Layer(f"LazyConv{n}d", lazy(n)) for n in (1, 2, 3)),
]
