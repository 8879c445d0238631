"""Makes docs/tutorial.ipynb of docs/tutorial.md: python docs/make_notebook.py. Its commands become cells, not yet run."""

from pathlib import Path

import jupytext
import nbformat

_DOCS = Path(__file__).parent
# Front matter that a reader of the page need not see: most of its commands are for bash, and yet the kernel is Python's.
_KERNEL = '---\njupyter:\n  kernelspec:\n    display_name: Python 3\n    language: python\n    name: python3\n---\n\n'


def notebook() -> nbformat.NotebookNode:
    """The tutorial as a notebook."""
    made = jupytext.reads(_KERNEL + (_DOCS / 'tutorial.md').read_text(encoding='utf-8'), fmt='md')
    for number, cell in enumerate(made.cells):
        cell.id = f'cell-{number}'  # else one at random, and another each time
    made.metadata = {'kernelspec': made.metadata['kernelspec']}
    return made


if __name__ == '__main__':
    nbformat.write(notebook(), _DOCS / 'tutorial.ipynb')
