"""Moving pictures, as GIF for pages and as MP4 for everything else."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wgan_jax.errors import UserError
from wgan_jax.runs.files import replace_file
from wgan_jax.runs.record import sample_pictures

WALK_RATE = 25  # frames per second; a GIF counts hundredths
TRAINING_RATE = 5
_HOLD = 10  # frames that the last picture of training stays
_MOST = 300  # pictures of training in a film, a minute of it
_SMALLEST = 256  # pixels of the longer side
_STRIP = 24  # pixels under a picture, for the step


def save(frames: Sequence[np.ndarray], path: Path, rate: int) -> list[Path]:
    """Writes <path>.gif, played over and over, and <path>.mp4; the same frames give the same bytes.

    Args:
      frames: uint8 [H, W, C] of one shape, C 1 or 3; small ones are enlarged by a whole factor without smoothing. A GIF has 256
        colours in each frame, chosen for it.
      path: where to, without a suffix.
      rate: frames per second, which divides 100.

    Returns:
      The two paths.
    """
    factor = math.ceil(_SMALLEST / max(frames[0].shape[:2]))  # at least 1
    frames = [frame.repeat(factor, axis=0).repeat(factor, axis=1) for frame in frames]
    first, *others = (Image.fromarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame) for frame in frames)
    gif = io.BytesIO()
    first.save(gif, format='GIF', save_all=True, append_images=others, duration=1000 // rate, loop=0)
    written = [(path.with_suffix('.gif'), gif.getvalue()), (path.with_suffix('.mp4'), _mp4(frames, rate))]
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, content in written:
        replace_file(name, content)
    return [name for name, _ in written]


def training(workdir: Path) -> list[np.ndarray]:
    """The pictures that a run has left in samples/, in the order of their steps, each with its step under it; the last stays.

    Of more than 300 only every second, third and so on is taken, counted from the last.

    Raises:
      UserError: there are none, one cannot be read, or they are not of one size.
    """
    paths = sorted(sample_pictures(workdir).items())
    if not paths:
        raise UserError(f'--workdir={workdir} has no pictures samples/step_*.png: give the directory of a run.')
    paths = paths[:: -math.ceil(len(paths) / _MOST)][::-1]
    frames = []
    for step, path in paths:
        try:
            with Image.open(path, formats=['PNG']) as image:
                picture = image.convert('L' if image.mode == 'L' else 'RGB')
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow's words for a damaged file
            reason = getattr(error, 'strerror', None) or 'it is damaged'
            raise UserError(f'{path} cannot be read ({reason}): remove it, and give the command again.') from error
        frames.append(_with_step(picture, step))
        if frames[-1].shape != frames[0].shape:
            raise UserError(f'{path} has another size than {paths[0][1]}: remove those of one size, and give the command again.')
    return frames + frames[-1:] * _HOLD


def _with_step(picture: Image.Image, step: int) -> np.ndarray:
    frame = Image.new(picture.mode, (picture.width, picture.height + _STRIP))
    frame.paste(picture)
    white = 255 if picture.mode == 'L' else (255, 255, 255)
    ImageDraw.Draw(frame).text((4, picture.height + 3), f'step {step:,}', fill=white, font=ImageFont.load_default(16))
    pixels = np.asarray(frame)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _mp4(frames: Sequence[np.ndarray], rate: int) -> bytes:
    import av  # slow to import

    height, width = (side + side % 2 for side in frames[0].shape[:2])  # colours are kept for squares of 2x2 pixels
    buffer = io.BytesIO()
    # What changes the bits from time to time is left out: the encoder's version, threads, and mbtree (measured: with it, x264 165
    # gave 16 different files in 40 tries).
    with av.open(buffer, 'w', format='mp4', options={'fflags': '+bitexact'}) as container:
        stream = container.add_stream('libx264', rate=rate, options={'crf': '18', 'x264-params': 'mbtree=0'})
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'  # what every player knows
        stream.codec_context.thread_count = 1
        for frame in frames:
            even = np.pad(frame, [(0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)], mode='edge')
            picture = av.VideoFrame.from_ndarray(np.broadcast_to(even, (height, width, 3)).copy(), format='rgb24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return buffer.getvalue()
