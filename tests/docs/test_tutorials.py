"""The tutorials run, and their exercises tell right answers from wrong ones."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import torch

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
PAGES = sorted(path for path in TUTORIALS.glob("*.py") if "format_name: percent" in path.read_text(encoding="utf-8"))
HELPERS = ("drawing", "practice")

# For each exercise answers that must be refused.
WRONG: dict[str, list[Any]] = {
    "10_1_one_dimension": [[1 / 3] * 3, [1 / 7] * 7, [1 / 9] * 7],
    "10_2_mnist_1d": [lambda pairs: 1 + sum(k - 1 for k, _ in pairs), lambda pairs: 15],
    "10_3_two_dimensions": [
        lambda x, weights: torch.nn.functional.conv2d(x, weights, groups=x.shape[1], padding=1),
        lambda x, weights: torch.nn.functional.conv2d(x, weights.flip(-1), groups=x.shape[1]),
    ],
    "10_4_down_and_up": [[[1, 1, 1]] * 3, [[0, 0, 0], [0, 1, 0], [0, 0, 0]]],
    "10_5_mnist": [480_499, 464_000, 21_840],
    "mnist_100": [
        lambda chances: chances.reshape(-1, 10, 10).sum(1),
        lambda chances: chances[:, :10],
        lambda chances: chances.reshape(-1, 10, 10).mean(2),
    ],
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a page in the short form and returns its names; leaves the process as it was."""
    backend, threads, state = matplotlib.get_backend(), torch.get_num_threads(), torch.get_rng_state()
    matplotlib.use("agg")
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # so that it is taken back
    monkeypatch.syspath_prepend(str(TUTORIALS))
    monkeypatch.chdir(tmp_path)

    def run_page(page: Path, length: str) -> dict[str, Any]:
        monkeypatch.setenv("LIGHTCONV_TUTORIALS", length)
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(page.read_text(encoding="utf-8"), str(page), "exec"), names)
        return names

    with matplotlib.rc_context():
        yield run_page
    import matplotlib.pyplot as plt

    plt.close("all")
    matplotlib.use(backend)
    for helper in HELPERS:
        sys.modules.pop(helper, None)
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("length", ["short", pytest.param("full", marks=pytest.mark.long)])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial_runs_and_its_exercise_is_checked(
    run: Any, page: Path, length: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(page, length)
    assert capsys.readouterr().out.rstrip().splitlines()[-1].startswith("Right")
    names["check"](None)
    assert capsys.readouterr().out.startswith("Not yet")
    for answer in WRONG[page.stem]:
        with pytest.raises(AssertionError, match=r"\w+"):
            names["check"](answer)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial_has_its_parts(page: Path) -> None:
    """A source with its section, an exercise, a solution that is folded away; and a place in the index."""
    text = page.read_text(encoding="utf-8")
    assert "Understanding" in text
    assert "section 10." in text.replace("\n# ", " ")
    exercise = text.index("# ## Your turn")
    solution = text.index('# %% tags=["hide-cell", "solution"]')
    assert exercise < text.index("check(answer)", exercise) < solution < text.index("check(answer)", solution)
    assert f"({page.name})" in (TUTORIALS / "index.md").read_text(encoding="utf-8")


def test_there_are_six() -> None:
    assert len(PAGES) == len(WRONG) == 6
