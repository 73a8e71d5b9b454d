"""Models as ONNX files, and running them without PyTorch.

Names are found when they are first used: `lightconv.deploy.runtime` loads neither PyTorch nor onnx.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightconv.deploy.classifier import export_onnx
    from lightconv.deploy.compare import VerificationError
    from lightconv.deploy.files import ExportError
    from lightconv.deploy.onnx import ExportReport, to_onnx
    from lightconv.deploy.runtime import InputError

_NAMES = {
    "ExportError": "files",
    "ExportReport": "onnx",
    "InputError": "runtime",
    "VerificationError": "compare",
    "export_onnx": "classifier",
    "to_onnx": "onnx",
}

__all__ = ["ExportError", "ExportReport", "InputError", "VerificationError", "export_onnx", "to_onnx"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"lightconv.deploy.{_NAMES[name]}"), name)
    if name in ("onnx", "runtime"):
        return importlib.import_module(f"lightconv.deploy.{name}")
    raise AttributeError(f"module 'lightconv.deploy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
