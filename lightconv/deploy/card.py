"""The card of a model: a JSON file beside it that says what it is, read from the model itself."""

import datetime
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["card_path", "describe", "metadata", "parse", "read_metadata"]

_PLAIN = ("task", "network", "lightconv_version")


def card_path(path: str | os.PathLike[str]) -> Path:
    """Where the card of a model lies."""
    return Path(path).with_suffix(".json")


def metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as a model's metadata: plain words, everything else as JSON."""
    return {key: value if key in _PLAIN else json.dumps(value, sort_keys=True) for key, value in facts.items()}


def read_metadata(model: Any) -> dict[str, Any]:
    """The facts that `metadata` has put into an onnx.ModelProto."""
    entries = {entry.key: entry.value for entry in model.metadata_props}
    return {key: value if key in _PLAIN else parse(value) for key, value in entries.items()}


def parse(text: str) -> Any:
    """A piece of metadata as a value; what others wrote may be anything, and stays text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def describe(content: bytes, name: str, **more: Any) -> str:
    """The card of a model file.

    Args:
        content: the file's bytes.
        name: the file's name.
        more: entries that the file does not hold.
    """
    import onnx

    model = onnx.load_model_from_string(content)
    card = {
        "file": name,
        **read_metadata(model),
        "inputs": [_tensor(value) for value in model.graph.input],
        "outputs": [_tensor(value) for value in model.graph.output],
        "nodes": dict(sorted(Counter(node.op_type for node in model.graph.node).items())),
        "opset": next(entry.version for entry in model.opset_import if not entry.domain),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        **more,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    text = json.dumps(card, indent=2, ensure_ascii=False)
    return re.sub(r"\[\n[^\[\]{}]*\]", _on_one_line, text) + "\n"


def _tensor(value: Any) -> dict[str, Any]:
    import onnx

    kind = value.type.tensor_type
    return {
        "name": value.name,
        "dtype": onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name,
        "shape": [dim.dim_param or dim.dim_value for dim in kind.shape.dim],
    }


def _on_one_line(match: re.Match[str]) -> str:
    """A list of plain values."""
    return re.sub(r"\n\s*", " ", match[0]).replace("[ ", "[").replace(" ]", "]")
