"""Any module that holds our layers as an ONNX file, one native operator for each layer."""

import contextlib
import inspect
import io
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree

from lightconv.deploy.compare import compare, vary
from lightconv.deploy.files import ExportError, Staged
from lightconv.deploy.leftovers import forget_sizes, without_sources
from lightconv.deploy.pairs import pair_unpooling
from lightconv.deploy.translation import table

__all__ = ["ExportReport", "to_onnx", "write_onnx"]

OLDEST = (2, 8)  # of PyTorch's versions whose exporter knows all that our operators become
DynamicAxes = Mapping[str, Mapping[int, str] | Sequence[int]]


@dataclass(frozen=True)
class ExportReport:
    """What was written: its place, the nodes by type, size in bytes, largest difference from the module.

    `largest_difference` is None if the file was not compared.
    """

    path: Path
    nodes: dict[str, int]
    size: int
    opset: int
    largest_difference: float | None

    def __str__(self) -> str:
        nodes = ", ".join(f"{count} {kind}" for kind, count in self.nodes.items())
        checked = "not compared" if self.largest_difference is None else f"differs by {self.largest_difference:.1e}"
        return f"{self.path}: {self.size:,} bytes, opset {self.opset}, {checked}; {nodes}"


def to_onnx(
    module: nn.Module,
    args: Tensor | tuple[Any, ...],
    path: str | os.PathLike[str],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_batch: bool = True,
    dynamic_axes: DynamicAxes | None = None,
    opset: int = 20,
    verify: bool = True,
) -> ExportReport:
    """Export a module, in evaluation mode without autocast, and compare what onnxruntime makes of it with the module.

    Every layer of `lightconv.nn` becomes its native ONNX operator. The file holds nothing about the machine
    that wrote it; the same module and arguments give the same bytes. It appears under its name only after
    onnx.checker, shape inference, and a comparison with the module on `args` and, if the batch is dynamic,
    on other inputs at batch sizes 1, 2 and 5. If anything fails, an older file of that name stays.

    Args:
        module: any module; its mode and its buffers are put back afterwards.
        args: example arguments. Their tensors' sizes are fixed in the graph, except for dynamic axes.
        path: the file to write, in an existing folder.
        input_names: a name for each tensor among the arguments; by default those of `forward`.
        output_names: a name for each output; by default the keys of a dictionary or the fields of a named tuple,
            else "output", or "output_0", "output_1", ...
        dynamic_batch: leave the size of axis 0 of every tensor open; named "batch" in the graph.
        dynamic_axes: further open axes: input name to {axis: name}, or to a list of axes.
        opset: version of the ONNX operator set, at least 19, and no newer than PyTorch can write.
        verify: compare in onnxruntime before the file appears.

    Raises:
        ExportError: (a ValueError) if the module cannot be expressed: scripted, float64 or complex, with
            uninitialised parameters, with an operation that ONNX does not have, with other outputs than tensors;
            for names that do not fit; or if the file cannot be written.
        VerificationError: (a RuntimeError) if onnxruntime does not compute the same.

    >>> import tempfile, torch, lightconv.nn as nn
    >>> from lightconv.deploy import to_onnx
    >>> net = nn.Sequential(nn.Conv1d(1, 4, 3, padding="same"), nn.ReLU())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = to_onnx(net, torch.randn(1, 1, 40), f"{folder}/net.onnx")
    >>> report.nodes
    {'Conv': 1, 'Relu': 1}
    """
    with Staged(path) as file:
        report = write_onnx(
            module,
            args,
            file,
            input_names=input_names,
            output_names=output_names,
            dynamic_batch=dynamic_batch,
            dynamic_axes=dynamic_axes,
            opset=opset,
            verify=verify,
        )
        file.publish()
    return report


