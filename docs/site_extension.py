"""What the site needs of Sphinx beyond settings: links to files outside of docs/, docstrings as plain text, formulas as MathML."""

import os
import re
from pathlib import Path
from typing import Any

import generated_pages
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
INCLUDED = {ROOT / 'README.md': 'index', ROOT / 'CONTRIBUTING.md': 'contributing', ROOT / 'CHANGELOG.md': 'changelog'}


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect('builder-inited', lambda app: generated_pages.write(DOCS / 'reference'))
    app.connect('doctree-read', link_outside, priority=400)  # before Sphinx collects the files that it copies
    app.connect('missing-reference', link_to_module)
    app.connect('autodoc-process-docstring', read_docstring, priority=400)  # before napoleon
    app.connect('autodoc-skip-member', skip_fields, priority=400)
    app.connect('autodoc-process-signature', shorten_signature)
    app.add_html_math_renderer('mathml', (render_math, None), (render_math, None))


def link_outside(app: Sphinx, doctree: nodes.document) -> None:
    """Gives a link to a file outside of docs/ its place on the site: a page, a function or a module, or a copy of the file."""
    page = (DOCS / app.env.docname).parent
    for node in [*doctree.findall(addnodes.pending_xref), *doctree.findall(addnodes.download_reference)]:
        if node['reftype'] != 'myst':
            continue
        link, _, anchor = node['reftarget'].partition('#')
        if node['refdomain'] == 'doc':  # MyST has taken off the anchor and the suffix
            link, anchor = f'{link}.md', node['reftargetid']
        # The links of the files that a page includes start at the root.
        path = next((path for base in (page, ROOT) if (path := (base / link).resolve()).exists()), DOCS)
        if path.is_relative_to(DOCS):
            continue
        new = _link(path, anchor, node.astext())
        new += node.children
        new.attributes.update(refdoc=app.env.docname, reftype=new.get('reftype', 'myst'), refexplicit=True)
        if isinstance(new, addnodes.download_reference):
            new['reftarget'] = os.path.relpath(path, page)
        node.replace_self(new)


def _link(path: Path, anchor: str | None, text: str) -> nodes.Element:
    """A link to a file outside of docs/, without its text."""
    if path in INCLUDED:
        return addnodes.pending_xref(refdomain='doc', reftarget=INCLUDED[path], reftargetid=anchor)
    if path.is_relative_to(ROOT / 'wgan_jax') and (path.is_dir() or path.suffix == '.py'):
        module = '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        name = text.removeprefix(module.rpartition('.')[2] + '.')  # the text may be `steps.critic_step`, or the path
        return addnodes.pending_xref(refdomain='py', reftype='obj', reftarget=f'{module}.{name}', module=module, refwarn=True)
    return addnodes.download_reference(refdomain=None) if path.is_file() else nodes.inline()  # a directory has no page


def link_to_module(app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement) -> Any:
    """Resolves a link of link_outside whose text is not the name of a documented object."""
    if 'module' not in node:
        return None
    return env.domains.python_domain.resolve_xref(env, node['refdoc'], app.builder, 'mod', node['module'], node, content)


def read_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escapes what is not markup in a docstring."""
    lines[:] = generated_pages.as_rst('\n'.join(lines)).splitlines()


def skip_fields(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out the fields of a class: its docstring describes them, in the section Attributes."""
    return True if what == 'class' and not callable(obj) and not isinstance(obj, property | staticmethod | classmethod) else None


def shorten_signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None) -> Any:
    """Leaves out the arguments `parent` and `name`, which Flax adds to every network."""
    return (re.sub(r'(, )?parent: .* = None\)$', ')', signature), returns) if what == 'class' and signature else None


def render_math(translator: Any, node: nodes.Element) -> None:
    """Writes a formula."""
    translator.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode
