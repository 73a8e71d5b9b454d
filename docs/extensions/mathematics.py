"""Formulas as MathML, which browsers draw themselves: no script, no font to fetch."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def _draw(self: HTML5Translator, node: nodes.Element, display: str) -> None:
    formula = convert(node.astext(), display=display)
    self.body.append(formula if display == "inline" else f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode


def _inline(self: HTML5Translator, node: nodes.Element) -> None:
    _draw(self, node, "inline")


def _block(self: HTML5Translator, node: nodes.Element) -> None:
    _draw(self, node, "block")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer that `html_math_renderer` names."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
