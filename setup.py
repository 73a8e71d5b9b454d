"""Compile the optional kernels; everything else about the package stands in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    bdist_wheel = None

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


commands = {"build_ext": BuildKernels}

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
