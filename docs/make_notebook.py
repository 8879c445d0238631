"""Makes docs/tutorial.ipynb from docs/tutorial.md: python docs/make_notebook.py. Code blocks become cells without outputs."""

from pathlib import Path

import jupytext
import nbformat

_DOCS = Path(__file__).parent
# Jupytext would choose a bash kernel, since most blocks are bash. This front matter stays out of the page.
_KERNEL = '---\njupyter:\n  kernelspec:\n    display_name: Python 3\n    language: python\n    name: python3\n---\n\n'


def notebook() -> nbformat.NotebookNode:
    """The tutorial as a notebook."""
    made = jupytext.reads(_KERNEL + (_DOCS / 'tutorial.md').read_text(encoding='utf-8'), fmt='md')
    for number, cell in enumerate(made.cells):
        cell.id = f'cell-{number}'  # the default is random and changes each time
    made.metadata = {'kernelspec': made.metadata['kernelspec']}
    return made


if __name__ == '__main__':
    nbformat.write(notebook(), _DOCS / 'tutorial.ipynb')
