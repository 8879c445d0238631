"""Where the weights are searched, and that only the original is accepted, for which a small file stands in here."""

import hashlib
import os
import stat

import pytest
import requests

from tests.reference.inception_cases import FIXTURE
from wgan_jax.errors import UserError
from wgan_jax.metrics.features import inception_weights

ORIGINAL = (FIXTURE.parent / 'state_dict_legacy.pth').read_bytes()
NAMES = ('pt_inception-2015-12-05-6726825d.pth', 'weights-inception-2015-12-05-6726825d.pth')


class Answer:
    """A response of requests: some bytes in two pieces, then an error, if there is one."""

    def __init__(self, content, error=None, status=None):
        self.content, self.error, self.status = content, error, status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def raise_for_status(self):
        if self.status:
            raise requests.HTTPError(self.status)

    def iter_content(self, _):
        yield self.content[:100]
        yield self.content[100:]
        if self.error:
            raise self.error


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, a small original, and no network."""
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.delenv('TORCH_HOME', raising=False)
    monkeypatch.setattr(inception_weights, 'SHA256', hashlib.sha256(ORIGINAL).hexdigest())
    monkeypatch.setattr(inception_weights, '_SIZE', len(ORIGINAL))
    answer(monkeypatch)
    return tmp_path


def answer(monkeypatch, *answers):
    """Requests get these answers in this order; then there is no network."""
    left, asked = list(answers), []

    def get(url, *, stream, timeout):
        assert stream
        assert timeout
        asked.append(url)
        if not left:
            raise requests.exceptions.ConnectionError('Max retries exceeded with url')
        return left.pop(0)

    monkeypatch.setattr(requests, 'get', get)
    return asked


def put(path, content=ORIGINAL):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def changed():
    return ORIGINAL[:-1] + bytes([ORIGINAL[-1] ^ 1])


def files(home):
    return sorted(path.relative_to(home).as_posix() for path in home.rglob('*') if path.is_file())


def test_the_constants_describe_the_real_file(monkeypatch):
    monkeypatch.undo()
    assert inception_weights.SHA256 == '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2'
    assert inception_weights._SIZE == 95_628_359
    assert [url.split('/')[-1] for url in inception_weights.URLS] == list(NAMES)


def test_a_given_file_is_used(home):
    path = put(home / 'some' / 'file')
    assert inception_weights.find(path) == path
    assert '1.running_mean' in inception_weights.read(path)


@pytest.mark.parametrize(
    ('content', 'message'), [(changed(), 'does not have the SHA-256'), (ORIGINAL[:-1], 'has 1,699 bytes'), (b'', 'has 0 bytes')]
)
def test_a_given_file_that_is_not_the_original_is_refused_unread(home, monkeypatch, content, message):
    path = put(home / 'file', content)
    monkeypatch.setattr(inception_weights, 'read_state_dict', lambda data: pytest.fail('the file was parsed'))
    for function in (inception_weights.find, inception_weights.read):
        with pytest.raises(UserError, match=message) as caught:
            function(path)
        assert str(path) in str(caught.value)
        assert f'Download {inception_weights.URLS[0]}' in str(caught.value)


def test_a_given_file_that_does_not_exist_is_an_error_and_nothing_is_downloaded(home, monkeypatch):
    asked = answer(monkeypatch, Answer(ORIGINAL))
    for path, message in ((home / 'file', 'No such file'), (home, 'bytes')):
        with pytest.raises(UserError, match=message):
            inception_weights.find(path)
    assert asked == []


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(
    ('variables', 'place'),
    [
        ({}, '.cache/torch/hub/checkpoints'),
        ({'XDG_CACHE_HOME': 'caches'}, 'caches/torch/hub/checkpoints'),
        ({'TORCH_HOME': 'torch', 'XDG_CACHE_HOME': 'caches'}, 'torch/hub/checkpoints'),
    ],
)
def test_a_file_in_the_cache_of_pytorch_is_found(home, monkeypatch, variables, place, name):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, str(home / value))
    path = put(home / place / name)
    assert inception_weights.find(None) == path
    assert files(home) == [f'{place}/{name}']


def test_our_own_copy_is_found_if_that_of_pytorch_is_damaged(home, monkeypatch, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'caches'))
    damaged = put(home / 'caches/torch/hub/checkpoints' / NAMES[0], ORIGINAL[:500])
    path = put(home / 'caches/wgan_jax' / NAMES[0])
    assert inception_weights.find(None) == path
    said = capsys.readouterr().out
    assert said.count('\n') == 1
    assert said.startswith(f'Warning: {damaged} has 500 bytes')
    assert damaged.exists(), 'a file of PyTorch was removed'


@pytest.mark.parametrize('damaged', [False, True])
def test_it_is_downloaded_once_and_replaces_a_damaged_copy(home, monkeypatch, capsys, damaged):
    asked = answer(monkeypatch, Answer(ORIGINAL))
    if damaged:
        put(home / '.cache/wgan_jax' / NAMES[0], changed())
    before = os.umask(0)
    try:
        path = inception_weights.find(None)
    finally:
        os.umask(before)
    assert path == home / '.cache/wgan_jax' / NAMES[0]
    assert path.read_bytes() == ORIGINAL
    assert inception_weights.find(None) == path
    assert asked == [inception_weights.URLS[0]]
    assert files(home) == [f'.cache/wgan_jax/{NAMES[0]}']
    assert damaged or stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert inception_weights.URLS[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ('bad', 'reason'),
    [
        (Answer(changed()), 'wrong checksum'),
        (Answer(ORIGINAL[:-1]), 'wrong length'),
        (Answer(ORIGINAL[:500], requests.exceptions.ChunkedEncodingError('IncompleteRead')), 'the connection broke off'),
        (Answer(ORIGINAL[:500], requests.exceptions.ConnectionError('Read timed out.')), 'no connection'),
        (Answer(b'', status='404 Client Error: Not Found for url'), '404 Client Error'),
    ],
)
def test_the_second_address_is_tried_and_a_failed_download_leaves_nothing(home, monkeypatch, bad, reason):
    asked = answer(monkeypatch, bad, Answer(ORIGINAL))
    assert inception_weights.find(None).read_bytes() == ORIGINAL
    assert asked == list(inception_weights.URLS)
    inception_weights.find(None).unlink()
    answer(monkeypatch, bad)
    with pytest.raises(UserError, match=rf'mseitzer: .*{reason}.*; toshas: no connection.*--weights=FILE'):
        inception_weights.find(None)
    assert files(home) == []


def test_a_download_that_is_too_long_is_not_read_to_its_end(monkeypatch):
    class Long(Answer):
        pieces = 0

        def iter_content(self, size):
            for _ in range(20):
                self.pieces += 1
                yield bytes(size)

    answers = [Long(b''), Long(b'')]
    answer(monkeypatch, *answers)
    with pytest.raises(UserError, match='wrong length'):
        inception_weights.find(None)
    assert [long.pieces for long in answers] == [1, 1]


def test_an_interrupted_download_leaves_nothing(home, monkeypatch):
    answer(monkeypatch, Answer(ORIGINAL[:500], KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        inception_weights.find(None)
    assert files(home) == []


def test_a_cache_that_cannot_be_created_is_an_error(home, monkeypatch):
    put(home / 'caches', b'')
    monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'caches'))
    with pytest.raises(UserError, match=r'cannot be written to .*caches/wgan_jax \(.*--weights=FILE'):
        inception_weights.find(None)


def test_an_original_that_is_not_a_state_dict_is_an_error(home, monkeypatch):
    path = put(home / 'file', b'\x80\x02cos\nsystem\n)R.')
    monkeypatch.setattr(inception_weights, '_SIZE', path.stat().st_size)
    monkeypatch.setattr(inception_weights, 'SHA256', hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match="names 'os system', which no state dict needs"):
        inception_weights.read(path)


def test_without_a_home_directory_the_place_of_the_weights_must_be_given(monkeypatch):
    monkeypatch.setattr(inception_weights, 'user_cache', lambda: None)
    with pytest.raises(UserError, match=r'^This user has no home directory for the Inception weights: set XDG_CACHE_HOME to a dir'):
        inception_weights.find(None)
