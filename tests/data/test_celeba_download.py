"""CelebA downloaded from a web server on this machine, and as TFDS prepares it."""

import sys

import pytest

from tests.data.conftest import SPLITS, official, serving
from tests.data.test_celeba import levels, load
from wgan_jax.data import celeba, celeba_download
from wgan_jax.errors import UserError


@pytest.fixture
def server(manual, monkeypatch):
    with serving({'/get?id=1': (manual / celeba.ARCHIVE).read_bytes()}) as httpd:
        monkeypatch.setattr(celeba_download, 'URLS', {celeba.ARCHIVE: f'http://127.0.0.1:{httpd.server_port}/get?id=1'})
        yield httpd


def test_downloads_prepares_and_caches(server, manual, tmp_path):
    root = tmp_path / 'sets'
    assert levels(load(root)) == list(SPLITS['train'])
    assert sorted(path.name for path in root.iterdir()) == ['celeba_aligned', 'wgan_jax']
    server.shutdown()
    assert levels(load(root, split='test')) == list(SPLITS['test'])  # from the prepared data set
    assert levels(load(root, split='all')) == list(range(1, 14))
    by_hand = {image.tobytes() for image in load(root, manual)}
    assert by_hand == {image.tobytes() for image in load(root)}
    assert 'tensorflow' not in sys.modules


def test_a_share_of_the_download_is_that_of_the_archive(server, manual, tmp_path):
    """Our builder writes the images in the order of their numbers, unlike that of TFDS."""
    downloaded, by_hand = load(tmp_path, fraction=0.5), load(tmp_path, manual, fraction=0.5)
    assert len(downloaded) == 4
    assert levels(downloaded) == levels(by_hand)
    assert levels(downloaded) not in ([1, 2, 3, 4], [5, 6, 7, 8])


@pytest.mark.parametrize(
    ('answer', 'reason'),
    [
        ((200, b'<html>', 6), r'img_align_celeba\.zip from 127\.0\.0\.1:\d+ is not the original file \(wrong checksum\)'),
        ((403, b'', 0), r'the download from 127\.0\.0\.1:\d+ failed \(.*HTTP code: 403\)'),
    ],
    ids=['quota page', 'forbidden'],
)
def test_a_host_that_refuses(server, tmp_path, answer, reason):
    server.answers['/get?id=1'] = answer
    with pytest.raises(UserError, match=reason) as caught:
        load(tmp_path / 'sets')
    assert 'Fetch img_align_celeba.zip by hand (1.4 GB;' in str(caught.value)
    assert 'https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html' in str(caught.value)
    assert '--config.data.manual_dir=DIR' in str(caught.value)
    assert not (tmp_path / 'sets').exists()


@pytest.mark.parametrize('file_format', ['array_record', 'tfrecord'])
def test_an_officially_prepared_set_is_used(server, tmp_path, file_format):
    """The same files under the name that TFDS gives them."""
    load(tmp_path / 'ours')
    official(tmp_path / 'ours' / 'celeba_aligned' / '1.0.0', tmp_path / 'celeb_a' / '2.1.0', file_format)
    server.shutdown()
    for split, numbers in SPLITS.items():
        assert levels(load(tmp_path, split=split)) == list(numbers)
