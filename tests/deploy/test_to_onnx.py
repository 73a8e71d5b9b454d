"""Any module with our layers: the right nodes, the same numbers, nothing of this machine in the file."""

import collections
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import lightconv.nn as nn
from lightconv.deploy import ExportError, VerificationError, to_onnx


def run(path: Path, *inputs: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})


def test_batch_normalisation_disappears_in_the_convolution(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
    net(torch.randn(8, 1, 9, 9))
    training = [part.training for part in net.modules()]
    net[1].eval()
    report = to_onnx(net, torch.randn(1, 1, 9, 9), tmp_path / "net.onnx")
    assert report.nodes == {"Conv": 1, "Relu": 1}
    assert [part.training for part in net.modules()] == [*training[:2], False, *training[3:]]


def test_open_axes_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(4, 2, 2)).eval()
    # a size of 4 is traced with an output of one element
    to_onnx(net, torch.randn(1, 1, 4, 9), path, dynamic_axes={"input": {2: "height", 3: "width"}})
    for shape in ((1, 1, 9, 9), (2, 1, 30, 7), (5, 1, 4, 64)):
        x = torch.randn(shape)
        torch.testing.assert_close(torch.from_numpy(run(path, x)[0]), net(x).detach(), rtol=1e-5, atol=1e-5)
    sizes = [dim.dim_param or dim.dim_value for dim in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ["batch", 1, "height", "width"]


class Several(nn.Module):
    """Two inputs of different kind, outputs of different kind."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.conv = nn.Conv1d(4, 4, 3)

    def forward(self, signal: torch.Tensor, kind: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.conv(signal) + self.embed(kind).unsqueeze(-1)
        return {"map": y, "best": y.argmax(1)}


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    module, path = Several(), tmp_path / "net.onnx"
    args = (torch.randn(3, 4, 9), torch.tensor([0, 6, 2]))
    to_onnx(module, args, path)
    model = onnx.load(path)
    assert [value.name for value in model.graph.input] == ["signal", "kind"]
    assert [value.name for value in model.graph.output] == ["map", "best"]
    expected = module(*args)
    for result, name in zip(run(path, *args), ("map", "best"), strict=True):
        torch.testing.assert_close(torch.from_numpy(result), expected[name].detach(), rtol=1e-5, atol=1e-5)


class Wrapping(nn.Module):
    """Returns what a function makes of its input."""

    def __init__(self, make: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.make = make
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> Any:
        return self.make(x * self.scale)


Found = collections.namedtuple("Found", ["mask", "score"])


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda y: y + 1, ["output"]),
        (lambda y: (y + 1, y + 2), ["output_0", "output_1"]),
        (lambda y: {"out": y + 1}, ["out"]),
        (lambda y: {"out": y + 1, "features": [y + 2, y + 3]}, ["out", "features_0", "features_1"]),
        (lambda y: Found(y + 1, y + 2), ["mask", "score"]),
        (lambda y: {0: y + 1, 1: y + 2}, ["output_0", "output_1"]),
        (lambda y: ({"a": y + 1}, y + 2), ["output_0", "output_1"]),
        (lambda y: {"x": y + 1, "y": y + 2}, ["output_0", "output_1"]),  # x is the input
        (lambda y: {"scale": y + 1, "y": y + 2}, ["output_0", "output_1"]),  # a parameter
        (lambda y: {"a": [y + 1], "a_0": y + 2}, ["output_0", "output_1"]),
    ],
)
def test_outputs_are_named_as_the_module_names_them(
    tmp_path: Path, make: Callable[[torch.Tensor], Any], names: list[str]
) -> None:
    module, path, x = Wrapping(make), tmp_path / "net.onnx", torch.randn(2, 3)
    to_onnx(module, x, path)
    assert [value.name for value in onnx.load(path).graph.output] == names
    for i, result in enumerate(run(path, x), 1):
        torch.testing.assert_close(torch.from_numpy(result), (2 * x + i))


class Siamese(nn.Module):
    """Any number of pictures, and one layer for all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 2, 3)

    def forward(self, *pictures: torch.Tensor) -> torch.Tensor:
        return self.conv(pictures[0]) - self.conv(pictures[1])


def test_one_tensor_as_two_arguments_is_two_inputs(tmp_path: Path) -> None:
    # compiled, it has no names for its arguments
    module, path = torch.compile(Siamese(), backend="eager"), tmp_path / "net.onnx"
    x, y = torch.randn(2, 2, 1, 9)
    to_onnx(module, (x, x), path)
    torch.testing.assert_close(torch.from_numpy(run(path, x, y)[0]), module._orig_mod(x, y).detach())


def test_autocast_around_an_export_does_not_reach_it(tmp_path: Path) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        report = to_onnx(nn.Conv1d(1, 2, 3), torch.randn(1, 1, 9), tmp_path / "net.onnx")
        assert torch.is_autocast_enabled("cpu")
    assert report.nodes == {"Conv": 1}


