"""Max-unpooling."""

import math

from contract import Call, Layer, Operation, call, distinct, index, normal

SIZE = {1: (5,), 2: (3, 4), 3: (2, 3, 2)}


def each(n: int, *values: int) -> tuple[int, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def functions(n: int) -> dict[str, Call]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    small = math.prod(size)  # every output of these cases has at least as many elements
    double = math.prod(2 * s for s in size)

    def places(below: int, *lead: int) -> object:
        return index(*lead, *size, below=below)

    return {
        "each index once": call(x, distinct(2, 3, *size, below=double), 2),
        "indices twice": call(x, places(double, 2, 3), 2),
        "all different": call(x, places(small, 2, 3), each(n, 3, 2, 2), each(n, 2, 3, 2), each(n, 1, 0, 0)),
        "stride": call(x, places(small, 2, 3), 3, 2),
        "overlapping windows": call(x, places(small, 2, 3), 2, 1),
        "padding": call(x, places(small, 2, 3), 3, 2, 1),
        "output_size": call(x, places(double, 2, 3), 2, output_size=[2 * s + 1 for s in size]),
        "output_size, smaller": call(x, places(small, 2, 3), 2, output_size=tuple(2 * s - 1 for s in size)),
        "output_size with batch and channels": call(
            x, places(double, 2, 3), 2, output_size=[2, 3, *(2 * s + 1 for s in size)]
        ),
        "stride None": call(x, places(double, 2, 3), 2, None),
        "lists": call(x, places(small, 2, 3), [2] * n, [2] * n, [0] * n),
        "by keyword": call(input=x, indices=places(double, 2, 3), kernel_size=2, stride=2, padding=0, output_size=None),
        "unbatched": call(normal(3, *size), places(double, 3), 2),
        "unbatched, output_size": call(normal(3, *size), places(double, 3), 2, output_size=[2 * s + 1 for s in size]),
        "empty batch": call(normal(0, 3, *size), index(0, 3, *size, below=1), 2),
    }


def errors(n: int) -> dict[str, tuple[Call, str | None]]:
    size = SIZE[n]
    x, places = normal(2, 3, *size), index(2, 3, *size, below=math.prod(size))
    return {
        "too few axes": (call(normal(*size), index(*size, below=2), 2), "input"),
        "too many axes": (call(normal(2, 2, 3, *size), index(2, 2, 3, *size, below=2), 2), "input"),
        "indices of another shape": (call(x, index(2, 2, *size, below=2), 2), "indices"),
        "indices of another type": (call(x, normal(2, 3, *size), 2), "indices"),
        "index too large": (call(x, index(2, 3, *size, below=10**6), 2), "indices"),
        "output_size too large": (call(x, places, 2, output_size=[2 * s + 2 for s in size]), "output_size"),
        "output_size too small": (call(x, places, 2, output_size=[2 * s - 2 for s in size]), "output_size"),
        "too many output sizes": (call(x, places, 2, output_size=[2] * (n + 3)), "output_size"),
        "too many kernels": (call(x, places, (2,) * (n + 1)), "kernel_size"),
        "an empty axis": (call(normal(2, 3, 0, *size[1:]), index(2, 3, 0, *size[1:], below=2), 2), "input"),
        "no indices": (call(x, None, 2), "indices"),
        "input is a list": (call([1.0, 2.0], places, 2), "input"),
    }


OPERATIONS = [
    Operation(
        f"max_unpool{n}d",
        n,
        functions(n),
        errors(n),
        signature="input, indices, kernel_size, stride=None, padding=0, output_size=None",
        exact=True,
    )
    for n in (1, 2, 3)
]


def modules(n: int) -> dict[str, tuple[Call, Call]]:
    size = SIZE[n]
    x, places = normal(2, 3, *size), index(2, 3, *size, below=math.prod(size))
    return {
        "plain": (call(2), call(x, places)),
        "stride and padding": (call(3, stride=2, padding=1), call(x, places)),
        "by position": (call(each(n, 3, 2, 2), each(n, 2, 2, 2), each(n, 1, 0, 0)), call(x, places)),
        "output_size": (call(2), call(x, places, output_size=[2 * s + 1 for s in size])),
        "output_size as a torch.Size": (call(2), call(x, places, [2, 3, *(2 * s + 1 for s in size)])),
        "unbatched": (call(2), call(normal(3, *size), index(3, *size, below=math.prod(size)))),
    }


LAYERS = [Layer(f"MaxUnpool{n}d", modules(n), {"no kernel": (call(), None)}) for n in (1, 2, 3)]
