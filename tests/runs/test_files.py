import pytest

from wgan_jax.errors import UserError
from wgan_jax.runs.files import check_channels, make_directories, run_directory


def test_images_that_a_png_cannot_show_are_refused():
    for channels in (1, 3):
        check_channels((8, 8, channels))
    for channels in (2, 4, 5):  # 2 and 4 would become transparency
        with pytest.raises(UserError, match=rf'which have 1 or 3 channels, and these images have {channels}: omit it\.$'):
            check_channels((8, 8, channels))


def test_a_directory_for_images_that_cannot_be_created(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=r'file/images cannot be created \(Not a directory\): give another --images\.$'):
        make_directories(None, tmp_path / 'file' / 'images')


@pytest.mark.parametrize(
    ('workdir', 'message'),
    [
        (
            'gs://bucket/run',
            '--workdir=gs://bucket/run is no path of this machine: mount the bucket, or train on a disk and copy the run.',
        ),
        ('~nobody-here/run', '--workdir=~nobody-here/run starts with the home directory of an unknown user: check the path.'),
        ('\udcff', '--workdir=\udcff is not UTF-8, which checkpoints need: give another name.'),
    ],
)
def test_a_directory_that_cannot_be_one_is_refused(workdir, message):
    with pytest.raises(UserError) as caught:
        run_directory(workdir)
    assert str(caught.value) == message
