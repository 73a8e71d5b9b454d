"""Which code runs: the backend switch, the workspace limit, and one operation in its several forms.

An operation is defined once, in differentiable PyTorch primitives. That definition is what runs under
`torch.func` transforms and forward-mode AD. In ordinary eager calls it runs in pieces that fit the
workspace, inside an autograd.Function, so that neither windows nor other intermediates are saved. While a
graph is being compiled or exported the operation appears in it as one custom operator,
`torch.ops.lightconv.<name>`.
"""

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad

from lightconv import kernels
from lightconv.functional.geometry import show

# the mode in which torch.autograd.grad(is_grads_batched=True) runs
_BATCHED_GRADIENTS: Any = torch._C._parse_dispatch_key("VmapMode")

# PyTorch 2.6 does not tell the two apart.
is_exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)

BACKENDS = ("auto", "definition", "native", "aten")

_backend = "auto"
_workspace = 32.0
_rehearsing = False
_changing = threading.Lock()


class _Setting:
    """A setting of this module, changed by a call; as a context manager it is put back at the end of the block.

    Blocks of several threads may overlap. Whichever ends last puts back what was set before all of them.
    """

    _open: ClassVar[dict[str, list["_Setting"]]] = {}

    def __init__(self, name: str, value: Any) -> None:
        self._name, self._before = name, globals()[name]
        globals()[name] = value

    def __enter__(self) -> None:
        with _changing:
            self._open.setdefault(self._name, []).append(self)

    def __exit__(self, *exception: object) -> None:
        with _changing:
            blocks = self._open.setdefault(self._name, [])
            place = blocks.index(self) if self in blocks else len(blocks)
            inner = blocks[place + 1 :]
            blocks[place:] = inner
            if inner:
                inner[0]._before = self._before
            else:
                globals()[self._name] = self._before


def backend(name: str | None = None) -> Any:
    """Choose which code computes the layers, for the whole process; without argument, return the choice.

    - `"auto"` (the default): compiled kernels where they support the case, else the definition;
    - `"definition"`: PyTorch primitives, as written in `lightconv.functional`, in pieces that fit the workspace;
    - `"native"`: our compiled kernels; like "auto", but an error where they are not installed;
    - `"aten"`: PyTorch's own operators, to compare with.

    As a context manager it holds for the block, for all threads.

    >>> import lightconv
    >>> with lightconv.backend("definition"):
    ...     lightconv.backend()
    'definition'
    >>> lightconv.backend()
    'auto'

    Raises:
        ValueError: for another name.
        RuntimeError: for `"native"` where the compiled kernels are not installed.
    """
    if name is None:
        return _backend
    if name not in BACKENDS:
        raise ValueError(f"Expected `name` to be one of {', '.join(BACKENDS)}, but got {show(name)}.")
    if name == "native" and not kernels.available():
        raise RuntimeError(
            "Expected compiled kernels for backend 'native', but this installation has none; use 'auto'."
        )
    return _Setting("_backend", name)


def workspace(mebibytes: float | None = None) -> Any:
    """Limit the memory for intermediate windows, in MiB (default 32); without argument, return the limit.

    A large batch is worked through in pieces whose windows fit the limit (at least one row of one sample
    at a time). The result does not depend on it beyond rounding. For the whole process, or, as a context
    manager, for the block.

    >>> import lightconv
    >>> with lightconv.workspace(8):
    ...     lightconv.workspace()
    8.0

    Raises:
        ValueError: if `mebibytes` is not a positive number.
    """
    if mebibytes is None:
        return _workspace
    if isinstance(mebibytes, bool) or not isinstance(mebibytes, (int, float)) or not mebibytes > 0:
        raise ValueError(f"Expected `mebibytes` to be a positive number, but got {show(mebibytes)}.")
    return _Setting("_workspace", float(mebibytes))


def workspace_bytes() -> int:
    """The workspace limit in bytes."""
    return max(1, int(_workspace * 2**20))


# on a CPU, pieces that stay in a core's cache run up to twice as fast as those that fill the workspace
_CACHED = 2**22


def piece_bytes(x: Tensor) -> int:
    """Bytes of intermediate results to work on at once: within the workspace, on a CPU within its cache as well."""
    return min(workspace_bytes(), _CACHED) if x.device.type == "cpu" else workspace_bytes()


_HALVES = (torch.float16, torch.bfloat16)


def rehearsing() -> Any:
    """A block in which fake tensors take the same steps as real ones, so that their memory can be counted.

    Elsewhere an operation on fake tensors is its result's shape and nothing more.
    """
    return _Setting("_rehearsing", True)


def compiled(name: str, *args: Any, stand_in: Callable[..., Any] | None = None) -> Any:
    """The result of the compiled kernel of that name; None if it does not support the case, or is not wanted.

    Kernels compute in float32. Half precision is kept in half precision and computed in float32, as sums are in the
    definition. A `stand_in` is called in the kernel's place.
    """
    if _backend != "auto" and _backend != "native":
        return None
    kernel = stand_in or kernels.KERNELS[name]
    result = kernel(*args)
    if result is not None or args[0].dtype not in _HALVES or not args[0].is_cpu or not kernels.available():
        return result
    floating = [isinstance(a, Tensor) and a.is_floating_point() for a in args]
    if any(given and a.dtype != args[0].dtype for given, a in zip(floating, args, strict=True)):
        return None
    result = kernel(*(a.float() if given else a for given, a in zip(floating, args, strict=True)))
    if isinstance(result, tuple):
        return tuple(r.to(args[0].dtype) if r is not None and r.is_floating_point() else r for r in result)
    return None if result is None else result.to(args[0].dtype)