def write_onnx(
    module: nn.Module,
    args: Tensor | tuple[Any, ...],
    file: Staged,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_batch: bool = True,
    dynamic_axes: DynamicAxes | None = None,
    opset: int = 20,
    verify: bool = True,
    metadata: Mapping[str, str] | None = None,
    cases: Sequence[tuple[Any, ...]] = (),
    tolerance: Callable[[np.ndarray], float] | None = None,
) -> ExportReport:
    """`to_onnx` without the last step: the file is written and compared, but not yet published.

    Args:
        metadata: entries of the model's `metadata_props`.
        cases: further arguments on which to compare.
        tolerance: largest difference allowed for an expected output.
    """
    import onnx

    if isinstance(args, Tensor):
        args = (args,)
    _check_module(module, args, opset)
    names = input_names if input_names is not None else _default_names(module, args)
    axes = _open_axes(args, names, dynamic_batch, dynamic_axes)
    with _evaluating(module):
        proto = _export(module, args, names, output_names, axes, opset)
        for key, value in sorted((metadata or {}).items()):
            proto.metadata_props.add(key=key, value=value)
        try:
            onnx.checker.check_model(proto, full_check=True)
            onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ExportError(f"Expected a valid ONNX graph, but: {' '.join(str(error).split())[:300]}") from error
        file.write(proto.SerializeToString(deterministic=True))
        difference = None
        if verify:
            trials = [args, *cases, *_trials(module, args, axes)]
            difference = compare(file.temporary, module, trials, tolerance or _tolerance(proto))
    nodes = Counter(node.op_type for node in proto.graph.node)
    return ExportReport(file.path, dict(sorted(nodes.items())), file.temporary.stat().st_size, opset, difference)


# --- before ---------------------------------------------------------------------------------------------------


def _check_module(module: nn.Module, args: tuple[Any, ...], opset: int) -> None:
    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST:
        raise ExportError(
            f"Expected PyTorch {'.'.join(map(str, OLDEST))} or newer to export, but this is {torch.__version__}, with "
            "which everything else runs; update it with `pip install --upgrade torch onnx onnxscript onnxruntime`."
        )
    if isinstance(module, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
        raise ExportError("Expected an nn.Module, but got a scripted one; export the module it was made from.")
    if not isinstance(module, nn.Module):
        raise ExportError(f"Expected an nn.Module, but got {type(module).__name__}.")
    if not isinstance(args, tuple):
        raise ExportError(f"Expected `args` to be a tensor or a tuple, but got {type(args).__name__}.")
    if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(args)):
        kinds = ", ".join(type(leaf).__name__ for leaf in pytree.tree_leaves(args)) or "nothing"
        raise ExportError(f"Expected `args` to hold a tensor, but got {kinds}.")
    if isinstance(opset, bool) or not isinstance(opset, int) or opset < 19:
        raise ExportError(f"Expected `opset` to be a whole number from 19, but got {opset!r}.")
    named = [*module.named_parameters(), *module.named_buffers()]
    named += [(f"args[{i}]", leaf) for i, leaf in enumerate(pytree.tree_leaves(args))]
    for name, tensor in named:
        if is_lazy(tensor):
            raise ExportError(f"Expected initialised parameters, but {name} is not; run the module once first.")
        if isinstance(tensor, Tensor) and (tensor.dtype in (torch.float64, torch.bfloat16) or tensor.is_complex()):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ExportError(
                f"Expected tensors that onnxruntime can compute with, but {name} is {kind}; "
                "convert the module and its arguments to float32."
            )


