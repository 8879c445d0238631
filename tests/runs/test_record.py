import errno
import json
import os

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto import event_pb2

from wgan_jax.runs.files import save_png
from wgan_jax.runs.record import RunWriter


def write(run_dir, start, steps, value=0.0):
    writer = RunWriter(run_dir, {'seed': 1}, start)
    writer.start_clock()
    for step in steps:
        writer.metrics(step, step / 4, {'critic_loss': value + step}, images_seen=64)
        writer.picture(f'step_{step:06d}', np.full((4, 4, 1), step % 256, np.uint8), step)
    writer.sync()
    writer.close()


def lines(run_dir):
    return [json.loads(line) for line in (run_dir / 'metrics.jsonl').read_text().splitlines()]


def test_a_resumed_record_has_no_gap_and_no_repeated_line(tmp_path):
    write(tmp_path, 0, [1, 2, 3, 4])
    with (tmp_path / 'metrics.jsonl').open('a') as file:
        file.write('{"step": 5, "critic_')  # killed while it wrote
    before = lines_until(tmp_path, 2)
    write(tmp_path, 2, [3, 4, 5], value=10.0)
    assert [line['step'] for line in lines(tmp_path)] == [1, 2, 3, 4, 5]
    assert lines(tmp_path)[:2] == before
    assert [line['critic_loss'] for line in lines(tmp_path)] == [1.0, 2.0, 13.0, 14.0, 15.0]
    seconds = [line['seconds'] for line in lines(tmp_path)]
    assert seconds == sorted(seconds)


def lines_until(run_dir, step):
    return [json.loads(line) for line in (run_dir / 'metrics.jsonl').read_text().splitlines()[:step]]


def test_pictures_of_later_steps_are_dropped_on_resume(tmp_path):
    write(tmp_path, 0, [1, 2, 3])
    save_png(np.zeros((2, 2, 3), np.uint8), tmp_path / 'samples' / 'real.png')
    RunWriter(tmp_path, {}, 2).close()
    assert sorted(path.name for path in (tmp_path / 'samples').iterdir()) == ['real.png', 'step_000001.png', 'step_000002.png']


def test_files_of_other_names_stay_and_steps_are_compared_as_numbers(tmp_path):
    write(tmp_path, 0, [999_000, 1_000_000])
    (tmp_path / 'samples' / 'step_best.png').write_text('mine')
    writer = RunWriter(tmp_path, {}, 1_000_000)
    assert writer.last_picture.name == 'step_1000000.png'
    writer.close()
    RunWriter(tmp_path, {}, 0).close()
    assert [path.name for path in (tmp_path / 'samples').iterdir()] == ['step_best.png']


def test_a_link_in_place_of_an_unfinished_file_is_not_followed(tmp_path):
    (tmp_path / 'precious').write_text('mine')
    (tmp_path / '.config.json.tmp').symlink_to('precious')
    RunWriter(tmp_path, {'seed': 1}, 0).close()
    assert (tmp_path / 'precious').read_text() == 'mine'
    assert json.loads((tmp_path / 'config.json').read_text()) == {'seed': 1}
    assert not (tmp_path / '.config.json.tmp').is_symlink()


def test_the_config_is_written(tmp_path):
    write(tmp_path, 0, [1])
    assert json.loads((tmp_path / 'config.json').read_text()) == {'seed': 1}


def events(path):
    """The records of a TFRecord file: length (8 bytes), its checksum (4), data, its checksum (4)."""
    content, found = path.read_bytes(), []
    while content:
        length = int.from_bytes(content[:8], 'little')
        found.append(event_pb2.Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def test_tensorboard_can_read_the_events(tmp_path):
    write(tmp_path, 0, [1, 2])
    (path,) = (tmp_path / 'tensorboard').iterdir()
    version, start, *others = events(path)
    assert version.file_version == 'brain.Event:2'
    assert (start.session_log.status, start.step) == (event_pb2.SessionLog.START, 0)
    values = [(event.step, value) for event in others for value in event.summary.value]
    curves = {(step, value.tag): value.simple_value for step, value in values if not value.HasField('image')}
    assert curves.keys() == {(step, name) for step in (1, 2) for name in ('critic_loss', 'images_per_second')}
    assert [curves[step, 'critic_loss'] for step in (1, 2)] == [1.0, 2.0]
    pictures = {step: value.image for step, value in values if value.HasField('image')}
    assert pictures[2].encoded_image_string == (tmp_path / 'samples' / 'step_000002.png').read_bytes()
    assert (pictures[2].height, pictures[2].width, pictures[2].colorspace) == (4, 4, 1)


def test_a_resumed_run_makes_tensorboard_drop_repeated_steps(tmp_path):
    write(tmp_path, 0, [1, 2, 3])
    before = set((tmp_path / 'tensorboard').iterdir())
    writer = RunWriter(tmp_path, {}, 2)
    (path,) = set((tmp_path / 'tensorboard').iterdir()) - before or before
    start = events(path)[1]
    assert (start.session_log.status, start.step) == (event_pb2.SessionLog.START, 3)
    writer.close()


def test_damaged_lines_are_dropped_with_a_warning(tmp_path, capsys):
    write(tmp_path, 0, [1, 2, 3, 4])
    path = tmp_path / 'metrics.jsonl'
    lines_before = path.read_bytes().splitlines()
    capsys.readouterr()
    path.write_bytes(b'\n'.join([lines_before[0], b'\xff\xfe', b'[1, 2]', *lines_before[3:], b'{"step": 5, "cri']))
    RunWriter(tmp_path, {}, 10).close()
    assert [line['step'] for line in lines(tmp_path)] == [1, 4]
    assert capsys.readouterr().out == f'Warning: {path} is damaged; ignored: line 2, line 3, line 5.\n'
    RunWriter(tmp_path, {}, 10).close()
    assert capsys.readouterr().out == ''


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    save_png(np.zeros((2, 2, 3), np.uint8), tmp_path / 'p.png')
    before = (tmp_path / 'p.png').read_bytes()

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fsync)
    with pytest.raises(OSError, match='No space left'):
        save_png(np.ones((2, 2, 3), np.uint8), tmp_path / 'p.png')
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {'p.png': before}


def test_png_keeps_pixels_of_one_and_three_channels(tmp_path):
    for channels in (1, 3):
        picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
        save_png(picture, tmp_path / 'p.png')
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'p.png')).reshape(5, 7, channels), picture)
    assert [path.name for path in tmp_path.iterdir()] == ['p.png']


def test_seconds_between_the_last_log_point_and_a_stop_are_counted(tmp_path):
    write(tmp_path, 0, [1, 2])
    writer = RunWriter(tmp_path, {'seed': 1}, 2)
    held = {**writer.held(), 'seconds': 100.0}  # stopped long after step 2
    writer.close()
    writer = RunWriter(tmp_path, {'seed': 1}, 2, held=held)
    writer.start_clock()
    writer.metrics(3, 0.75, {'critic_loss': 0.0}, images_seen=64)
    assert writer.held()['seconds'] >= lines(tmp_path)[-1]['seconds'] >= 100.0
    writer.close()
