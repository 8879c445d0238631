"""The pages in other languages, docs/LANGUAGE/: they give the commands, names, decimals and pictures of the English ones."""

import re

import pytest

from tests.conftest import ROOT

DOCS = ROOT / 'docs'
START = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *(DOCS / f'{name}.md' for name in ('configs', 'data', 'runs'))]
SHORTER = {'README.md': START, 'tutorials.md': sorted((DOCS / 'tutorials').glob('*.md'))}
LANGUAGES = sorted(path for path in DOCS.iterdir() if re.fullmatch('[a-z]{2}', path.name))
PAGES = [page for folder in LANGUAGES for page in sorted(folder.glob('*.md'))]
WHOLE = [page for page in PAGES if page.name not in SHORTER]  # docs/LANGUAGE/NAME.md translates docs/NAME.md
FENCED = re.compile(r'^```.*?^```$', flags=re.DOTALL | re.MULTILINE)


def label(path):
    return str(path.relative_to(ROOT))


def read(path):
    return path.read_text(encoding='utf-8')


def originals_of(page):
    return SHORTER.get(page.name, [DOCS / page.name])


def code_blocks(text):
    """Fenced blocks with their fences, and indented ones, in their order."""
    return re.findall(r'^```.*?^```$|(?:^    [^\n]*\n)+', text, flags=re.DOTALL | re.MULTILINE)


def headings(text):
    return re.findall(r'^## .*$', FENCED.sub('', text), flags=re.MULTILINE)


def images(text):
    return re.findall(r'!\[[^]]*\]\(([^)]+)\)', FENCED.sub('', text))


def names_and_decimals(text):
    """Code in a line, and numbers such as 0.05."""
    text = FENCED.sub('', text)
    return set(re.findall(r'`([^`\n]+)`', text)) | set(
        re.findall(r'(?<![\w.])\d+\.\d+(?![\w.])', re.sub(r'\]\([^)]*\)', ']', text))
    )


def stands_in(word, text):
    return re.search(rf'(?<!\w){re.escape(word)}(?!\w)', text) is not None


def strangers(blocks, originals):
    """Blocks that no original has, and those that stand in another order than in their original."""
    wrong = [block for block in blocks if not any(block in original for original in originals)]
    for original in originals:
        places = [original.index(block) for block in blocks if block in original]
        wrong += [original[place] for place, before in zip(places[1:], places[:-1], strict=True) if place <= before]
    return wrong


def test_every_page_has_an_original():
    assert len(LANGUAGES) >= 1
    assert [label(page) for page in PAGES if not all(original.is_file() for original in originals_of(page))] == []


@pytest.mark.parametrize('page', PAGES, ids=label)
def test_the_code_of_a_page_is_that_of_its_originals(page):
    blocks = code_blocks(read(page))
    assert len(blocks) >= 2
    assert strangers(blocks, [code_blocks(read(original)) for original in originals_of(page)]) == []


@pytest.mark.parametrize('page', WHOLE, ids=label)
def test_a_whole_translation_has_all_code_sections_and_images(page):
    text, original = read(page), read(*originals_of(page))
    assert code_blocks(text) == code_blocks(original)
    assert len(headings(text)) == len(headings(original))
    assert [(page.parent / image).resolve() for image in images(text)] == [DOCS / image for image in images(original)]


@pytest.mark.parametrize('page', PAGES, ids=label)
def test_the_images_of_a_page_exist(page):
    assert [image for image in images(read(page)) if not (page.parent / image).is_file()] == []


@pytest.mark.parametrize('page', PAGES, ids=label)
def test_the_names_and_decimals_of_a_page_stand_in_its_originals(page):
    originals = '\n'.join(map(read, originals_of(page)))
    assert {word for word in names_and_decimals(read(page)) if not stands_in(word, originals)} == set()


def test_the_checks_notice_what_differs():
    text = '## A\n\n```bash\n## no heading\nls\n```\n\nThe `key` is 0.05, [0.07](0.06).\n\n    cd x\n    ls\n\n![a](b.png)\n'
    assert code_blocks(text) == ['```bash\n## no heading\nls\n```', '    cd x\n    ls\n']
    assert headings(text) == ['## A']
    assert images(text) == ['b.png']
    assert names_and_decimals(text) == {'key', '0.05', '0.07'}
    assert stands_in('a.b', 'x `a.b`=1')
    assert not stands_in('a.b', 'a.bc 0a.b acb')
    assert strangers(['a', 'c', 'd'], [['a', 'b', 'c'], ['d']]) == []
    assert strangers(['d', 'a', 'c'], [['a', 'b', 'c'], ['d']]) == []
    assert strangers(['c', 'a'], [['a', 'b', 'c']]) == ['a']
    assert strangers(['a', 'a'], [['a', 'b']]) == ['a']
    assert strangers(['a', 'x'], [['a']]) == ['x']
