"""A file of TensorBoard events."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_VISIBLE_SECONDS = 10  # after which TensorBoard can read a point


class Events:
    """Writes each event at once.

    tensorboardX's SummaryWriter leaves that to a thread. A full disk ends the thread, and training then waits for it forever.
    """

    def __init__(self, directory: Path, step: int) -> None:
        from tensorboardX import event_file_writer  # slow to import, and only training needs it
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        directory.mkdir(exist_ok=True)
        # The name holds the second and the process id: two runs that start in the same second must not share a file.
        self._file = event_file_writer.EventsWriter(str(directory / 'events'), f'.{os.getpid()}')
        # TensorBoard then drops what an earlier process wrote about later steps.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._file.write_event(event_pb2.Event(wall_time=time.time(), step=step + 1 if step else 0, session_log=start))
        self.sync()

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Writes the next point of some curves; visible within _VISIBLE_SECONDS."""
        self._write((self._summary.Value(tag=name, simple_value=value) for name, value in values.items()), step)
        if time.monotonic() - self._synced > _VISIBLE_SECONDS:
            self.sync()

    def picture(self, tag: str, png: bytes, shape: tuple[int, ...], step: int) -> None:
        """Writes a PNG of a picture with shape [H, W, C]."""
        image = self._summary.Image(height=shape[0], width=shape[1], colorspace=shape[2], encoded_image_string=png)
        self._write([self._summary.Value(tag=tag, image=image)], step)

    def sync(self) -> None:
        """Forces all events to the disk."""
        self._file.flush()
        self._synced = time.monotonic()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, values: Iterable[Any], step: int) -> None:
        self._file.write_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=values)))
