"""Where the weights are looked for, and that nothing but the original is taken: here a small file stands for it."""

import hashlib
import os
import stat

import numpy as np
import pytest
import requests

from tests.reference.inception_cases import FIXTURE
from wgan_jax.errors import UserError
from wgan_jax.metrics.features import inception_weights

ORIGINAL = (FIXTURE.parent / 'state_dict_legacy.pth').read_bytes()
NAMES = ('pt_inception-2015-12-05-6726825d.pth', 'weights-inception-2015-12-05-6726825d.pth')


class Answer:
    """What requests.get gives: some bytes in two pieces, then perhaps an error."""

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
    """The addresses answer so, in this order; without one left there is no network."""
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


def test_the_constants_are_those_of_the_real_file(monkeypatch):
    monkeypatch.undo()
    assert inception_weights.SHA256 == '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2'
    assert inception_weights.SHA256.startswith(NAMES[0].removesuffix('.pth').split('-')[-1])
    assert inception_weights._SIZE == 95_628_359
    assert [url.split('/')[-1] for url in inception_weights.URLS] == list(NAMES)


def test_the_file_given_is_taken(home):
    path = put(home / 'some' / 'file')
    assert inception_weights.find(str(path)) == path
    assert inception_weights.find('~/some/file') == path
    assert '1.running_mean' in inception_weights.read(path)


@pytest.mark.parametrize(
    ('content', 'message'), [(changed(), 'does not have the sha256'), (ORIGINAL[:-1], 'has 1,699 bytes'), (b'', 'has 0 bytes')]
)
def test_a_file_given_that_is_not_the_original_is_refused_unread(home, monkeypatch, content, message):
    path = put(home / 'file', content)
    monkeypatch.setattr(inception_weights, 'read_state_dict', lambda data: pytest.fail('it was parsed'))
    for look in (lambda: inception_weights.find(str(path)), lambda: inception_weights.read(path)):
        with pytest.raises(UserError, match=message) as caught:
            look()
        assert str(path) in str(caught.value)
        assert f'Fetch {inception_weights.URLS[0]}' in str(caught.value)
        assert '--weights=FILE' in str(caught.value)


def test_a_file_given_that_is_not_there_is_told_and_nothing_is_downloaded(home, monkeypatch):
    asked = answer(monkeypatch, Answer(ORIGINAL))
    for path, message in ((home / 'file', 'No such file'), (home, 'bytes'), ('~nobody_here/file', 'home of nobody')):
        with pytest.raises(UserError, match=message):
            inception_weights.find(str(path))
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
def test_what_pytorch_has_downloaded_is_found(home, monkeypatch, variables, place, name):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, str(home / value))
    path = put(home / place / name)
    assert inception_weights.find(None) == path
    assert files(home) == [f'{place}/{name}']


def test_our_own_copy_is_found_behind_a_damaged_one_of_pytorch(home, monkeypatch, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'caches'))
    damaged = put(home / 'caches/torch/hub/checkpoints' / NAMES[0], ORIGINAL[:500])
    path = put(home / 'caches/wgan_jax' / NAMES[0])
    assert inception_weights.find(None) == path
    said = capsys.readouterr().out
    assert said.count('\n') == 1
    assert said.startswith(f'Warning: {damaged} has 500 bytes')
    assert damaged.exists(), 'it is not ours to remove'


def test_it_is_downloaded_once(home, monkeypatch, capsys):
    asked = answer(monkeypatch, Answer(ORIGINAL))
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
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert inception_weights.URLS[0] in capsys.readouterr().out


def test_a_damaged_copy_of_our_own_is_replaced(home, monkeypatch):
    put(home / '.cache/wgan_jax' / NAMES[0], changed())
    answer(monkeypatch, Answer(ORIGINAL))
    assert inception_weights.find(None).read_bytes() == ORIGINAL


@pytest.mark.parametrize(
    ('bad', 'reason'),
    [
        (Answer(changed()), 'wrong checksum'),
        (Answer(ORIGINAL[:-1]), 'another length'),
        (Answer(ORIGINAL + bytes(1)), 'another length'),
        (Answer(ORIGINAL[:500], requests.exceptions.ChunkedEncodingError('IncompleteRead')), 'the connection broke off'),
        (Answer(ORIGINAL[:500], requests.exceptions.ConnectionError('Read timed out.')), 'no connection'),
        (Answer(b'', status='404 Client Error: Not Found for url'), '404 Client Error'),
    ],
)
def test_what_the_first_address_does_not_give_the_second_does_and_nothing_is_left(home, monkeypatch, bad, reason):
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
    with pytest.raises(UserError, match='another length'):
        inception_weights.find(None)
    assert [long.pieces for long in answers] == [1, 1]


def test_no_network_is_told_in_one_sentence_with_the_remedy(home):
    with pytest.raises(UserError) as caught:
        inception_weights.find(None)
    assert str(caught.value) == (
        'The Inception weights could not be downloaded (mseitzer: no connection; toshas: no connection). '
        f'Fetch {inception_weights.URLS[0]} where there is a network, and give it with --weights=FILE.'
    )
    assert files(home) == []


def test_an_interrupted_download_leaves_nothing(home, monkeypatch):
    answer(monkeypatch, Answer(ORIGINAL[:500], KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        inception_weights.find(None)
    assert files(home) == []


def test_a_cache_that_cannot_be_made_is_told(home, monkeypatch):
    put(home / 'caches', b'')
    monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'caches'))
    with pytest.raises(UserError, match=r'cannot be written to .*caches/wgan_jax \(.*--weights=FILE'):
        inception_weights.find(None)


def test_the_original_that_is_no_state_dict_is_told(home, monkeypatch):
    path = put(home / 'file', b'\x80\x02cos\nsystem\n)R.')
    monkeypatch.setattr(inception_weights, '_SIZE', path.stat().st_size)
    monkeypatch.setattr(inception_weights, 'SHA256', hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match="names 'os system', which no state dict needs"):
        inception_weights.read(path)


def test_batch_norm_goes_into_the_convolution():
    """By hand: y = scale (w x - mean) / sqrt(var + 1e-3) + shift, one channel in, two out, and the axes of the kernel."""
    kernel = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
    of_norm = {'weight': [2.0, 3.0], 'bias': [0.5, -1.0], 'running_mean': [1.0, -2.0], 'running_var': [0.249, 3.999]}
    arrays = {'A.b.conv.weight': kernel, **{f'A.b.bn.{name}': np.float32(values) for name, values in of_norm.items()}}
    arrays |= {'fc.weight': np.float32([[1, 2, 3], [4, 5, 6]]), 'fc.bias': np.float32([7, 8])}
    params = inception_weights.convert(arrays)['params']
    scale = np.array([2 / 0.5, 3 / 2])
    np.testing.assert_allclose(params['A']['b']['kernel'][1, 2, 0], kernel[:, 0, 1, 2] * scale, rtol=1e-6)
    np.testing.assert_allclose(params['A']['b']['bias'], [0.5 - 4.0, -1.0 + 3.0], rtol=1e-6)
    np.testing.assert_array_equal(params['fc']['kernel'], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(params['fc_bias'], [7, 8])
