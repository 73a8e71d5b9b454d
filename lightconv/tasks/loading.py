"""From a checkpoint back to its classifier."""

import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch

from lightconv.errors import UsageError, printable
from lightconv.tasks import own_networks
from lightconv.tasks.classifier import Classifier
from lightconv.tasks.mnist import MNISTClassifier
from lightconv.tasks.mnist1d import MNIST1DClassifier
from lightconv.tasks.mnist100 import MNIST100Classifier

BEST = "best.ckpt"
COPY = "network.py"
_SPARE = 1 << 20  # bytes
TASKS: dict[str, type[Classifier]] = {
    task.task: task for task in (MNIST1DClassifier, MNISTClassifier, MNIST100Classifier)
}


def load(path: str | Path, network: str | None = None) -> Classifier:
    """The classifier that a checkpoint of ours holds, in eval mode, on the CPU.

    Args:
        path: a ``.ckpt`` file that ``fit`` has written, or the folder of a run, whose ``best.ckpt`` is meant. It is
            read without unpickling objects.
        network: the file of the checkpoint's network, ``"nets.py"`` or ``"nets.py:mine"``, if it is not one of ours:
            its code is run, which a checkpoint alone must not bring about.

    Raises:
        UsageError: if there is no such file, it is damaged, or it comes from elsewhere; or if its network is from a
            file that was not named, or has changed since.
    """
    checkpoint = read_checkpoint(path, network)
    try:
        classifier = task_class(checkpoint)(**checkpoint["hyper_parameters"])
        classifier.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"Expected a checkpoint of this version's classifiers, but {str(path)!r} holds other parameters "
            f"({str(error).splitlines()[0]})."
        ) from error
    classifier.on_load_checkpoint(checkpoint)
    return classifier.eval()


def task_class(checkpoint: dict[str, Any]) -> type[Classifier]:
    """The class of classifier that a checkpoint belongs to."""
    return TASKS[checkpoint["provenance"]["task"]]


def read_checkpoint(path: str | Path, network: str | None = None) -> dict[str, Any]:
    """The contents of a checkpoint of ours.

    Args:
        path: see :func:`load`.
        network: see :func:`load`; what the checkpoint says of its network becomes this.

    Raises:
        UsageError: as :func:`load` does.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / BEST
    if not path.is_file():
        raise UsageError(f"Expected a checkpoint file, but there is none at {str(path)!r}; train one with `fit`.")
    try:
        _check_file(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        # There are as many exceptions as kinds of damage: zip, pickle, end of file, key, ...
        raise UsageError(
            f"Expected a checkpoint that `fit` has written, but {str(path)!r} cannot be read; it is damaged or "
            "another kind of file."
        ) from error
    if not _is_ours(checkpoint):
        raise UsageError(
            f"Expected a checkpoint of a lightconv classifier, but {str(path)!r} comes from something else; "
            f"known tasks are {', '.join(TASKS)}."
        )
    _settle_network(checkpoint, path, network)
    _check_size(checkpoint, path)
    return checkpoint


def _check_file(path: Path) -> None:
    """Raise if a checkpoint is damaged, or would take much more memory than it has bytes."""
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
        if sum(member.file_size for member in members) > 2 * path.stat().st_size + _SPARE:  # torch packs nothing
            raise zipfile.BadZipFile("it unpacks to a multiple of its size")
        if damaged := file.testzip():
            raise zipfile.BadZipFile(damaged)  # torch.load itself does not look at the checksums
        for member in members:
            if member.filename.endswith("data.pkl"):
                for instruction, name, _ in pickletools.genops(file.read(member)):
                    # the one name known to torch.load that makes much of a number
                    if instruction.name == "GLOBAL" and str(name).endswith(" bytearray"):
                        raise zipfile.BadZipFile("it asks for a bytearray")


def _settle_network(checkpoint: dict[str, Any], path: Path, network: str | None) -> None:
    """Of a network that is not ours: make sure that the user named its file, and that it is the same."""
    given = checkpoint["hyper_parameters"].get("network")
    if not own_networks.is_own(given):
        return
    wanted = own_networks.network_name(given)
    named = network or ""
    if not named.endswith((".py", f".py:{wanted}")):
        own, file = printable(given), printable(str(own_networks.source(given)))
        raise UsageError(
            f"Expected a network of lightconv's, but that of {str(path)!r} is {own}, whose code would run; name its "
            f"file, if you trust it: `--network {file}`, of `fit` and `test` `--model.network {own}`."
        )
    found = named if own_networks.is_own(named) else f"{named}:{wanted}"
    file = str(own_networks.source(found))
    if own_networks.fingerprint(found) != checkpoint["provenance"].get("network_sha256"):
        copy = path.parent / COPY
        hint = f"; its copy is {str(copy)!r}" if copy.is_file() else ""
        raise UsageError(f"Expected {file!r} as it was when {str(path)!r} was trained, but it has changed since{hint}.")
    checkpoint["hyper_parameters"]["network"] = found


def _check_size(checkpoint: dict[str, Any], path: Path) -> None:
    """Make sure that the network which the checkpoint names is no larger than what the checkpoint holds of it."""
    held = {name: value for name, value in checkpoint["state_dict"].items() if isinstance(value, torch.Tensor)}
    try:
        with torch.device("meta"):
            network = task_class(checkpoint)(**checkpoint["hyper_parameters"])
    except (RuntimeError, TypeError, ValueError):
        return  # whoever makes the network will say why it cannot be made
    needed = sum(value.numel() for value in network.state_dict().values())
    has = sum(value.numel() for value in held.values())
    stored = sum(value.untyped_storage().nbytes() for value in held.values())
    if needed > has or sum(value.nbytes for value in held.values()) > stored:
        raise UsageError(
            f"Expected a checkpoint of this version's classifiers, but {str(path)!r} holds other parameters "
            f"({min(has, stored):,} numbers, and its network has {needed:,})."
        )


def _is_ours(checkpoint: Any) -> bool:
    if not isinstance(checkpoint, dict):
        return False
    provenance, *others = (checkpoint.get(name) for name in ("provenance", "hyper_parameters", "state_dict"))
    return (
        isinstance(provenance, dict)
        and isinstance(provenance.get("task"), str)
        and provenance["task"] in TASKS
        and isinstance(provenance.get("data", {}), dict)
        and all(isinstance(other, dict) and all(isinstance(name, str) for name in other) for other in others)
    )
