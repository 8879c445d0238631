"""The report in a real browser, opened from the disk: nothing is fetched, nothing fails, and the slider works."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from wgan_jax.report.page import write

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason='Chromium is missing, so no browser has opened the report: apt-get install chromium'
    ),
]


@pytest.fixture(scope='module')
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Opens a file; requests, console messages and errors of the page are collected in a list."""
    contexts = []

    def open_(path, width=1280, colour_scheme='light'):
        contexts.append(browser.new_context(viewport={'width': width, 'height': 800}, color_scheme=colour_scheme))
        page, events = contexts[-1].new_page(), []
        page.on('console', lambda message: events.append(message.text))
        page.on('pageerror', lambda error: events.append(str(error)))
        page.on('request', lambda request: None if request.url.startswith('data:') else events.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_load_state('networkidle')
        return page, events

    yield open_
    for context in contexts:
        context.close()


def shown(page):
    return page.evaluate("[...document.querySelectorAll('.film img')].filter(i => i.offsetParent).map(i => i.dataset.step)")


@pytest.mark.parametrize('colour_scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [360, 1280])
def test_it_opens_without_error_or_request_and_does_not_scroll_sideways(make_run, tmp_path, opened, width, colour_scheme):
    long_name = 'a_run_with_a_name_that_has_no_space_and_is_longer_than_a_telephone_is_wide' * 2
    write(
        [make_run('one'), make_run(long_name, gp_weight=0.0, clip_value=0.1), make_run('gan', loss='minimax')],
        tmp_path / 'report.html',
    )
    page, events = opened(tmp_path / 'report.html', width, colour_scheme)
    assert events == [(tmp_path / 'report.html').as_uri()]
    page.locator('summary').click()  # the widest table
    assert page.evaluate('document.documentElement.scrollWidth') == width
    assert page.evaluate('[...document.images].every(image => image.complete && image.naturalWidth > 0)')
    ink, ground = page.evaluate('[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]')
    of_ink, of_ground = (sum(map(int, colour[4:-1].split(','))) for colour in (ink, ground))  # brightness
    assert (of_ground - of_ink if colour_scheme == 'light' else of_ink - of_ground) > 500
    tick = page.locator('svg.plot text').first
    assert tick.evaluate('text => getComputedStyle(text).fill') == ink
    # The size of the text in a panel, in pixels of the screen.
    scale = page.locator('svg.plot').first.evaluate('svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width')
    assert scale * float(tick.evaluate('text => getComputedStyle(text).fontSize.slice(0, -2)')) >= 11.9


def test_the_slider_moves_the_pictures_of_all_runs(make_run, tmp_path, opened):
    write([make_run('one'), make_run('two', steps=(0, 16))], tmp_path / 'report.html')
    page, _ = opened(tmp_path / 'report.html')
    assert shown(page) == ['20', '16']
    slider = page.get_by_role('slider', name='Step')
    seen = []
    slider.focus()
    for key in ('ArrowLeft', 'ArrowLeft', 'Home', 'ArrowRight', 'End'):  # the steps are 0, 10, 16, 20
        page.keyboard.press(key)
        seen.append((page.locator('#shown').inner_text(), shown(page), slider.get_attribute('aria-valuetext')))
    assert seen == [
        ('16', ['20', '16'], 'step 16'),
        ('10', ['10', '16'], 'step 10'),
        ('0', ['0', '0'], 'step 0'),
        ('10', ['10', '16'], 'step 10'),
        ('20', ['20', '16'], 'step 20'),
    ]
    assert page.locator('.film').first.locator('.at').inner_text() == '20'


def test_on_paper_it_is_light_and_needs_no_script(make_run, tmp_path, opened):
    write([make_run('one')], tmp_path / 'report.html')
    page, _ = opened(tmp_path / 'report.html', colour_scheme='dark')
    slider, keys = page.locator('label.slider'), page.locator('details table')
    assert (slider.is_visible(), keys.is_visible()) == (True, False)
    page.emulate_media(media='print', color_scheme='dark')
    assert (slider.is_visible(), page.locator('nav').is_visible()) == (False, False)
    assert page.evaluate('getComputedStyle(document.body).backgroundColor') == 'rgb(255, 255, 255)'
    assert page.evaluate("getComputedStyle(document.querySelector('#scores')).breakBefore") == 'page'
    assert shown(page) == ['20']