def test_a_fixed_batch(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    to_onnx(nn.Conv1d(1, 2, 3), torch.randn(3, 1, 9), path, dynamic_batch=False, input_names=["x"], output_names=["y"])
    graph = onnx.load(path).graph
    assert [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim] == [3, 1, 9]
    assert (graph.input[0].name, graph.output[0].name) == ("x", "y")


@pytest.mark.parametrize("opset", [19, 22])
def test_other_operator_sets(opset: int, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    net = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1, padding_mode="circular"), nn.ReLU())
    assert to_onnx(net, torch.randn(1, 1, 9), path, opset=opset).opset == opset
    assert [entry.version for entry in onnx.load(path).opset_import] == [opset]


SCRIPT = """
import sys, torch, lightconv.nn as nn
from lightconv.deploy import to_onnx

def export(path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 4, padding="same"), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
        to_onnx(net, torch.randn(2, 1, 9, 9), path, dynamic_axes={"input": {2: "height"}})

for path in sys.argv[1:]:
    export(path)
"""


def test_the_bytes_are_the_same_twice_and_in_another_process_and_tell_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "export_in_a_place_of_its_own.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, script, tmp_path / "a.onnx"], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == done.stderr == ""
    monkeypatch.setattr(sys, "argv", ["", *(str(tmp_path / name) for name in ("b.onnx", "c.onnx"))])
    exec(compile(SCRIPT, script, "exec"), {})
    assert capfd.readouterr() == ("", "")
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes() == (tmp_path / "c.onnx").read_bytes()
    telling = [str(tmp_path), script.name, str(Path(torch.__file__).parent), str(Path(nn.__file__).parent)]
    telling += ["site-packages", ".py", "forward", os.environ.get("USER", ""), str(Path.home())]
    for text in telling:
        if len(text) > 1:
            assert text.encode() not in content, text
    model = onnx.load(tmp_path / "a.onnx")
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


