"""Look inside an exported model: what each of its blocks gives, and the graph itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, shape_inference

__all__ = ["Block", "Inside"]

CONVOLUTIONS = ("Conv", "ConvTranspose")
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


class Block(NamedTuple):
    """A convolution and what follows it up to the next: number of its last node, name of that node's output."""

    node: int
    output: str


class Inside:
    """An exported model whose intermediate results are outputs as well; the file stays as it is.

    Args:
        path: an ONNX file whose first axis is the batch.
        threads: how many threads one call may use.

    Attributes:
        blocks: the blocks, in the order of the graph.
        opset: version of the ONNX operators that the model is written in.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        model = shape_inference.infer_shapes(onnx.load(path))
        self.opset = max(opset.version for opset in model.opset_import if opset.domain == "")
        self._graph = model.graph
        self._types = {v.name: v.type.tensor_type for v in (*model.graph.value_info, *model.graph.output)}
        self._weights = {initializer.name: initializer for initializer in model.graph.initializer}
        self.blocks = list(self._find_blocks())
        self._outputs = {output.name for output in model.graph.output}
        for block in self.blocks:
            if block.output not in self._outputs:
                value = helper.make_tensor_value_info(block.output, self._types[block.output].elem_type, None)
                model.graph.output.append(value)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def maps(self, sample: np.ndarray) -> list[np.ndarray]:
        """What each block makes of one sample: float32 arrays (channels, length) or (channels, height, width)."""
        results = self._session.run([block.output for block in self.blocks], {self._input: sample[None]})
        return [np.asarray(result[0], np.float32) for result in results]

    def nodes(self) -> list[dict[str, Any]]:
        """The graph as a list: for each node its operator, settings, output shape and weights, and what it reads.

        `reads` holds numbers of nodes, -1 for the model's input; `block` the number of the block that the node ends,
        or None; `gives` the name of the model's output that the node computes, or None.
        """
        origin = {self._input: -1}
        ends = {block.node: number for number, block in enumerate(self.blocks)}
        nodes = []
        for number, node in enumerate(self._graph.node):
            origin.update(dict.fromkeys(node.output, number))
            weights = [self._weights[name] for name in node.input if name in self._weights]
            nodes.append(
                {
                    "operator": node.op_type,
                    "settings": self._settings(node),
                    "shape": self._shape(node.output[0]),
                    "weights": sum(int(np.prod(w.dims)) for w in weights if w.data_type in FLOATS),
                    "reads": sorted({origin[name] for name in node.input if name in origin}),
                    "block": ends.get(number),
                    "gives": next((name for name in node.output if name in self._outputs), None),
                }
            )
        return nodes

    def _find_blocks(self) -> Iterator[Block]:
        """A block ends with the last result of the convolution's kind: same axes and as many channels."""
        end, shape = None, []
        for number, node in enumerate(self._graph.node):
            here = self._shape(node.output[0])
            if node.op_type in CONVOLUTIONS:
                if end is not None:
                    yield end
                end, shape = Block(number, node.output[0]), here
            elif end is not None and len(here) == len(shape) and here[:1] == shape[:1] and self._is_float(node):
                end = Block(number, node.output[0])
        if end is not None:
            yield end

    def _is_float(self, node: onnx.NodeProto) -> bool:
        return self._types[node.output[0]].elem_type in FLOATS

    def _shape(self, name: str) -> list[int]:
        """Sizes of the axes after the batch; 0 where it depends on the input."""
        return [axis.dim_value for axis in self._types[name].shape.dim[1:]] if name in self._types else []

    def _settings(self, node: onnx.NodeProto) -> str:
        """What a reader wants to know of a node's attributes: "5 × 5, stride 2, padding 2"."""
        values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        kernel = values.get("kernel_shape")
        if node.op_type in CONVOLUTIONS and node.input[1] in self._weights:
            kernel = self._weights[node.input[1]].dims[2:]
        words = ["\u202f×\u202f".join(map(str, kernel)) if len(kernel) > 1 else f"width {kernel[0]}"] if kernel else []
        for name, word, usual in (
            ("strides", "stride", 1),
            ("pads", "padding", 0),
            ("dilations", "dilation", 1),
        ):
            sizes = list(values.get(name, []))
            if any(size != usual for size in sizes):
                words.append(f"{word} {sizes[0] if len(set(sizes)) == 1 else ', '.join(map(str, sizes))}")
        if values.get("group", 1) != 1:
            words.append(f"{values['group']} groups")
        if node.op_type.startswith("Reduce") and len(node.input) > 1 and node.input[1] in self._weights:
            axes = numpy_helper.to_array(self._weights[node.input[1]])
            words.append(f"over axis {', '.join(map(str, axes.tolist()))}")
        return ", ".join(words)
