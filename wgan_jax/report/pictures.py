"""Embeds pictures in the page: small files unchanged, larger ones compressed."""

import base64
import io
from pathlib import Path

from PIL import Image

from wgan_jax.disk import read_bytes

SAMPLES_BYTES = 3_000_000  # of all grids of samples in a report; base64 adds a third
_MAX_STEPS = 40  # per run
_WEBP = ((1, 85), (1, 60), (1, 40), (2, 60))  # (reduction of each side, quality); the first that fits is used
OTHER_BYTES = 300_000  # of all runs' pictures of one other kind
_FILM_BYTES = 1_000_000  # of all runs' films
_KINDS = {'.gif': 'image/gif', '.mp4': 'video/mp4'}


def steps_shown(steps: list[int], num_runs: int) -> list[int]:
    """At most 40 of the steps, fewer with several runs, evenly spaced and including the first and the last."""
    count = max(8, min(_MAX_STEPS, 3 * _MAX_STEPS // num_runs))
    if len(steps) <= count:
        return steps
    return [steps[round(index * (len(steps) - 1) / (count - 1))] for index in range(count)]


def embedded(path: Path, max_bytes: int) -> str | None:
    """A PNG as a data URI, unchanged or as a WebP of about `max_bytes`; None if the file is missing or damaged."""
    try:
        content = read_bytes(path)
        with Image.open(io.BytesIO(content), formats=['PNG']) as opened:
            opened.load()
            if len(content) <= max_bytes:
                return _uri(content, 'image/png')
            for factor, quality in _WEBP:
                buffer = io.BytesIO()
                opened.convert('RGB').reduce(factor).save(buffer, format='WEBP', quality=quality, method=2)
                if buffer.tell() <= max_bytes:
                    break
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for damaged files
        return None
    return _uri(buffer.getvalue(), 'image/webp')


def moving(path: Path, num_runs: int) -> str | None:
    """A GIF or MP4 as a data URI; None if the file is missing, or too large for a page of `num_runs` runs."""
    if not path.is_file() or path.stat().st_size > _FILM_BYTES // num_runs:
        return None
    return _uri(read_bytes(path), _KINDS[path.suffix])


def _uri(content: bytes, kind: str) -> str:
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'
