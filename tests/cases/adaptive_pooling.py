"""Adaptive pooling: maximum and mean over windows that divide each axis as evenly as can be."""

from contract import Call, Layer, Operation, call, few, normal, odd

SIZE = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}


def each(n: int, *values: int | None) -> tuple[int | None, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def shared(n: int) -> dict[str, Call]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    cases = {
        "does not divide": call(x, 4),
        "halves": call(normal(2, 3, *(6,) * n), 3),
        "an axis each": call(x, each(n, 2, 5, 4)),
        "global": call(x, 1),
        "same size": call(x, size),
        "larger than the input": call(x, 11),
        "list": call(x, [3] * n),
        "list of one": call(x, [3] * n if n > 1 else [3]),
        "by keyword": call(input=x, output_size=2),
        "NaN and infinity": call(odd(2, 3, *size), 3),
        "unbatched": call(normal(3, *size), 2),
        "empty batch": call(normal(0, 3, *size), 2),
        "batch of one": call(normal(1, 1, *size), 2),
    }
    if n > 1:
        cases["None keeps an axis"] = call(x, each(n, None, 3, None))
        cases["None on the last axis"] = call(x, (*(2,) * (n - 1), None))
    return cases


def errors(n: int) -> dict[str, tuple[Call, str | None]]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    return {
        "too few axes": (call(normal(*size), 2), "input"),
        "too few axes, a size an axis": (call(normal(*size), (2,) * n), "input"),
        "too many axes": (call(normal(2, 2, 3, *size), 2), "input"),
        "too many sizes": (call(x, (2,) * (n + 1)), "output_size"),
        "negative size": (call(x, -1), "output_size"),
        "fractional size": (call(x, 2.5), "output_size"),
        "an empty axis": (call(normal(2, 3, 0, *size[1:]), 2), "input"),
        "input is a list": (call([1.0, 2.0], 2), "input"),
    }


def maxima(n: int) -> dict[str, Call]:
    size = SIZE[n]
    return {
        "with indices": call(normal(2, 3, *size), 4, return_indices=True),
        **shared(n),
        "an axis each, with indices": call(normal(2, 3, *size), each(n, 2, 5, 4), return_indices=True),
        "larger than the input, with indices": call(normal(2, 3, *size), 11, True),
        "ties": call(few(2, 3, *size), 4, return_indices=True),
        "NaN, with indices": call(odd(2, 3, *size), 3, return_indices=True),
        "unbatched, with indices": call(normal(3, *size), 2, return_indices=True),
    }


LARGE = {1: (512,), 2: (24, 24), 3: (8, 8, 8)}
OPERATIONS = [
    *(
        Operation(
            f"adaptive_max_pool{n}d",
            n,
            maxima(n),
            errors(n),
            signature="input, output_size, return_indices=False",
            exact=True,
            large=call(normal(32, 16, *LARGE[n]), 7, return_indices=True),
        )
        for n in (1, 2, 3)
    ),
    *(
        Operation(
            f"adaptive_avg_pool{n}d",
            n,
            shared(n),
            errors(n),
            signature="input, output_size",
            large=call(normal(32, 16, *LARGE[n]), 7),
        )
        for n in (1, 2, 3)
    ),
]


def modules(n: int, maximum: bool) -> dict[str, tuple[Call, Call]]:
    x = normal(2, 3, *SIZE[n])
    cases = {
        "plain": (call(4), call(x)),
        "an axis each": (call(each(n, 2, 5, 4)), call(x)),
        "by keyword": (call(output_size=2), call(x)),
        "unbatched": (call(2), call(normal(3, *SIZE[n]))),
    }
    if maximum:
        cases["with indices"] = (call(3, return_indices=True), call(x))
        cases["with indices, by position"] = (call(3, True), call(x))
    if n > 1:
        cases["None keeps an axis"] = (call(each(n, None, 3, 2)), call(x))
    return cases


LAYERS = [
    *(Layer(f"AdaptiveMaxPool{n}d", modules(n, True), {"no size": (call(), None)}) for n in (1, 2, 3)),
    *(Layer(f"AdaptiveAvgPool{n}d", modules(n, False), {"no size": (call(), None)}) for n in (1, 2, 3)),
]