class Unstable(nn.Module):
    """Computes something else when it runs than when it was traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if torch.compiler.is_compiling() else x + 1.001


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x)


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Returning(nn.Module):
    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> object:
        return self.value


FAILURES = [
    ("differs", Unstable(), {}, VerificationError, "Expected onnxruntime to agree"),
    ("no translation", Unknown(), {}, ExportError, "bessel_j0"),
    ("one batch", nn.Unflatten(0, (2, 1)), {}, ExportError, "any size of axis `batch`"),
    ("data dependent", Branching(), {}, ExportError, "not to depend on values of its input"),
    ("float64", nn.Conv1d(1, 1, 3).double(), {}, ExportError, "weight is float64"),
    ("bfloat16", nn.Conv1d(1, 1, 3).bfloat16(), {}, ExportError, "weight is bfloat16"),
    ("complex", nn.Conv1d(1, 1, 3, dtype=torch.complex64), {}, ExportError, "complex64"),
    ("lazy", nn.LazyConv1d(1, 3), {}, ExportError, "weight is not"),
    ("opset", nn.ReLU(), {"opset": 11}, ExportError, "from 19"),
    ("input names", nn.ReLU(), {"input_names": ["a", "b"]}, ExportError, "1 different names"),
    ("output names", nn.ReLU(), {"output_names": []}, ExportError, "1 different names"),
    ("name of letters", nn.ReLU(), {"input_names": "x"}, ExportError, "1 different names, one a tensor, but got 'x'"),
    ("no name", nn.ReLU(), {"output_names": [None]}, ExportError, "1 different names"),
    ("one name for both", nn.ReLU(), {"output_names": ["input"]}, ExportError, "both have `input`"),
    ("a parameter's name", nn.Conv1d(1, 1, 3), {"input_names": ["weight"]}, ExportError, "one has `weight`"),
    ("future opset", nn.ReLU(), {"opset": 99}, ExportError, "of 99 it made"),
    ("no tensor", Returning(3), {}, ExportError, "return tensors, but got 3"),
    ("nothing", Returning(None), {}, ExportError, "return tensors, but got None"),
    ("axes as a list", nn.ReLU(), {"dynamic_axes": [2]}, ExportError, r"a dictionary of inputs' names, but got \[2\]"),
    ("axes of text", nn.ReLU(), {"dynamic_axes": {"input": "hw"}}, ExportError, "a list of axes, but got 'hw'"),
    ("an axis alone", nn.ReLU(), {"dynamic_axes": {"input": 2}}, ExportError, "a list of axes, but got 2"),
    ("axes", nn.ReLU(), {"dynamic_axes": {"input": {5: "x"}}}, ExportError, "has 3"),
    ("axis name", nn.ReLU(), {"dynamic_axes": {"x": [0]}}, ExportError, "name inputs"),
]


@pytest.mark.parametrize(
    ("module", "options", "kind", "words"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES]
)
def test_a_failed_export_says_why_and_leaves_the_old_file(
    module: nn.Module, options: dict, kind: type[Exception], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    with pytest.raises(kind, match=words) as caught:
        to_onnx(module, torch.randn(2, 1, 9), path, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_bytes() == b"old"


def test_an_old_exporter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.6.0+cpu")
    with pytest.raises(ExportError, match=r"Expected PyTorch 2\.\d+ or newer to export, but this is 2\.6\.0\+cpu"):
        to_onnx(nn.ReLU(), torch.ones(1), tmp_path / "x.onnx")


def test_an_onnxscript_older_than_pytorch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript._framework_apis.torch_2_8'")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError, match="pip install --upgrade onnxscript"):
        to_onnx(nn.ReLU(), torch.ones(1), tmp_path / "x.onnx")


def test_float64_arguments_and_scripted_modules_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"args\[0\] is float64"):
        to_onnx(nn.ReLU(), torch.randn(2, 9).double(), tmp_path / "net.onnx")
    with pytest.warns() as _:
        scripted = torch.jit.script(torch.nn.ReLU())
    with pytest.raises(ExportError, match="scripted"):
        to_onnx(scripted, torch.randn(2, 9), tmp_path / "net.onnx")
    with pytest.raises(ExportError, match="`args` to hold a tensor, but got ndarray"):
        to_onnx(nn.ReLU(), (torch.ones(2).numpy(),), tmp_path / "net.onnx")
    with pytest.raises(ExportError, match="one batch size"):
        to_onnx(nn.Bilinear(2, 2, 1), (torch.randn(1, 2), torch.randn(3, 2)), tmp_path / "net.onnx")


class Mirrored(nn.Module):
    """On an input that is its own mirror image, the maximum of the two middle elements is left to rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(32, 64, 9, padding=4)
        with torch.no_grad():
            self.conv.weight += self.conv.weight.flip(2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weight = self.conv.weight
        if torch.compiler.is_compiling():  # the same sum in another order
            x, weight = x.flip(1), weight.flip(1)
        y = nn.functional.conv1d(x, weight, self.conv.bias, padding=4)
        y, indices = nn.functional.max_pool1d(y, 2, return_indices=True)
        return nn.functional.max_unpool1d(y, indices, 2), indices


def test_what_rounding_decides_is_no_fault(tmp_path: Path) -> None:
    torch.manual_seed(0)
    half = torch.randn(4, 32, 401)
    x = torch.cat([half, half.flip(2)], 2)
    module, path = Mirrored(), tmp_path / "net.onnx"
    report = to_onnx(module, x, path)
    middle = [result[..., 200] for result in (run(path, x)[1], module(x)[1].numpy())]
    assert (middle[0] != middle[1]).any()
    assert report.largest_difference is not None
    assert report.largest_difference < 1e-4


class Shifted(Mirrored):
    """The same, but traced with a fault that concerns a few elements only."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, indices = super().forward(x)
        return (torch.cat([y[..., :1] + 1, y[..., 1:]], 2), indices) if torch.compiler.is_compiling() else (y, indices)


def test_a_fault_of_a_few_elements_is_found(tmp_path: Path) -> None:
    half = torch.randn(2, 32, 401)
    with pytest.raises(VerificationError, match="`output_0` differs by 1"):
        to_onnx(Shifted(), torch.cat([half, half.flip(2)], 2), tmp_path / "net.onnx")


class Faint(nn.Module):
    """As untrained networks are that shrink what they see; and traced with a fault."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (2e-20 if torch.compiler.is_compiling() else 1e-20)


def test_a_fault_in_tiny_values_is_found(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="Expected onnxruntime to agree"):
        to_onnx(Faint(), torch.randn(2, 8), tmp_path / "net.onnx")


class Unused(nn.Module):
    def forward(self, x: torch.Tensor, unused: torch.Tensor) -> torch.Tensor:
        return x + 1


def test_an_unused_argument_stays_an_input(tmp_path: Path) -> None:
    to_onnx(Unused(), (torch.randn(2, 3), torch.randn(2)), tmp_path / "net.onnx")
    assert [value.name for value in onnx.load(tmp_path / "net.onnx").graph.input] == ["x", "unused"]


def test_without_verification_the_difference_is_unknown(tmp_path: Path) -> None:
    assert to_onnx(Unstable(), torch.randn(2, 9), tmp_path / "net.onnx", verify=False).largest_difference is None


def test_what_a_module_counts_in_a_buffer_is_put_back(tmp_path: Path) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.register_buffer("last", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls.add_(1)
            self.last = self.calls + 1
            return 2 * x

    net = Counting()
    calls, last = net.calls, net.last
    to_onnx(net, torch.ones(1, 3), tmp_path / "net.onnx")
    assert (net.calls is calls, net.last is last) == (True, True)
    assert (calls.item(), last.item()) == (0, 0)


def test_the_training_mode_comes_back_after_a_failure(tmp_path: Path) -> None:
    module = nn.Sequential(Unknown(), nn.Dropout())
    with pytest.raises(ExportError):
        to_onnx(module, torch.randn(2, 9), tmp_path / "net.onnx")
    assert all(part.training for part in module.modules())
