"""Making sure that a run which goes on is the one that began."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightconv.errors import UsageError


class Begun:
    """How the run of a checkpoint began: its recipe, seed and data.

    Args:
        path: of the checkpoint.
        checkpoint: what it holds.
    """

    def __init__(self, path: Path, checkpoint: Mapping[str, Any]) -> None:
        self._path = path
        provenance = checkpoint["provenance"]
        self._data = provenance.get("data") or {}
        self._model = checkpoint["hyper_parameters"]
        self._seed = provenance.get("seed_everything")

    def check_recipe(self, model: Mapping[str, Any], seed: Any) -> None:
        """Raise UsageError if the classifier's options or the run's seed are others."""
        self._check("model.", self._model, model)
        if type(seed) is int and self._seed is not None:  # true stands for any
            self._check("", {"seed_everything": self._seed}, {"seed_everything": seed})

    def check_data(self, description: Mapping[str, Any]) -> None:
        """Raise UsageError if the data, as they describe themselves, are others: what was held out may train."""
        self._check("data.", self._data, description)

    def _check(self, section: str, begun: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        for name in sorted(begun.keys() | asked.keys()):
            # An option that one of them lacks is at its default there, or of another version.
            if name in begun and name in asked and begun[name] != asked[name]:
                raise UsageError(
                    f"Expected to go on from {str(self._path)!r} with the `{section}{name}` that it began with, "
                    f"{begun[name]!r}, but got {asked[name]!r}; repeat the run's options, or begin a new run without "
                    "`--ckpt_path`."
                )