def transforming() -> bool:
    """Whether tensors may be more than they seem: torch.func or vmap at work, or forward-mode AD."""
    return (
        torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._dispatch_tls_is_dispatch_key_included(_BATCHED_GRADIENTS)
    )


def recording() -> bool:
    """Whether a graph is being recorded outside of torch.compile and torch.export (make_fx)."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None


def autocasting(device: str) -> bool:
    """Whether autocast is on for this type of device."""
    known = device in ("cpu", "cuda") or torch.amp.is_autocast_available(device)
    return known and torch.is_autocast_enabled(device)


def maybe_autocasting() -> bool:
    """Whether it is worth asking: False, quickly, where autocast is on for no device at all."""
    return torch.compiler.is_compiling() or torch._C._is_any_autocast_enabled()


def only_result_wanted(*tensors: Tensor | None) -> bool:
    """Whether this is an ordinary eager call of which no gradient will be asked."""
    if maybe_autocasting() or transforming() or recording():
        return False
    return not torch.is_grad_enabled() or not any(t is not None and t.requires_grad for t in tensors)


def _with_tuples(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A custom operator's arguments with its lists as tuples, as everything else here has them."""
    return tuple(tuple(a) if isinstance(a, list) else a for a in args)


class Operation:
    """One operation: its definition, how it runs in pieces, its shape, its gradient.

    Args:
        name: name of the custom operator, `torch.ops.lightconv.<name>`.
        schema: its arguments and results, as torch.library writes them.
        definition: computes the result in differentiable primitives.
        shape: returns an empty result, given the arguments (for tracing and for `meta` tensors).
        run: computes the result without autograd, within the workspace; the definition if not given.
        save: `save(ctx, inputs, output)` keeps what `gradient` needs.
        gradient: `gradient(ctx, *output_gradients)` gives one gradient per argument, by means of
            differentiable functions, so that it can be differentiated again.
        aten: the same by PyTorch's own operator, for backend("aten").
    """

    def __init__(
        self,
        name: str,
        schema: str,
        *,
        definition: Callable[..., Any],
        shape: Callable[..., Any],
        save: Callable[..., None],
        gradient: Callable[..., Any],
        run: Callable[..., Any] | None = None,
        aten: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.definition = definition
        self.aten = aten
        compute = run or definition

        def expected(*args: Any) -> Any:
            return shape(*args) if kernels.covers(name, args) else None

        def evaluate(*args: Any) -> Any:
            stand_in = None
            if args[0].is_meta or isinstance(args[0], FakeTensor):
                if not _rehearsing:
                    return shape(*args)
                stand_in = expected
            if name in kernels.KERNELS:
                result = compiled(name, *args, stand_in=stand_in)
                if result is not None:
                    return result
            if _backend == "aten" and aten is not None:
                return aten(*args)
            return compute(*args)

        class Eager(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *args: Any) -> Any:
                output = evaluate(*args)
                save(ctx, args, output)
                return output

            backward = staticmethod(gradient)

        Eager.__name__ = Eager.__qualname__ = "".join(part.title() for part in name.split("_"))
        self._evaluate = evaluate
        self._eager = Eager
        self._custom = torch.library.custom_op(
            f"lightconv::{name}", lambda *args: evaluate(*_with_tuples(args)), mutates_args=(), schema=schema
        )
        self._custom.register_fake(lambda *args: shape(*_with_tuples(args)))
        self._custom.register_autograd(
            gradient, setup_context=lambda ctx, inputs, output: save(ctx, _with_tuples(inputs), output)
        )

    def __call__(self, *args: Any) -> Any:
        """Run the form that the situation asks for."""
        if maybe_autocasting():
            device = args[0].device.type
            if autocasting(device):
                with torch.autocast(device, enabled=False):
                    return self(*args)
        if torch.compiler.is_compiling():
            return self._custom(*args)
        if transforming():
            return self.definition(*args)
        if recording():
            return self._custom(*args)
        if torch.is_grad_enabled():
            for a in args:
                if isinstance(a, Tensor) and a.requires_grad:
                    return self._eager.apply(*args)
        return self._evaluate(*args)


def cast_for_autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Under autocast, floating tensors other than float64 in its dtype, as torch does for convolutions."""
    if not maybe_autocasting():
        return tensors
    device = next(t for t in tensors if t is not None).device.type
    if not autocasting(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(
        t.to(dtype) if t is not None and t.is_floating_point() and t.dtype != torch.float64 else t for t in tensors
    )


def float32_for_autocast(tensor: Tensor) -> Tensor:
    """Under autocast on a CPU, a half-precision tensor as float32, as torch does where halves would lose much."""
    if tensor.dtype in (torch.float16, torch.bfloat16) and tensor.device.type == "cpu" and autocasting("cpu"):
        return tensor.to(torch.float32)
    return tensor


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which sums of `dtype` are kept: float32 for half precision, as vendors' kernels do."""
    if dtype in (torch.float16, torch.bfloat16):
        return torch.float32
    return torch.complex64 if dtype == torch.complex32 else dtype


def export_operator(
    name: str, schema: str, definition: Callable[..., Any], shape: Callable[..., Any]
) -> Callable[..., Any]:
    """`definition`, except that an exported graph shows it as one operator, `torch.ops.lightconv.<name>`.

    For an operation whose primitives already have the right gradient and cost.
    """

    def evaluate(*args: Any) -> Any:
        result = definition(*args)
        return result.clone() if any(result is a for a in args) else result

    custom = torch.library.custom_op(f"lightconv::{name}", evaluate, mutates_args=(), schema=schema)
    custom.register_fake(shape)

    def call(*args: Any) -> Any:
        return custom(*args) if is_exporting() else definition(*args)

    return call
