import json

import numpy as np
from PIL import Image

from wgan_jax.writers import RunWriter, save_png


def write(run_dir, start, steps, value=0.0):
    writer = RunWriter(run_dir, {'seed': 1}, start)
    writer.start_clock()
    for step in steps:
        writer.metrics(step, {'critic_loss': value + step}, images_seen=64)
        writer.picture(f'step_{step:06d}', np.full((4, 4, 1), step, np.uint8), step)
    writer.sync()
    writer.close()


def lines(run_dir):
    return [json.loads(line) for line in (run_dir / 'metrics.jsonl').read_text().splitlines()]


def test_a_resumed_record_has_no_gap_and_no_double_line(tmp_path):
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


def test_config_and_events_are_written(tmp_path):
    write(tmp_path, 0, [1])
    assert json.loads((tmp_path / 'config.json').read_text()) == {'seed': 1}
    (events,) = (tmp_path / 'tensorboard').iterdir()
    assert b'critic_loss' in events.read_bytes()


def test_png_keeps_pixels_of_one_and_three_channels(tmp_path):
    for channels in (1, 3):
        picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
        save_png(picture, tmp_path / 'p.png')
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'p.png')).reshape(5, 7, channels), picture)
    assert [path.name for path in tmp_path.iterdir()] == ['p.png']
