import zlib

import av
import numpy as np
import pytest
from PIL import Image

from wgan_jax.errors import UserError
from wgan_jax.runs import files
from wgan_jax.sample import movies
from wgan_jax.sample.grid import grid


def decoded(path):
    """Frames [N, H, W, 3], and frames per second, of an MP4."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ('h264', 'yuv420p')
        return np.stack([frame.to_ndarray(format='rgb24') for frame in container.decode(stream)]), stream.average_rate


def gif_frames(path):
    """Frames of a GIF, each with how long it is shown, in milliseconds."""
    with Image.open(path) as gif:
        assert gif.info['loop'] == 0
        frames = []
        for number in range(gif.n_frames):
            gif.seek(number)
            frames.append((np.asarray(gif.convert('RGB')), gif.info['duration']))
    return frames


@pytest.mark.parametrize('channels', [1, 3])
def test_both_films_show_the_frames_in_order(tmp_path, channels):
    values = np.array([[40, 90, 200], [250, 10, 10], [10, 10, 120], [60, 60, 60]], np.uint8)[:, :channels]
    frames = [np.broadcast_to(value, (301, 257, channels)) for value in values]  # odd sides
    gif, mp4 = movies.save(frames, tmp_path / 'new' / 'film', 25)
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == ['film.gif', 'film.mp4']
    images, rate = decoded(mp4)
    assert (images.shape, rate) == ((4, 302, 258, 3), 25)
    expected = np.broadcast_to(values, (4, 3)) if channels == 1 else values
    np.testing.assert_allclose(images[:, 150, 120].astype(int), expected, atol=6)
    np.testing.assert_allclose(images[:, -1, -1].astype(int), expected, atol=6)
    shown = gif_frames(gif)
    assert [duration for _, duration in shown] == [40] * 4
    np.testing.assert_allclose([frame[150, 120].astype(int) for frame, _ in shown], expected, atol=2)
    assert shown[0][0].shape == (301, 257, 3)


def test_the_same_frames_give_the_same_bytes_and_small_ones_are_enlarged(tmp_path):
    frames = list(np.random.default_rng(0).integers(0, 256, (5, 48, 100, 3), np.uint8))
    once, *again = (movies.save(frames, tmp_path / str(number) / 'film', 5) for number in range(5))
    sums = [[zlib.crc32(path.read_bytes()) for path in paths] for paths in (once, *again)]  # bytes would be compared for minutes
    assert sums == 5 * sums[:1]
    images, rate = decoded(once[1])
    assert (images.shape, rate) == ((5, 144, 300, 3), 5)


def leave_pictures(directory, steps):
    for step in steps:
        files.save_png(np.full((64, 300, 1), step % 256, np.uint8), directory / 'samples' / f'step_{step:06d}.png')
    files.save_png(np.full((64, 300, 1), 255, np.uint8), directory / 'samples' / 'real.png')


def test_the_pictures_of_training_are_in_the_order_of_their_steps_and_the_last_one_stays(tmp_path):
    leave_pictures(tmp_path, [1_000_010, 20, 100])
    frames = movies.film_of_training(movies.pictures_of_training(tmp_path))
    assert [frame[0, 0, 0] for frame in frames[:3]] == [20, 100, 1_000_010 % 256]
    assert len(frames) == 13
    np.testing.assert_array_equal(frames[-1], frames[2])
    captions = [frame[64:, :, 0] for frame in frames[:3]]
    assert all(caption.max() == 255 for caption in captions)
    assert len({caption.tobytes() for caption in captions}) == 3


def test_pictures_that_are_too_large_for_mp4_are_refused():
    message = r'^The frames have 16,385 x 34 pixels, and MP4 has at most 16,384 to a side: open samples/ of the run, or train with'
    with pytest.raises(UserError, match=message):
        movies.film_of_training([(0, Image.new('L', (16_385, 10)))])
    with pytest.raises(UserError, match='16,384 to a side: ask for fewer'):
        movies.check_length(2, (16_386, 8, 1), 'ask for fewer')
    movies.check_length(2, (16_384, 8, 1), 'ask for fewer')


def test_of_many_pictures_of_training_evenly_spaced_ones_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(movies, '_MAX_PICTURES', 4)
    leave_pictures(tmp_path, range(10))
    assert [step for step, _ in movies.pictures_of_training(tmp_path)] == [0, 3, 6, 9]
    monkeypatch.setattr(movies, '_MAX_PICTURES', 300)
    monkeypatch.setattr(movies, 'MAX_BYTES', 4 * 64 * 300 * 3)  # of pictures of 64x300 in colour
    assert [step for step, _ in movies.pictures_of_training(tmp_path)] == [0, 3, 6, 9]


def test_the_picture_of_training_has_the_first_row_of_six_steps(tmp_path):
    steps = [0, 10, 20, 40, 50, 80, 160, 300, 320]
    for step in steps:
        images = np.full((9, 48, 48, 3), 200, np.uint8)
        images[:3] = [[step % 256, 0, 1]]
        files.save_png(grid(images), tmp_path / 'samples' / f'step_{step:06d}.png')
    strip = movies.strip_of_training(movies.pictures_of_training(tmp_path))
    assert strip.shape == (6 * (3 * 48 + 24), 3 * 148, 3)
    np.testing.assert_array_equal(strip[::168, 0, 0], [10, 20, 40, 80, 160, 320 % 256])  # twice as much each time
    assert not np.any(strip[:144] == 200)
    captions = strip.reshape(6, 168, 444, 3)[:, 144:]
    assert all(caption.max() == 255 for caption in captions)


def test_pictures_without_rows_are_side_by_side(tmp_path):
    leave_pictures(tmp_path, [7, 90])
    strip = movies.strip_of_training(movies.pictures_of_training(tmp_path))
    assert strip.shape == (2 * 64 + 24, 2 * 600, 1)
    np.testing.assert_array_equal(strip[0, ::600, 0], [7, 90])


def test_missing_and_damaged_pictures_are_named(tmp_path):
    with pytest.raises(UserError, match=r'holds no run: it has no directory checkpoints\.'):
        movies.pictures_of_training(tmp_path)
    (tmp_path / 'checkpoints').mkdir()
    with pytest.raises(UserError, match=r'has no pictures samples/step_\*\.png: the run has not made them yet\.'):
        movies.pictures_of_training(tmp_path)
    leave_pictures(tmp_path, [1, 2])
    path = tmp_path / 'samples' / 'step_000002.png'
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r'step_000002\.png cannot be read \(it is damaged\)'):
        movies.pictures_of_training(tmp_path)
    Image.new('L', (64, 64)).save(path, format='GIF')
    with pytest.raises(UserError, match=r'step_000002\.png cannot be read \(it is damaged\)'):
        movies.pictures_of_training(tmp_path)
    files.save_png(np.zeros((32, 32, 1), np.uint8), path)
    with pytest.raises(UserError, match=r'step_000002\.png has another size than .*step_000001\.png'):
        movies.pictures_of_training(tmp_path)
