"""A directive that lists the modules which no page of the reference documents, each with its own words."""

import pkgutil
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import lightconv

DOCUMENTED = re.compile(r"^\.\. automodule:: (\S+)", re.MULTILINE)

ENTRY = """
.. rubric:: {name}

.. automodule:: {name}
   :no-members:
   :no-index:
"""


def modules(pages: Path) -> list[str]:
    """Modules of the package that the pages do not name; programs and private ones are left out."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages.glob("*.md"))
    named = set(DOCUMENTED.findall(text))
    found = pkgutil.walk_packages(lightconv.__path__, "lightconv.")
    return [module.name for module in found if module.name not in named and _written(module)]


def _written(module: pkgutil.ModuleInfo) -> bool:
    """Whether it is Python to be read: neither the compiled library nor the program that compiles it."""
    return module.name not in ("lightconv.kernels.native", "lightconv.kernels.build")


class ModulesInside(SphinxDirective):
    """``.. modules-inside::``"""

    def run(self) -> list[nodes.Node]:
        """Their docstrings under their names."""
        names = modules(Path(self.env.doc2path(self.env.docname)).parent)
        return self.parse_text_to_nodes("\n".join(ENTRY.format(name=name) for name in names))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("modules-inside", ModulesInside)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
