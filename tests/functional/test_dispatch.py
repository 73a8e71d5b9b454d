"""The backend switch, the workspace limit, and which form of an operation runs when."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lightconv
import lightconv.functional as F
from lightconv.functional.dispatch import transforming


class Recorder(TorchDispatchMode):
    """Counts operators and keeps the largest result."""

    def __init__(self):
        super().__init__()
        self.names, self.largest = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.names.append(str(func))
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if isinstance(result, torch.Tensor) and not is_view:
            self.largest = max(self.largest, result.numel() * result.element_size())
        return result


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 4, 20, 20, generator=generator, dtype=torch.float64, requires_grad=True)
    w = torch.randn(8, 2, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    return x, w


def run(x, w):
    y = F.conv2d(x, w, stride=2, padding=1, groups=2)
    return y, *torch.autograd.grad(y.square().sum(), (x, w))


def test_backend_is_a_call_and_a_context_manager():
    assert lightconv.backend() == "auto"
    with lightconv.backend("definition"):
        assert lightconv.backend() == "definition"
        lightconv.backend("aten")
        assert lightconv.backend() == "aten"
    assert lightconv.backend() == "auto"
    with pytest.raises(ZeroDivisionError), lightconv.backend("aten"):
        raise ZeroDivisionError
    assert lightconv.backend() == "auto"


@pytest.mark.parametrize("first", [0, 1])
def test_blocks_that_overlap_leave_what_was_set_before(first):
    blocks = [lightconv.backend("aten"), lightconv.backend("definition")]  # as two threads would
    for block in blocks:
        block.__enter__()
    blocks[first].__exit__()
    assert lightconv.backend() == ["definition", "aten"][first]
    blocks[1 - first].__exit__()
    assert lightconv.backend() == "auto"


@pytest.mark.parametrize("name", ["cudnn", 3, ""])
def test_unknown_backend_is_refused(name):
    with pytest.raises(ValueError, match="Expected `name` to be one of auto, definition, native, aten"):
        lightconv.backend(name)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "8", True])
def test_workspace_limit_must_be_positive(limit):
    with pytest.raises(ValueError, match="Expected `mebibytes` to be a positive number"):
        lightconv.workspace(limit)


def test_backends_agree(problem):
    with lightconv.backend("definition"):
        ours = run(*problem)
    with lightconv.backend("aten"):
        theirs = run(*problem)
    torch.testing.assert_close(ours, theirs)


def test_aten_backend_runs_torchs_operator_and_the_definition_does_not(problem):
    with Recorder() as recorder, lightconv.backend("aten"):
        run(*problem)
    assert "aten.convolution.default" in recorder.names
    with Recorder() as recorder, lightconv.backend("definition"):
        run(*problem)
    assert not [name for name in recorder.names if "conv" in name]


@pytest.mark.parametrize("limit", [1e-6, 0.01, 1e4], ids=["a row", "a sample", "all"])
def test_result_does_not_depend_on_the_workspace(problem, limit):
    with lightconv.backend("definition"):
        expected = run(*problem)
        with lightconv.workspace(limit):
            torch.testing.assert_close(run(*problem), expected)


@pytest.mark.parametrize("shape", [(64, 8, 32, 32), (1, 8, 256, 256)], ids=["large batch", "large picture"])
def test_windows_never_exist_at_once(shape):
    x = torch.zeros(shape, requires_grad=True)
    w = torch.zeros(8, 8, 5, 5, requires_grad=True)
    with Recorder() as recorder, lightconv.backend("definition"), lightconv.workspace(1):
        F.conv2d(x, w).sum().backward()
    windows = 25 * x.numel() * x.element_size()
    padded = 1.3 * x.numel() * x.element_size()
    assert recorder.largest <= max(padded, 1.1 * 2**20) < windows / 10


def test_nothing_but_input_and_weight_is_saved(problem):
    x, w = problem
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        F.conv2d(x, w, stride=2, padding=1, groups=2)
    assert sorted(t.numel() for t in saved) == sorted([x.numel(), w.numel()])


def test_transforms_are_noticed():
    seen = []

    def watch(x):
        seen.append(transforming())
        return x.sum()

    x = torch.ones(3)
    assert not transforming()
    torch.func.grad(watch)(x)
    torch.func.vmap(watch)(x)
    torch.func.jvp(watch, (x,), (x,))
    with torch.autograd.forward_ad.dual_level():
        watch(x)
    assert seen == [True] * 4


def test_batched_gradients():
    x = torch.randn(2, 3, 8, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    y = F.conv1d(x, w)
    seeds = torch.randn(5, *y.shape, dtype=torch.float64)
    batched = torch.autograd.grad(y, (x, w), seeds, is_grads_batched=True, retain_graph=True)
    for i, seed in enumerate(seeds):
        torch.testing.assert_close(
            torch.autograd.grad(y, (x, w), seed, retain_graph=True), tuple(g[i] for g in batched)
        )


def test_autocast_does_not_reach_into_a_float64_convolution(problem):
    with torch.autocast("cpu", torch.bfloat16):
        y, *grads = run(*problem)
    assert [t.dtype for t in (y, *grads)] == [torch.float64] * 3


def test_fx_sees_the_public_function():
    layer = lightconv.nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")
    graph = torch.fx.symbolic_trace(layer).graph
    targets = [node.target for node in graph.nodes if node.op == "call_function"]
    assert targets[-1] is F.conv2d


def test_exported_graph_holds_one_operator_a_layer():
    model = torch.nn.Sequential(
        lightconv.nn.Conv2d(2, 3, 3, padding="same", padding_mode="circular"), lightconv.nn.ConvTranspose2d(3, 2, 2)
    )
    batch, height = torch.export.Dim("batch"), torch.export.Dim("height")
    program = torch.export.export(model, (torch.randn(2, 2, 6, 5),), dynamic_shapes=({0: batch, 2: height},))
    called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert called == ["lightconv.pad.default", "lightconv.conv.default", "lightconv.conv_transpose.default"]
    x = torch.randn(3, 2, 9, 5)
    torch.testing.assert_close(program.module()(x), model(x))
