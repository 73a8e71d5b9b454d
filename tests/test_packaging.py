"""What a wheel must hold, and what an import may load."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_listed():
    listed = set(project()["tool"]["setuptools"]["packages"])
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "lightconv").rglob("__init__.py")}
    assert listed == found | {"lightconv.configs", "lightconv.exports"}


def test_constraints_pin_every_direct_dependency():
    pins = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    extras = project()["project"]["optional-dependencies"].values()
    wanted = [*project()["project"]["dependencies"], *(d for extra in extras for d in extra)]
    names = {w.split(">=")[0].split("[")[0].lower() for w in wanted}
    assert names <= pins


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running some code."""
    code += "\nimport sys; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {"torchvision", "lightning", "pytorch_lightning", "torchmetrics", "onnx", "onnxruntime", "onnxscript"}
HEAVY |= {"jsonargparse", "matplotlib", "sklearn", "rich", "mnist1d", "scipy"}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import lightconv", {*HEAVY, "torch"}),
        ("import lightconv.nn, lightconv.functional; lightconv.nn.Conv2d, lightconv.functional.relu", HEAVY),
        ("import lightconv.deploy.runtime", (HEAVY | {"torch"}) - {"onnxruntime"}),
    ],
    ids=["lightconv", "layers", "runtime"],
)
def test_imports_load_nothing_heavy(code, unwanted):
    assert not loaded_by(code) & unwanted
