"""Films of frames, GIF for web pages and MP4, and what a run made while it trained: as a film and as one picture."""

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wgan_jax.disk import read_bytes, replace_file
from wgan_jax.errors import UserError
from wgan_jax.runs.directory import no_run
from wgan_jax.runs.memory_limits import gib
from wgan_jax.runs.record import sample_pictures
from wgan_jax.sample.grid import MAX_BYTES, first_row

WALK_RATE = 25  # frames per second; must divide 100, since a GIF counts hundredths of a second
TRAINING_RATE = 5
_HOLD = 10  # frames for the last picture of training
_MAX_PICTURES = 300  # of training: one minute; fewer of large pictures
_SMALLEST = 256  # pixels of the longer side
_LARGEST = 16_384  # pixels of a side, of x264
_CAPTION = 24  # pixels under a picture, for the number of the step
_ROWS, _WIDTH = 6, 400  # of the picture of training; pixels, at least


def save(frames: Sequence[np.ndarray], path: Path, rate: int) -> list[Path]:
    """Writes <path>.gif, which repeats forever, and <path>.mp4; the same frames give the same bytes.

    Args:
      frames: uint8 [H, W, C] of one shape, C 1 or 3; small ones are enlarged by an integer factor without smoothing. Each frame of
        the GIF has its own palette of 256 colours.
      path: path without a suffix.
      rate: frames per second; must divide 100.

    Returns:
      The two paths.
    """
    pictures = (Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame) for frame in _enlarged(frames))
    gif = io.BytesIO()
    next(pictures).save(gif, format='GIF', save_all=True, append_images=pictures, duration=1000 // rate, loop=0)
    written = [(path.with_suffix('.gif'), gif.getvalue()), (path.with_suffix('.mp4'), _mp4(frames, rate))]
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, content in written:
        replace_file(name, content)
    return [name for name, _ in written]


def check_length(count: int, frame_shape: tuple[int, ...], remedy: str) -> None:
    """Refuses a film of `count` frames [H, W, C] that needs more than 1 GiB, or whose frames are too large for MP4.

    Raises:
      UserError: the film is too long or too large; `remedy` says what to do instead.
    """
    _check_sides(frame_shape, remedy)
    size = count * _bytes(frame_shape)
    if size > MAX_BYTES:
        raise UserError(f'{count:,} frames make a film of {gib(size)}, and the limit is {gib(MAX_BYTES)}: {remedy}.')


def pictures_of_training(workdir: Path) -> list[tuple[int, Image.Image]]:
    """The sample grids of a run with their steps, in the order of the steps.

    Of more than 300 pictures, or of those that take more than 1 GiB, it takes every second, third and so on, counted from the last.

    Raises:
      UserError: there are none, one cannot be read, or their sizes differ.
    """
    paths = sorted(sample_pictures(workdir).items())
    if not paths:
        if not (workdir / 'checkpoints').is_dir():
            raise UserError(no_run(workdir))
        raise UserError(f'{workdir} has no pictures samples/step_*.png: the run has not made them yet.')
    most = max(1, min(_MAX_PICTURES, MAX_BYTES // _bytes((*_read(paths[-1][1]).size[::-1], 3))))
    paths = paths[:: -math.ceil(len(paths) / most)][::-1]
    pictures: list[tuple[int, Image.Image]] = []
    for step, path in paths:
        picture = _read(path)
        pictures.append((step, picture))
        if picture.size != pictures[0][1].size or picture.mode != pictures[0][1].mode:
            raise UserError(f'{path} has another size than {paths[0][1]}: remove those of one size, and give the command again.')
    return pictures


def film_of_training(pictures: Sequence[tuple[int, Image.Image]]) -> list[np.ndarray]:
    """A frame per picture, with its step under it; the last one is held.

    Raises:
      UserError: the pictures are too large for MP4.
    """
    frames = [_with_step(picture, step) for step, picture in pictures]
    _check_sides(frames[0].shape, 'open samples/ of the run, or train with fewer samples (config.num_samples)')
    return frames + frames[-1:] * _HOLD


def strip_of_training(pictures: Sequence[tuple[int, Image.Image]]) -> np.ndarray:
    """The first row of images of at most six pictures, one below the other, each with its step under it.

    The last picture and the first one after step 0 are among them; the others are about evenly spaced between these on a
    logarithmic scale, since most changes come early. Small ones are enlarged by an integer factor without smoothing. Pictures
    without rows, such as those of points, are side by side instead.

    Returns:
      uint8 [H, W, C].
    """
    pictures = [(step, picture) for step, picture in pictures if step > 0] or pictures
    steps = np.log1p([step for step, _ in pictures])
    aims = np.linspace(steps[0], steps[-1], _ROWS)
    width, whole = pictures[0][1].size
    height = first_row(np.asarray(pictures[0][1]))
    factor, rows = math.ceil(_WIDTH / width), []
    for number in np.unique(np.abs(steps - aims[:, None]).argmin(axis=1)):
        step, picture = pictures[number]
        row = picture.crop((0, 0, width, height)).resize((factor * width, factor * height), Image.Resampling.NEAREST)
        rows.append(_with_step(row, step))
    return np.concatenate(rows, axis=1 if height == whole else 0)


def _check_sides(frame_shape: tuple[int, ...], remedy: str) -> None:
    height, width = frame_shape[:2]
    if max(height, width) > _LARGEST:
        raise UserError(f'The frames have {width:,} x {height:,} pixels, and MP4 has at most {_LARGEST:,} to a side: {remedy}.')


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(io.BytesIO(read_bytes(path)), formats=['PNG']) as image:
            return image.convert('L' if image.mode == 'L' else 'RGB')
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises for a damaged file
        reason = getattr(error, 'strerror', None) or 'it is damaged'
        raise UserError(f'{path} cannot be read ({reason}): remove it, and give the command again.') from error


def _enlarged(frames: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """One after another, since all of them may not fit into memory."""
    factor = _factor(frames[0].shape)
    return (frame.repeat(factor, axis=0).repeat(factor, axis=1) for frame in frames)


def _factor(frame_shape: tuple[int, ...]) -> int:
    return math.ceil(_SMALLEST / max(frame_shape[:2]))  # at least 1


def _bytes(frame_shape: tuple[int, ...]) -> int:
    """Of a frame [H, W, C] of a film."""
    return math.prod(frame_shape) * _factor(frame_shape) ** 2


def _with_step(picture: Image.Image, step: int) -> np.ndarray:
    frame = Image.new(picture.mode, (picture.width, picture.height + _CAPTION))
    frame.paste(picture)
    white = 255 if picture.mode == 'L' else (255, 255, 255)
    ImageDraw.Draw(frame).text((4, picture.height + 3), f'step {step:,}', fill=white, font=ImageFont.load_default(16))
    pixels = np.asarray(frame)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _mp4(frames: Sequence[np.ndarray], rate: int) -> bytes:
    import av  # slow to import

    sides = [_factor(frames[0].shape) * side for side in frames[0].shape[:2]]
    height, width = (side + side % 2 for side in sides)  # yuv420p stores colours per 2x2 pixels
    buffer = io.BytesIO()
    # Without what makes the bytes differ: the encoder's version, threads, and mbtree (measured: with it, x264 165 gave 16 different
    # files in 40 tries).
    with av.open(buffer, 'w', format='mp4', options={'fflags': '+bitexact'}) as container:
        stream = container.add_stream('libx264', rate=rate, options={'crf': '18', 'x264-params': 'mbtree=0'})
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'  # supported by every player
        stream.codec_context.thread_count = 1
        for frame in _enlarged(frames):
            even = np.pad(frame, [(0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)], mode='edge')
            picture = av.VideoFrame.from_ndarray(np.broadcast_to(even, (height, width, 3)).copy(), format='rgb24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()
