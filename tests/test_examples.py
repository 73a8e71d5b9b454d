"""Every example in README and docs: Python runs, and commands are understood."""

import argparse
import os
import re
import shlex
import shutil
from pathlib import Path

import jsonargparse
import pytest

from lightconv.cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
OTHERS = {"auditwheel", "cd", "curl", "export", "git", "npm", "pip", "source"}  # programs that are not ours


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of a page in a language, each with the line it starts on."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start()].count("\n") + 2, re.sub(f"(?m)^{match[1]}", "", match[2])) for match in found]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_examples_of_page_run(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other, in one namespace, in a folder that holds the exported models."""
    for model in (ROOT / "exports").glob("*.onnx"):
        shutil.copy(model, tmp_path)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, block in blocks(page, "python"):
        code = compile("\n" * (line - 1) + block, str(page), "exec")
        exec(code, namespace)


class Understood(BaseException):
    """The command's arguments have been parsed; what would follow is its work."""


@pytest.fixture
def parse_only(monkeypatch):
    """Commands stop when they have understood their arguments."""
    for parser in (argparse.ArgumentParser, jsonargparse.ArgumentParser):
        parse_args = parser.parse_args

        def parse_and_stop(self, *args, _parse_args=parse_args, **options):
            _parse_args(self, *args, **options)
            raise Understood

        monkeypatch.setattr(parser, "parse_args", parse_and_stop)


def commands(block: str) -> list[list[str]]:
    """The words of each command of a block, without comments, assignments, pipes and redirections."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        split = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        split.whitespace_split = True
        words = [*split, ";"]
        command: list[str] = []
        for number, word in enumerate(words):
            if set(word) <= set("|&;"):
                if command:
                    found.append(command)
                command = []
            elif set(word) <= set("<>") or (number and set(words[number - 1]) <= set("<>")):
                continue
            elif command or not re.fullmatch(r"\w+=.*", word):
                command.append(word)
    return found


def complaint(command: list[str]) -> str | None:
    """What is wrong with a command, if anything."""
    program, *rest = command
    program = program.removeprefix(".venv/bin/")
    if program in ("python", "python3") and rest and rest[0] == "cli.py":
        program, rest = "lightconv", rest[1:]
    if program == "srun":  # starts the command behind it
        return complaint(rest)
    if program == "torchrun":  # the same, for a Python file
        program, rest = "lightconv", rest[rest.index("cli.py") + 1 :]
    if program == "lightconv":
        try:
            status = main(rest)
        except Understood:
            return None
        return f"status {status}" if status else None
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        unknown = [word for word in rest if "=" not in word and word not in targets]
        return f"no such target: {unknown}" if unknown else None
    if program in ("python", "python3") and rest and rest[0] != "-m":
        file = ROOT / rest[0]
        if not file.exists():
            return f"no such file: {rest[0]}"
        source = file.read_text(encoding="utf-8")
        beside = (file.with_name(f"{name}.py") for name in re.findall(r"^from (\w+) import", source, re.MULTILINE))
        source += "".join(other.read_text(encoding="utf-8") for other in beside if other.exists())
        unknown = [word for word in rest[1:] if word.startswith("--") and f'"{word.partition("=")[0]}"' not in source]
        return f"no such option: {unknown}" if unknown else None
    if "/" in program:
        return None if os.access(ROOT / program, os.X_OK) else f"no such program {program}"
    return None if program in OTHERS or program.startswith("python") else f"unknown program {program}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=named)
def test_commands_of_page_are_understood(page, parse_only, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for line, block in blocks(page, "bash"):
        for command in commands(block):
            if found := complaint(command):
                wrong.append(
                    f"{page.name}, block at line {line}: {shlex.join(command)}: {found} {capsys.readouterr().err}"
                )
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "command",
    ["lightconv fti", "lightconv export --outputs x", "make tset", "python docs/draw_nothing.py",
     "python benchmarks/paired.py --nonsense", "rm -rf x", "lightconv fit --config mnist1d --data.bach_size 3"],
)  # fmt: skip
def test_what_is_wrong_is_found(command, parse_only, capsys):
    assert complaint(shlex.split(command))


def test_blocks_and_commands_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\na = 1\n```\n\n```bash\nls\n```\n1. ```python\n   b\n   ```\n", encoding="utf-8")
    assert blocks(page, "python") == [(4, "a = 1\n")]
    assert blocks(page, "bash") == [(8, "ls\n")]
    script = "A=1 lightconv fit --x 'a b' | tail > log  # why\nmake \\\n  test && ls\n"
    assert commands(script) == [["lightconv", "fit", "--x", "a b"], ["tail"], ["make", "test"], ["ls"]]
