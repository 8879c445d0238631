"""Makes a notebook of each page in PAGES, beside it: python docs/make_notebook.py. Code blocks become cells without outputs."""

from pathlib import Path

import jupytext
import nbformat

PAGES = ('tutorial', 'theory')  # docs/NAME.md becomes docs/NAME.ipynb
_DOCS = Path(__file__).parent
# Jupytext would choose a bash kernel, since most blocks are bash. This front matter stays out of the page.
_KERNEL = '---\njupyter:\n  kernelspec:\n    display_name: Python 3\n    language: python\n    name: python3\n---\n\n'


def notebook(page: str) -> nbformat.NotebookNode:
    """A page as a notebook."""
    made = jupytext.reads(_KERNEL + (_DOCS / f'{page}.md').read_text(encoding='utf-8'), fmt='md')
    for number, cell in enumerate(made.cells):
        cell.id = f'cell-{number}'  # the default is random and changes each time
    made.metadata = {'kernelspec': made.metadata['kernelspec']}
    return made


if __name__ == '__main__':
    for name in PAGES:
        nbformat.write(notebook(name), _DOCS / f'{name}.ipynb')
