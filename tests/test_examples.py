"""Every Python example in README and docs runs."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path) -> list[tuple[int, str]]:
    """The ```python blocks of a page, each with the line it starts on."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start()].count("\n") + 2, match[1]) for match in found]


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda page: page.name)
def test_examples_of_page_run(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other, in one namespace, in a folder that holds the exported models."""
    for model in (ROOT / "exports").glob("*.onnx"):
        shutil.copy(model, tmp_path)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, block in blocks(page):
        code = compile("\n" * (line - 1) + block, str(page), "exec")
        exec(code, namespace)


def test_blocks_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\na = 1\n```\n\n```bash\nls\n```\n```python\nb = a\n```\n", encoding="utf-8")
    assert blocks(page) == [(4, "a = 1\n"), (11, "b = a\n")]
