"""Max-pooling."""

from contract import Call, Layer, Operation, call, few, normal, odd

SIZE = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}


def each(n: int, *values: int) -> tuple[int, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def functions(n: int) -> dict[str, Call]:
    size = SIZE[n]
    x, ties = normal(2, 3, *size), few(2, 3, *size)
    return {
        "with indices": call(x, 2, return_indices=True),
        "all different": call(x, each(n, 3, 2, 2), each(n, 2, 1, 3), each(n, 1, 1, 0), each(n, 2, 1, 1), True, True),
        "plain": call(x, 2),
        "stride": call(x, 3, 1, return_indices=True),
        "stride larger than the kernel": call(x, 2, 3, return_indices=True),
        "padding": call(x, 3, 2, 1, return_indices=True),
        "padding, all negative": call(x, 2, padding=1, stride=1),
        "dilation": call(x, 2, 1, 0, 2, return_indices=True),
        "dilation and padding": call(x, 3, 1, 1, 2, return_indices=True),
        "ceil_mode": call(x, 2, 2, ceil_mode=True, return_indices=True),
        "ceil_mode, stride 3": call(x, 2, 3, ceil_mode=True, return_indices=True),
        "ceil_mode and padding": call(x, 3, 2, 1, ceil_mode=True, return_indices=True),
        "ceil_mode, window would start in the padding": call(
            normal(2, 3, *(3,) * n), 2, 2, 1, ceil_mode=True, return_indices=True
        ),
        "kernel of one element": call(x, 1, return_indices=True),
        "kernel of one element, stride": call(x, 1, 2, return_indices=True),
        "kernel as large as the input": call(x, size, return_indices=True),
        "empty tuple of strides" if n > 1 else "stride as a tuple": call(x, 2, () if n > 1 else (2,)),
        "stride None": call(x, 2, None, return_indices=True),
        "lists": call(x, [2] * n, [2] * n, [1] * n, [1] * n, return_indices=True),
        "lists of one": call(x, [2], [2], [1], [1]),
        "by keyword": call(
            input=x, kernel_size=2, stride=1, padding=0, dilation=1, ceil_mode=False, return_indices=False
        ),
        "ties": call(ties, 2, return_indices=True),
        "ties, overlapping windows": call(ties, 3, 1, 1, return_indices=True),
        "ties, everything": call(ties, 2, 2, 1, 2, True, True),
        "NaN and infinity": call(odd(2, 3, *size), 2, return_indices=True),
        "NaN and infinity, overlapping": call(odd(2, 3, *size), 3, 1, 1, return_indices=True),
        "unbatched": call(normal(3, *size), 2, return_indices=True),
        "unbatched, ties": call(few(3, *size), 3, 2, 1, return_indices=True),
        "empty batch": call(normal(0, 3, *size), 2, return_indices=True),
        "batch of one": call(normal(1, 1, *size), 2, return_indices=True),
    }


def errors(n: int) -> dict[str, tuple[Call, str | None]]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    return {
        "too few axes": (call(normal(*size), 2), "input"),
        "too many axes": (call(normal(2, 2, 3, *size), 2), "input"),
        "kernel zero": (call(x, 0), "kernel_size"),
        "negative kernel": (call(x, -1), "kernel_size"),
        "too many kernels": (call(x, (2,) * (n + 1)), "kernel_size"),
        "fractional kernel": (call(x, 2.5), "kernel_size"),
        "no kernel": (call(x, None), "kernel_size"),
        "stride zero": (call(x, 2, 0), "stride"),
        "negative stride": (call(x, 2, -2), "stride"),
        "too many strides": (call(x, 2, (1,) * (n + 1)), "stride"),
        "negative padding": (call(x, 2, 1, -1), "padding"),
        "padding more than half the kernel": (call(x, 2, 1, 2), "padding"),
        "too many paddings": (call(x, 2, 1, (1,) * (n + 1)), "padding"),
        "dilation zero": (call(x, 2, 1, 0, 0), "dilation"),
        "too many dilations": (call(x, 2, 1, 0, (1,) * (n + 1)), "dilation"),
        "kernel larger than the input": (call(x, 12), None),
        "dilated kernel larger than the input": (call(x, 3, 1, 0, 9), None),
        "an empty axis": (call(normal(2, 3, 0, *size[1:]), 2), None),
        "an empty channel axis": (call(normal(2, 0, *size), 2), None) if n > 1 else (call(x, 0, 0), None),
        "input is a list": (call([1.0, 2.0], 2), "input"),
    }


OPERATIONS = [
    Operation(
        f"max_pool{n}d",
        n,
        functions(n),
        errors(n),
        signature="input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False",
        exact=True,
        large=call(
            normal(32, 16, *{1: (512,), 2: (24, 24), 3: (8, 8, 8)}[n]), {1: 16, 2: 5, 3: 3}[n], 1, return_indices=True
        ),
    )
    for n in (1, 2, 3)
]


def modules(n: int) -> dict[str, tuple[Call, Call]]:
    x = normal(2, 3, *SIZE[n])
    return {
        "plain": (call(2), call(x)),
        "with indices": (call(2, return_indices=True), call(x)),
        "everything, by position": (
            call(each(n, 3, 2, 2), each(n, 2, 1, 3), each(n, 1, 1, 0), each(n, 1, 2, 1), True, True),
            call(x),
        ),
        "everything, by keyword": (
            call(kernel_size=3, stride=2, padding=1, dilation=1, return_indices=True, ceil_mode=True),
            call(x),
        ),
        "unbatched": (call(2, 1), call(normal(3, *SIZE[n]))),
        "ties": (call(3, 1, 1), call(few(2, 3, *SIZE[n]))),
    }


LAYERS = [Layer(f"MaxPool{n}d", modules(n), {"no kernel": (call(), None)}) for n in (1, 2, 3)]
