"""lightconv: convolution, pooling and resampling layers you can read, classifiers built of them, clean ONNX.

Public names are found when they are first used: importing the package loads nothing, the layers load torch.
"""

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightconv import data, deploy, errors, functional, nn, reference, surgery, tasks, training
    from lightconv.functional.dispatch import backend, workspace
    from lightconv.surgery.compose import compose
    from lightconv.surgery.convert import convert, revert
    from lightconv.surgery.everywhere import everywhere
    from lightconv.surgery.fuse import fuse
    from lightconv.surgery.matrix import conv_matrix

_NAMES = {
    "backend": "lightconv.functional.dispatch",
    "compose": "lightconv.surgery.compose",
    "conv_matrix": "lightconv.surgery.matrix",
    "convert": "lightconv.surgery.convert",
    "everywhere": "lightconv.surgery.everywhere",
    "fuse": "lightconv.surgery.fuse",
    "revert": "lightconv.surgery.convert",
    "workspace": "lightconv.functional.dispatch",
}
_MODULES = ("data", "deploy", "errors", "functional", "nn", "reference", "surgery", "tasks", "training")

__all__ = [
    "backend",
    "compose",
    "conv_matrix",
    "convert",
    "data",
    "deploy",
    "errors",
    "everywhere",
    "functional",
    "fuse",
    "nn",
    "reference",
    "revert",
    "surgery",
    "tasks",
    "training",
    "workspace",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"lightconv.{name}")
    if name == "__version__":
        return _version("lightconv")
    raise AttributeError(f"module 'lightconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