def _default_names(module: nn.Module, args: tuple[Any, ...]) -> list[str]:
    """The parameter names of `forward` if every argument is a tensor of its own, else input_0, input_1, ..."""
    tensors = sum(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(args))
    plain = [
        parameter.name
        for parameter in inspect.signature(module.forward).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if all(isinstance(arg, Tensor) for arg in args) and len(plain) >= tensors:
        return plain[:tensors]
    return ["input"] if tensors == 1 else [f"input_{i}" for i in range(tensors)]


def _open_axes(
    args: tuple[Any, ...], names: Sequence[str], dynamic_batch: bool, dynamic_axes: DynamicAxes | None
) -> dict[int, dict[int, str]]:
    """For the n-th tensor among the arguments, the names of its open axes."""
    tensors = [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, Tensor)]
    if not _are_names(names, len(tensors)):
        raise ExportError(
            f"Expected `input_names` to be {len(tensors)} different names, one a tensor, but got {names!r}."
        )
    axes: dict[int, dict[int, str]] = {i: {} for i in range(len(tensors))}
    if dynamic_batch:
        sizes = {tensor.shape[0] for tensor in tensors if tensor.dim()}
        if len(sizes) != 1 or 0 in sizes:
            raise ExportError(
                "Expected all arguments to have one batch size, at least 1, in axis 0, but got "
                f"{', '.join(str(tuple(tensor.shape)) for tensor in tensors)}; pass dynamic_batch=False."
            )
        axes = {i: {0: "batch"} if tensor.dim() else {} for i, tensor in enumerate(tensors)}
    if dynamic_axes is not None and not isinstance(dynamic_axes, Mapping):
        raise ExportError(f"Expected `dynamic_axes` to be a dictionary of inputs' names, but got {dynamic_axes!r}.")
    for name, given in (dynamic_axes or {}).items():
        if name not in names:
            raise ExportError(f"Expected `dynamic_axes` to name inputs ({', '.join(names)}), but got {name!r}.")
        i = list(names).index(name)
        for axis, title in _titles(name, given).items():
            if not -tensors[i].dim() <= axis < tensors[i].dim():
                raise ExportError(f"Expected an axis of `{name}`, which has {tensors[i].dim()}, but got {axis}.")
            axes[i][axis % tensors[i].dim()] = title
    return axes


def _are_names(names: Any, count: int) -> bool:
    """Whether these are so many names that differ; one text is none, for its letters would be names."""
    return (
        isinstance(names, Sequence)
        and not isinstance(names, str)
        and len(names) == count
        and all(isinstance(name, str) and name for name in names)
        and len(set(names)) == count
    )


def _titles(name: str, given: Any) -> dict[int, str]:
    """Open axes of an input, and their names."""
    if isinstance(given, Mapping):
        titles = dict(given)
    elif isinstance(given, Sequence):
        titles = {axis: f"{name}_axis_{axis}" for axis in given}
    else:
        titles = {given: ""}
    for axis, title in titles.items():
        if isinstance(axis, bool) or not isinstance(axis, int) or not isinstance(title, str) or not title:
            raise ExportError(
                f"Expected `dynamic_axes` of `{name}` to be {{axis: name}} or a list of axes, but got {given!r}."
            )
    return titles


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without autocast; every submodule's own mode and its buffers as they were afterwards."""
    training = [part for part in module.modules() if part.training]
    buffers = [(part, name, it, it.clone()) for part in module.modules() for name, it in _buffers(part)]
    module.eval()
    try:
        with contextlib.ExitStack() as stack:
            for device in filter(torch.is_autocast_enabled, ("cpu", "cuda")):
                stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        for part in training:
            part.training = True
        for part, name, buffer, content in buffers:
            part._buffers[name] = buffer
            if not buffer.is_meta and not torch.equal(buffer, content):
                buffer.copy_(content)


def _buffers(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, buffer) for name, buffer in module._buffers.items() if buffer is not None]


# --- the graph --------------------------------------------------------------------------------------------------


def _export(
    module: nn.Module,
    args: tuple[Any, ...],
    names: Sequence[str],
    output_names: Sequence[str] | None,
    axes: Mapping[int, Mapping[int, str]],
    opset: int,
) -> Any:
    """The module as an onnx.ModelProto."""
    try:
        with _quiet(), without_sources(), torch.no_grad():
            exported, example = _trace(module, args, axes)
            try:
                pair_unpooling(exported.graph)
                titles = _output_titles(output_names, exported, names)
                program = torch.onnx.export(
                    exported,
                    example,
                    input_names=list(names),
                    output_names=titles,
                    opset_version=opset,
                    custom_translation_table=table(opset),
                    external_data=False,
                    verbose=False,
                )
            finally:
                forget_sizes(exported)
    except (ExportError, MemoryError):
        raise
    except Exception as error:
        raise ExportError(_explain(error)) from error
    assert program is not None
    proto = program.model_proto
    made = next(entry.version for entry in proto.opset_import if not entry.domain)
    if made != opset:
        raise ExportError(f"Expected an `opset` that this PyTorch can write, but of {opset} it made {made}.")
    taken = {tensor.name for tensor in proto.graph.initializer}
    if both := taken & {value.name for value in (*proto.graph.input, *proto.graph.output)}:
        raise ExportError(f"Expected names that no parameter has, but one has `{min(both)}`; choose another.")
    symbols = {
        dim.dim_param: axes[i][axis]
        for i, value in enumerate(proto.graph.input)
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if dim.dim_param and axis in axes[i]
    }
    _clean(proto, symbols)
    return proto


