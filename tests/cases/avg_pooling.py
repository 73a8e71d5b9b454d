"""Average pooling."""

from contract import Call, Layer, Operation, call, normal, odd

SIZE = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
SIGNATURE = "input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True"


def each(n: int, *values: int) -> tuple[int, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def functions(n: int) -> dict[str, Call]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    cases = {
        "ceil_mode and padding, not counted": call(x, 3, 2, 1, True, False),
        "all different": call(x, each(n, 3, 2, 2), each(n, 2, 1, 3), each(n, 1, 1, 0), True, False),
        "plain": call(x, 2),
        "stride": call(x, 3, 1),
        "stride larger than the kernel": call(x, 2, 3),
        "padding, counted": call(x, 3, 2, 1),
        "padding, not counted": call(x, 3, 2, 1, count_include_pad=False),
        "ceil_mode": call(x, 2, 2, 0, True),
        "ceil_mode, stride 3": call(x, 2, 3, ceil_mode=True),
        "ceil_mode and padding": call(x, 3, 2, 1, True, True),
        "ceil_mode, window reaches beyond the padding": call(x, 4, 3, 2, True, True),
        "ceil_mode, window would start in the padding": call(normal(2, 3, *(3,) * n), 2, 2, 1, True),
        "kernel of one element": call(x, 1),
        "kernel as large as the input": call(x, size),
        "stride None": call(x, 2, None, 1),
        "lists": call(x, [2] * n, [2] * n, [1] * n),
        "lists of one": call(x, [2], [2], [1]),
        "by keyword": call(input=x, kernel_size=2, stride=1, padding=0, ceil_mode=False, count_include_pad=True),
        "NaN and infinity": call(odd(2, 3, *size), 2),
        "unbatched": call(normal(3, *size), 2, padding=1),
        "empty batch": call(normal(0, 3, *size), 2),
        "batch of one": call(normal(1, 1, *size), 2),
    }
    if n > 1:
        cases |= {
            "divisor_override": call(x, 3, 2, 1, divisor_override=4),
            "divisor_override, everything": call(x, 3, 2, 1, True, False, 7),
            "negative divisor_override": call(x, 2, divisor_override=-3),
        }
    return cases


def errors(n: int) -> dict[str, tuple[Call, str | None]]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    cases = {
        "too few axes": (call(normal(*size), 2), "input"),
        "too many axes": (call(normal(2, 2, 3, *size), 2), "input"),
        "kernel zero": (call(x, 0), "kernel_size"),
        "negative kernel": (call(x, -1), "kernel_size"),
        "too many kernels": (call(x, (2,) * (n + 1)), "kernel_size"),
        "fractional kernel": (call(x, 2.5), "kernel_size"),
        "stride zero": (call(x, 2, 0), "stride"),
        "too many strides": (call(x, 2, (1,) * (n + 1)), "stride"),
        "negative padding": (call(x, 2, 1, -1), "padding"),
        "padding more than half the kernel": (call(x, 2, 1, 2), "padding"),
        "too many paddings": (call(x, 2, 1, (1,) * (n + 1)), "padding"),
        "kernel larger than the input": (call(x, 12), None),
        "an empty axis": (call(normal(2, 3, 0, *size[1:]), 2), None),
        "input is a list": (call([1.0, 2.0], 2), "input"),
    }
    if n > 1:
        cases["divisor zero"] = (call(x, 2, divisor_override=0), "divisor_override")
    return cases


OPERATIONS = [
    Operation(
        f"avg_pool{n}d",
        n,
        functions(n),
        errors(n),
        signature=SIGNATURE if n == 1 else f"{SIGNATURE}, divisor_override=None",
        large=call(normal(32, 16, *{1: (512,), 2: (24, 24), 3: (8, 8, 8)}[n]), {1: 16, 2: 5, 3: 3}[n], 1),
    )
    for n in (1, 2, 3)
]


def modules(n: int) -> dict[str, tuple[Call, Call]]:
    x = normal(2, 3, *SIZE[n])
    cases = {
        "plain": (call(2), call(x)),
        "everything, by position": (call(3, 2, 1, True, False), call(x)),
        "everything, by keyword": (
            call(kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=True),
            call(x),
        ),
        "unbatched": (call(2, 1), call(normal(3, *SIZE[n]))),
    }
    if n > 1:
        cases["an axis each"] = (call(each(n, 3, 2, 2), each(n, 2, 1, 2), each(n, 1, 0, 1)), call(x))
        cases["divisor_override"] = (call(3, 2, 1, divisor_override=5), call(x))
    return cases


LAYERS = [Layer(f"AvgPool{n}d", modules(n), {"no kernel": (call(), None)}) for n in (1, 2, 3)]
