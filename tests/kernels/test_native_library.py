"""Building, finding and doing without the library."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import lightconv
import lightconv.functional as F
from lightconv.kernels import available, build
from lightconv.kernels.library import ADDED_TO, ENVIRONMENT, ENVIRONMENT_LIBRARY, VARIANTS, Library, functions

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def as_before():
    functions.cache_clear()
    yield
    functions.cache_clear()


def call() -> torch.Tensor:
    return F.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))


def test_without_a_library_the_definition_runs_after_one_warning(monkeypatch, tmp_path):
    monkeypatch.setenv(ENVIRONMENT_LIBRARY, str(tmp_path / "native.so"))
    with pytest.warns(UserWarning, match="runs without its compiled kernels, more slowly: there was no C") as said:
        call()
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(call(), torch.full((1, 1, 2, 2), 4.0))
    with pytest.raises(RuntimeError, match="Expected compiled kernels for backend 'native'"):
        lightconv.backend("native")


def test_kernels_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "off")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not available()
        assert torch.equal(call(), torch.full((1, 1, 2, 2), 4.0))


def test_an_unknown_instruction_set_is_refused(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, "avx9000")
    with pytest.raises(ValueError, match=r"Expected \$LIGHTCONV_KERNELS to be one of avx512_bf16, avx512, avx2, base"):
        available()


def test_a_file_that_is_no_library_is_refused(tmp_path):
    path = tmp_path / "native.so"
    path.write_bytes(b"not a library")
    with pytest.raises(OSError, match=r"native\.so"):
        Library(path)


def test_without_a_compiler_building_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match=r"Expected a C\+\+ compiler, g\+\+ or clang\+\+, but found none"):
        build.build(tmp_path / "native.so")


def test_a_compiler_that_fails_leaves_the_old_library(monkeypatch, tmp_path):
    library = tmp_path / "native.so"
    library.write_bytes(b"old")
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(RuntimeError, match="Expected false to compile the kernels"):
        build.build(library)
    assert library.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["native.so"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_library_built_from_other_sources_is_refused(monkeypatch, tmp_path):
    changed = tmp_path / "source"
    shutil.copytree(build.SOURCE, changed)
    monkeypatch.setattr(build, "variants", lambda: {"baseline": []})
    build.build(tmp_path / "native.so")
    assert Library(tmp_path / "native.so").variant == "baseline"
    with (changed / "conv.h").open("a") as file:
        file.write("// more\n")
    monkeypatch.setattr(build, "SOURCE", changed)
    with pytest.raises(OSError, match="to be built from the present sources, but they have changed"):
        Library(tmp_path / "native.so")


def test_every_variant_that_was_built_has_every_function():
    if not available():
        pytest.skip("there are no compiled kernels")
    for variant in VARIANTS:
        try:
            library = Library(variant=variant)
        except OSError:
            continue
        in_float32 = {name for name in functions() if not name.endswith("_bfloat16")}
        assert {name for name in library.functions if not name.endswith("_bfloat16")} == in_float32
        assert (set(library.functions) == in_float32) == (variant not in ADDED_TO)


@pytest.mark.long
@pytest.mark.parametrize("compiler", ["working", "missing"])
def test_a_wheel_holds_the_library_if_there_is_a_compiler(tmp_path, compiler):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("lightconv", "configs", "exports"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    environment = dict(os.environ)
    if compiler == "missing":
        environment |= {"CXX": "no-such-compiler", "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = subprocess.run([sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True).stdout
    assert wheel.name.startswith("lightconv-")
    assert "-py3-none-" in wheel.name
    assert ("lightconv/kernels/native.so" in names) == (compiler == "working")
    assert "lightconv/kernels/source/convolve.h" in names
    if compiler == "missing":
        assert "lightconv goes without its compiled kernels: Expected a C++ compiler" in result.stdout


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    if not available():
        pytest.skip("there are no compiled kernels")
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(*shape, generator=generator).to(dtype) for shape in ((2, 3, 12, 14), (4, 3, 3, 3)))
    calls = (
        lambda a, b: F.conv_max_pool_relu(a, b),
        lambda a, b: F.avg_pool2d(F.conv2d(a, b), 3, 2),
        lambda a, b: F.interpolate(a * b.sum(), size=(20, 9), mode="bilinear"),
    )
    for call in calls:
        leaves = [t.clone().requires_grad_() for t in (x, w)]
        exact = [t.float().requires_grad_() for t in (x, w)]
        y, expected = call(*leaves), call(*exact)
        assert y.dtype == dtype
        torch.testing.assert_close(y.float(), expected, rtol=0.03, atol=0.1)
        for got, want in zip(
            torch.autograd.grad(y.sum(), leaves), torch.autograd.grad(expected.sum(), exact), strict=True
        ):
            assert got.dtype == dtype
            torch.testing.assert_close(got.float(), want, rtol=0.05, atol=0.05 * want.abs().max().item())


OUT_OF_MEMORY = """
import resource, torch
import lightconv.nn.functional as F
x, w = torch.ones(2, 512, 9, 9), torch.ones(512, 512, 9, 9)
F.conv2d(x[:, :8], w[:8, :8])
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
before = resource.getrlimit(resource.RLIMIT_AS)
for threads in (1, 2):
    torch.set_num_threads(threads)
    torch.ones(1000, 1000).sum()
    resource.setrlimit(resource.RLIMIT_AS, ((used << 10) + (64 << 20), before[1]))
    try:
        F.conv2d(x, w)
    except MemoryError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_AS, before)
print(F.conv2d(x, w).unique().item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of memory")
def test_without_memory_for_itself_a_kernel_gives_up_and_the_process_goes_on():
    if not available():
        pytest.skip("there are no compiled kernels")
    result = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    *told, last = result.stdout.splitlines()
    assert len(told) == 2
    assert all(line.startswith("Expected memory for what a kernel keeps while it runs") for line in told)
    assert float(last) == 512 * 9 * 9
