"""The settings of the site. To build it: sphinx-build -W --keep-going docs docs/_build."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS)]  # the package, and site_extension

project = html_title = 'wgan_jax'
html_theme = 'furo'
html_static_path = html_css_files = ['site.css']
html_copy_source = html_show_copyright = False
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode', 'site_extension']
exclude_patterns = ['_build']
highlight_language = 'text'
smartquotes = False  # quotation marks and -- are often code
toc_object_entries = False  # with every function in the navigation of every page, a build takes minutes

myst_heading_anchors = 6  # the anchors that code hosts give to headings
myst_enable_extensions = ['dollarmath']
html_math_renderer = 'mathml'  # of site_extension; MathJax would be loaded over the network

default_role = 'py:obj'  # `name` in a docstring is a link if the module has this name
autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
napoleon_attr_annotations = False  # the signature has them
napoleon_custom_sections = [('Attributes', 'params_style')]
viewcode_follow_imported_members = False  # an object is documented where it is defined
