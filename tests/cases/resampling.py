"""Resampling: `interpolate` in every mode."""

import torch.nn.functional as F
from contract import Call, Layer, Operation, call, normal, odd

SIZE = {1: (7,), 2: (5, 6), 3: (4, 3, 5)}
MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}
LANCZOS = {"lanczos": (2,)} if "lanczos" in (F.interpolate.__doc__ or "") else {}  # newer than the oldest torch we take
ALIGNED = ("linear", "bilinear", "bicubic", "trilinear")
SMOOTHED = ("bilinear", "bicubic")


def each(n: int, *values: int | float) -> tuple[int | float, ...]:
    """The first n of the values: one an axis."""
    return values[:n]


def functions(mode: str, n: int) -> dict[str, Call]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    cases = {
        "twice": call(x, scale_factor=2, mode=mode),
        "size, an axis each": call(x, each(n, 9, 2, 7), mode=mode),
        "size, larger": call(x, 11, mode=mode),
        "size, smaller": call(x, 3, mode=mode),
        "size of one": call(x, 1, mode=mode),
        "same size": call(x, size, mode=mode),
        "size as a list": call(x, [4] * n, mode=mode),
        "factor 3": call(x, scale_factor=3.0, mode=mode),
        "factor 1": call(x, scale_factor=1, mode=mode),
        "factor 1.7": call(x, None, 1.7, mode),
        "factor 0.4": call(x, scale_factor=0.4, mode=mode),
        "factor, an axis each": call(x, scale_factor=each(n, 1.3, 0.7, 2.0), mode=mode),
        "factor as a list": call(x, scale_factor=[1.5] * n, mode=mode),
        "factor, recomputed": call(x, scale_factor=1.7, mode=mode, recompute_scale_factor=True),
        "factor 0.4, recomputed": call(x, scale_factor=0.4, mode=mode, recompute_scale_factor=True),
        "factor, not recomputed": call(x, scale_factor=2.6, mode=mode, recompute_scale_factor=False),
        "from one element": call(normal(2, 3, *(1,) * n), 4, mode=mode),
        "by keyword": call(
            input=x,
            size=None,
            scale_factor=2.0,
            mode=mode,
            align_corners=None,
            recompute_scale_factor=None,
            antialias=False,
        ),
        "batch of one": call(normal(1, 1, *size), 4, mode=mode),
        "empty batch": call(normal(0, 3, *size), 4, mode=mode),
    }
    if mode.startswith("nearest") or mode == "area":
        cases["NaN and infinity"] = call(odd(2, 3, *size), 5, mode=mode)
    if mode in ALIGNED:
        cases |= {
            "corners aligned, larger": call(x, 11, mode=mode, align_corners=True),
            "corners aligned, smaller": call(x, 3, mode=mode, align_corners=True),
            "corners aligned, to one": call(x, 1, mode=mode, align_corners=True),
            "corners aligned, from one": call(normal(2, 3, *(1,) * n), 4, mode=mode, align_corners=True),
            "corners aligned, factor": call(x, scale_factor=1.7, mode=mode, align_corners=True),
            "corners not aligned": call(x, 8, mode=mode, align_corners=False),
        }
    if mode in SMOOTHED:
        cases |= {
            "antialias, smaller": call(x, 3, mode=mode, antialias=True),
            "antialias, much smaller": call(normal(1, 2, 17, 13), (2, 3), mode=mode, antialias=True),
            "antialias, larger": call(x, 9, mode=mode, antialias=True),
            "antialias, one axis larger": call(x, (3, 11), mode=mode, antialias=True),
            "antialias, factor": call(x, scale_factor=0.6, mode=mode, antialias=True),
            "antialias, factor recomputed": call(
                x, scale_factor=0.6, mode=mode, antialias=True, recompute_scale_factor=True
            ),
            "antialias, corners aligned": call(x, 3, mode=mode, antialias=True, align_corners=True),
            "antialias, to one": call(x, 1, mode=mode, antialias=True),
        }
    return cases


def errors(mode: str, n: int) -> dict[str, tuple[Call, str | None]]:
    size = SIZE[n]
    x = normal(2, 3, *size)
    cases = {
        "size and factor": (call(x, 3, 2.0, mode), "size"),
        "neither size nor factor": (call(x, mode=mode), "size"),
        "too few axes": (call(normal(2, 3), 3, mode=mode), "input"),
        "too many axes": (call(normal(2, 3, 2, 2, 2, 2), 3, mode=mode), None),
        "too many sizes": (call(x, (3,) * (n + 1), mode=mode), "size"),
        "too many factors": (call(x, scale_factor=(2.0,) * (n + 1), mode=mode), "scale_factor"),
        "negative size": (call(x, -3, mode=mode), None),
        "fractional size": (call(x, 2.5, mode=mode), "size"),
        "negative factor": (call(x, scale_factor=-1.0, mode=mode), None),
        "recompute without factor": (call(x, 3, mode=mode, recompute_scale_factor=True), "recompute_scale_factor"),
        "an empty axis": (call(normal(2, 3, 0, *size[1:]), 3, mode=mode), None),
    }
    if mode != "area":  # whose windows may be no window at all
        cases |= {
            "size zero": (call(x, 0, mode=mode), None),
            "factor zero": (call(x, scale_factor=0.0, mode=mode), None),
            "factor too small": (call(x, scale_factor=0.01, mode=mode), None),
            "no channels": (call(normal(2, 0, *size), 3, mode=mode), None),
        }
    if mode not in ALIGNED:
        cases["align_corners with another mode"] = (call(x, 3, mode=mode, align_corners=True), "align_corners")
        cases["align_corners=False with another mode"] = (
            call(x, 3, mode=mode, align_corners=False),
            "align_corners",
        )
    if mode not in SMOOTHED:
        cases["antialias with another mode"] = (call(x, 3, mode=mode, antialias=True), "antialias")
    if mode == "nearest":
        cases["unknown mode"] = (call(x, 3, mode="cubic"), "mode")
        for other in ("linear", "bilinear", "bicubic", "trilinear"):
            if n not in MODES[other]:
                cases[f"{other} with another number of axes"] = (call(x, 3, mode=other), "mode")
    return cases


def lanczos() -> dict[str, Call]:
    x = normal(2, 3, 9, 8)
    return {
        "smaller": call(x, (4, 3), mode="lanczos", antialias=True),
        "larger": call(x, (11, 20), mode="lanczos", antialias=True, align_corners=False),
        "one axis larger": call(x, (3, 14), mode="lanczos", antialias=True),
        "much smaller": call(normal(1, 2, 31, 17), (2, 3), mode="lanczos", antialias=True),
        "same size": call(x, (9, 8), mode="lanczos", antialias=True),
        "to one": call(x, 1, mode="lanczos", antialias=True),
        "factor": call(x, scale_factor=0.6, mode="lanczos", antialias=True),
        "factor recomputed": call(x, scale_factor=1.7, mode="lanczos", antialias=True, recompute_scale_factor=True),
        "from one element": call(normal(2, 3, 1, 1), 4, mode="lanczos", antialias=True),
        "empty batch": call(normal(0, 3, 9, 8), 4, mode="lanczos", antialias=True),
    }


def lanczos_errors() -> dict[str, tuple[Call, str | None]]:
    x = normal(2, 3, 9, 8)
    return {
        "without antialias": (call(x, 4, mode="lanczos"), "antialias"),
        "corners aligned": (call(x, 4, mode="lanczos", antialias=True, align_corners=True), "align_corners"),
        "other number of axes": (call(normal(2, 3, 9), 4, mode="lanczos"), None),
        "size zero": (call(x, 0, mode="lanczos", antialias=True), None),
    }


SIGNATURE = (
    "input, size=None, scale_factor=None, mode='nearest', align_corners=None, "
    "recompute_scale_factor=None, antialias=False"
)
OPERATIONS = [
    Operation(
        "interpolate",
        n,
        functions(mode, n),
        errors(mode, n),
        signature=SIGNATURE,
        label=f"{mode}-{n}d" if len(MODES[mode]) > 1 else mode,
        exact=mode.startswith("nearest"),
        large=call(normal(32, 16, *{1: (512,), 2: (24, 24), 3: (8, 8, 8)}[n]), scale_factor=1.5, mode=mode),
    )
    for mode in MODES
    for n in MODES[mode]
]
if LANCZOS:
    OPERATIONS.append(Operation("interpolate", 2, lanczos(), lanczos_errors(), signature=SIGNATURE, label="lanczos"))


def modules() -> dict[str, tuple[Call, Call]]:
    return {
        **{
            f"{mode} {n}-D": (call(scale_factor=2, mode=mode), call(normal(2, 3, *SIZE[n])))
            for mode in MODES
            for n in MODES[mode]
        },
        "size": (call(size=(7, 4)), call(normal(2, 3, 5, 6))),
        "size, by position": (call(8), call(normal(2, 3, 5))),
        "factors": (call(scale_factor=(1.5, 0.7), mode="bilinear"), call(normal(2, 3, 5, 6))),
        "corners aligned": (call(8, None, "bicubic", True), call(normal(2, 3, 5, 6))),
        "recomputed": (
            call(scale_factor=1.7, mode="linear", recompute_scale_factor=True),
            call(normal(2, 3, 5)),
        ),
    }


pictures: dict[str, tuple[Call, Call]] = {
    "factor": (call(scale_factor=2), call(normal(2, 3, 5, 6))),
    "factors": (call(scale_factor=(2.0, 1.5)), call(normal(2, 3, 5, 6))),
    "size": (call(size=9), call(normal(2, 3, 5, 6))),
    "size, by position": (call((3, 8)), call(normal(2, 3, 5, 6))),
}

LAYERS = [
    Layer("Upsample", modules()),
    Layer("UpsamplingNearest2d", pictures),
    Layer("UpsamplingBilinear2d", pictures),
]
