"""Compile the optional kernels, and pack the same sources into the same bytes; the rest stands in pyproject.toml."""

import gzip
import os
import runpy
import tarfile
import time
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    bdist_wheel = None

os.umask(0o022)  # what is made here may be read by all, whoever makes it

KERNELS = Path(__file__).parent / "lightconv" / "kernels"


class BuildKernels(build_ext):
    """A shared library that knows nothing of Python, called by ctypes. Without a compiler it is left out."""

    def build_extension(self, ext):
        """Compile it, or say in one line why not."""
        library = Path(self.get_ext_fullpath(ext.name)).resolve()
        library.parent.mkdir(parents=True, exist_ok=True)
        try:
            runpy.run_path(str(KERNELS / "build.py"))["build"](library)
        except (RuntimeError, OSError) as error:
            print(f"lightconv goes without its compiled kernels: {str(error).splitlines()[0]}")

    def get_ext_filename(self, fullname):
        """The name without a Python version in it."""
        return str(Path(*fullname.split(".")).with_suffix(".so"))

    def get_outputs(self):
        """What there is to install, which may be nothing."""
        return [path for path in super().get_outputs() if Path(path).exists()]


class PlainArchive(sdist):
    """An archive that tells nothing of who packed it where; with $SOURCE_DATE_EPOCH, nothing of when."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        """Write the tree ``base_dir`` as ``base_name``.tar.gz."""
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)
        date = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
        with (
            open(f"{base_name}.tar.gz", "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=date) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
        ):
            for path in sorted(Path(base_dir).rglob("*")):
                entry = archive.gettarinfo(path)
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                entry.mtime = date
                entry.mode = 0o755 if path.is_dir() else 0o644
                with path.open("rb") if path.is_file() else open(os.devnull, "rb") as content:
                    archive.addfile(entry, content)
        return f"{base_name}.tar.gz"


commands = {"build_ext": BuildKernels, "sdist": PlainArchive}

if bdist_wheel is not None:

    class AnyPython(bdist_wheel):
        """The wheel depends on the machine, not on the version of Python."""

        def get_tag(self):
            """The tag for any Python 3."""
            return ("py3", "none", super().get_tag()[2])

    commands["bdist_wheel"] = AnyPython

setup(
    ext_modules=[
        Extension("lightconv.kernels.native", sources=["lightconv/kernels/source/kernels.cpp"], optional=True)
    ],
    cmdclass=commands,
)