def _trace(
    module: nn.Module, args: tuple[Any, ...], axes: Mapping[int, Mapping[int, str]]
) -> tuple[torch.export.ExportedProgram, Any]:
    """The module's graph, and the arguments that it was traced with.

    Sizes of 1 are taken for constants, of the arguments as of all that is computed from them: open axes are
    therefore larger, and if that is not enough, they are doubled. One tensor in two places would become one input.
    """
    leaves, structure = pytree.tree_flatten(args)
    leaves = [
        leaf.clone() if isinstance(leaf, Tensor) and any(leaf is other for other in leaves[:i]) else leaf
        for i, leaf in enumerate(leaves)
    ]
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    batch = torch.export.Dim("batch")
    dims: list[Any] = [None] * len(leaves)
    for tensor, i in enumerate(places):
        dims[i] = {a: batch if title == "batch" else torch.export.Dim.DYNAMIC for a, title in axes[tensor].items()}
        for axis in axes[tensor]:
            if leaves[i].shape[axis] == 1:
                leaves[i] = leaves[i].repeat_interleave(2, axis)
    shapes = _of_arguments(module, pytree.tree_unflatten(dims, structure))
    example = pytree.tree_unflatten(leaves, structure)
    try:
        return torch.export.export(module, example, dynamic_shapes=shapes, strict=False), example
    except torch._dynamo.exc.UserError:
        grown = {i: [axis for axis in entry if axis != 0] for i, entry in axes.items()}
        if not any(grown.values()):
            raise
        for tensor, i in enumerate(places):
            for axis in grown[tensor]:
                leaves[i] = torch.cat([leaves[i], leaves[i]], axis)
        example = pytree.tree_unflatten(leaves, structure)
        return torch.export.export(module, example, dynamic_shapes=shapes, strict=False), example


