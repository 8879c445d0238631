"""Pictures inside a page: as they are where they are small, otherwise encoded anew."""

import base64
import io
from pathlib import Path

from PIL import Image

_MOST_BYTES = 3_000_000  # of all pictures of samples in a report; a third more in base64
_MOST_STEPS = 40  # of a run
_WEBP = ((1, 85), (1, 60), (1, 40), (2, 60))  # (how much smaller, quality), the first one that fits
LARGEST_OTHER = 300_000  # bytes of any other picture, of all runs together
_LARGEST_MOVING = 1_000_000  # of one run alone
_KINDS = {'.gif': 'image/gif', '.mp4': 'video/mp4'}


def steps_shown(steps: list[int], num_runs: int) -> list[int]:
    """Some of the steps, evenly chosen, with the first and the last."""
    most = max(8, min(_MOST_STEPS, 3 * _MOST_STEPS // num_runs))
    if len(steps) <= most:
        return steps
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)]


def budget(num_pictures: int) -> int:
    """Bytes that each of so many pictures may have."""
    return _MOST_BYTES // max(1, num_pictures)


def embedded(path: Path, most_bytes: int) -> str | None:
    """A picture as a data URI, as it is or as a WebP of about `most_bytes`; None if it is not there, or no picture."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=['PNG']) as opened:
            opened.load()
            if len(content) <= most_bytes:
                return _uri(content, 'image/png')
            for factor, quality in _WEBP:
                buffer = io.BytesIO()
                opened.convert('RGB').reduce(factor).save(buffer, format='WEBP', quality=quality, method=2)
                if buffer.tell() <= most_bytes:
                    break
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's words for a damaged file
        return None
    return _uri(buffer.getvalue(), 'image/webp')


def moving(path: Path, num_runs: int) -> str | None:
    """A GIF or MP4 as a data URI; None if it is not there, or too large for a page of so many runs."""
    if not path.is_file() or path.stat().st_size > _LARGEST_MOVING // num_runs:
        return None
    return _uri(path.read_bytes(), _KINDS[path.suffix])


def _uri(content: bytes, kind: str) -> str:
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'