def _of_arguments(module: nn.Module, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments' open axes as torch.export wants them: those of `*args` together."""
    kinds = [parameter.kind for parameter in inspect.signature(module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return shapes
    own = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*shapes[:own], shapes[own:]) if len(shapes) > own else shapes


def _output_titles(
    names: Sequence[str] | None, exported: torch.export.ExportedProgram, inputs: Sequence[str]
) -> list[str]:
    """A name for each output; in the graph a tensor is a string, and anything else itself."""
    outputs = exported.graph_signature.user_outputs
    count = len(outputs)
    other = next((output for output in outputs if not isinstance(output, str) and output is not None), None)
    if other is not None or not any(isinstance(output, str) for output in outputs):
        raise ExportError(f"Expected the module to return tensors, but got {other!r}.")
    if names is None:
        names = _keys(exported.call_spec.out_spec, count)
        if not _are_names(names, count) or {*names} & {*inputs, *exported.state_dict}:
            names = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
    elif not _are_names(names, count):
        raise ExportError(f"Expected `output_names` to be {count} different names, but got {names!r}.")
    if both := set(names) & set(inputs):
        raise ExportError(
            f"Expected outputs to have other names than inputs, but both have `{min(both)}`; pass `output_names`."
        )
    return list(names)


def _keys(structure: pytree.TreeSpec, count: int) -> list[str]:
    """Where each output lies in what the module returns: "mask", or "features_0"; "" where nothing has a name."""
    paths, _ = pytree.tree_flatten_with_path(pytree.tree_unflatten(range(count), structure))
    words = [[getattr(key, "key", getattr(key, "name", getattr(key, "idx", ""))) for key in path] for path, _ in paths]
    return ["_".join(map(str, path)) if path and isinstance(path[0], str) else "" for path in words]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about its own workings from the user."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _explain(error: BaseException) -> str:
    """One sentence out of the exporter's report."""
    chain = []
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ExportError):
            return str(cause)
        chain.append(str(cause))
        cause = cause.__cause__
    text = "\n".join(chain)
    if "No module named 'onnxscript" in text:
        return (
            f"Expected an onnxscript that knows PyTorch {torch.__version__}, but the installed one is older; update it "
            "with `pip install --upgrade onnxscript`."
        )
    missing = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", text)
    if missing:
        return f"Expected operations that ONNX can express, but the module uses {missing[1]}, which has no translation."
    if "data-dependent" in text:
        return (
            "Expected the path through the module not to depend on values of its input, as a branch or a size does "
            f"here ({_first_line(chain[-1], error)}); choose with torch.where instead."
        )
    violated = re.search(r"Constraints violated \((.+?)\)!", text)
    if violated:
        name = re.sub(r"L\['(.+)'\]\.size\(\)\[(\d+)\]", r"\2 of \1", violated[1])
        return (
            f"Expected the module to take any size of axis `{name}`, but it was traced for one size only; "
            "pass dynamic_batch=False or leave that axis out of `dynamic_axes`."
        )
    return f"Expected a module that torch.export can trace, but: {_first_line(chain[-1], error)}"


def _first_line(text: str, error: BaseException) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:300]


def _clean(proto: Any, symbols: Mapping[str, str]) -> None:
    """Remove what tells of the exporting machine, and give open axes their names."""
    import lightconv

    proto.producer_name = "lightconv"
    proto.producer_version = lightconv.__version__
    for i, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{i}"
    weights = {tensor.name for tensor in proto.graph.initializer}
    kept = [value for value in proto.graph.value_info if value.name not in weights]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(kept)
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, symbols)) + r")\b") if symbols else None
    _clean_message(proto, pattern, symbols)


def _clean_message(message: Any, pattern: re.Pattern[str] | None, symbols: Mapping[str, str]) -> None:
    for field in ("metadata_props", "doc_string"):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)
    for field, value in message.ListFields():
        if field.name == "dim_param" and pattern:
            message.dim_param = pattern.sub(lambda match: symbols[match[0]], value)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "DESCRIPTOR") else value:
                _clean_message(part, pattern, symbols)


# --- after ------------------------------------------------------------------------------------------------------


def _trials(module: nn.Module, args: tuple[Any, ...], axes: Mapping[int, Mapping[int, str]]) -> Iterator[Any]:
    """Other inputs: batch sizes 1, 2 and 5, and twice the size along the other open axes."""
    batched = [i for i, entry in axes.items() if 0 in entry]
    if batched:
        yield from (vary(args, {i: {0: batch} for i in batched}, batch) for batch in (1, 2, 5))
    tensors = [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, Tensor)]
    larger = {i: {a: 2 * tensors[i].shape[a] for a in entry if a != 0} for i, entry in axes.items()}
    if any(larger.values()):
        case = vary(args, larger)
        try:
            with torch.no_grad():
                module(*case)
        except (RuntimeError, ValueError):
            return  # the module itself does not take this size
        yield case


def _tolerance(proto: Any) -> Callable[[np.ndarray], float]:
    """Rounding: a share of the largest value; more where float32 coordinates meet large sizes."""
    resized = any(node.op_type == "Resize" for node in proto.graph.node)

    def allowed(expected: np.ndarray) -> float:
        share = 1e-5 if expected.dtype == np.float32 else 1e-2
        if resized:
            share += 1e-6 * max(expected.shape, default=1)
        finite = expected[np.isfinite(expected)]
        return share * max(float(np.abs(finite).max(initial=0.0)), 1e-30)  # below, float32 runs out of digits

    return allowed
