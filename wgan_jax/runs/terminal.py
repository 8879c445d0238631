"""What a program prints: output that survives its terminal, one sentence per error, and the progress bar."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from absl import logging as absl_logging
from tqdm import tqdm

from wgan_jax.errors import UserError

_IN_CHECKOUT = Path(__file__).resolve().parents[2].joinpath('train.py').is_file()


def run_command(main: Callable[[], None]) -> None:
    """Runs the main function of `python -m wgan_jax.NAME`."""
    outlast_the_terminal()
    keep_orbax_quiet()
    main()


def as_typed(text: str) -> str:
    """The text with wgan-sample in place of python -m wgan_jax.sample, and so on, where the user has commands of these names.

    That is outside a checkout, or if this command was called by such a name.
    """
    if _IN_CHECKOUT and not Path(sys.argv[0]).name.startswith('wgan-'):
        return text
    return re.sub(
        r'python -m wgan_jax\.(sweep|sample|evaluate|report|export)\b', r'wgan-\1', text.replace('python train.py', 'wgan-train')
    )


@contextmanager
def errors_in_a_sentence(options: str) -> Iterator[None]:
    """Ends the process with status 1 and one sentence if a UserError, or an OSError of an output file, is raised inside.

    Args:
      options: the options that say where output goes, for the message.
    """
    try:
        yield
    except UserError as error:
        sys.exit(f'Error: {as_typed(str(error))}')
    except OSError as error:
        sys.exit(f'Error: {error.filename or "A file"} cannot be written ({error.strerror}): give another {options}.')


def outlast_the_terminal() -> None:
    """Keeps the program running when its output cannot be written any more: a closed pipe or session, a full disk."""
    sys.stdout, sys.stderr = (_Outlasting(stream or _nowhere()) for stream in (sys.stdout, sys.stderr))


def keep_orbax_quiet() -> None:
    """Silences orbax's log: each checkpoint is a page, and its errors are also raised."""
    absl_logging.set_verbosity(absl_logging.WARNING)  # app.run sets INFO
    absl_logging.get_absl_handler().addFilter(lambda record: 'orbax' not in record.pathname)
    # Of the arrays that cannot be written, orbax raises the first one's error; asyncio logs a traceback for each other one.
    logging.getLogger('asyncio').addFilter(lambda record: 'orbax' not in record.getMessage())
    hook = sys.unraisablehook

    def ignore_late_answers(unraisable: Any) -> None:
        # After a failed read or write, tensorstore's threads still answer to an event loop that orbax has closed.
        if str(unraisable.exc_value) != 'Event loop is closed':
            hook(unraisable)

    sys.unraisablehook = ignore_late_answers


def progress_bar(step: int, num_steps: int, *, hidden: bool = False) -> tqdm:
    """A bar of `num_steps` that starts at `step`; invisible if `hidden`, or if standard error is not a terminal."""
    return tqdm(initial=step, total=num_steps, unit=' steps', disable=hidden or None, dynamic_ncols=True)


def log_line(
    step: int, num_steps: int, epoch: float, means: dict[str, float], rounds: int, images_per_second: float, seconds_left: float
) -> str:
    """One line for a log point.

    Args:
      step, num_steps: rounds done, and in all.
      epoch: how often the rounds have read the data set.
      means: each metric's mean over `rounds` rounds; the sum of the estimate is also given, which some tutorials print.
    """
    estimate = means['wasserstein_estimate']
    exact = f', exact distance {means["wasserstein_true"]:.4g}' if 'wasserstein_true' in means else ''
    losses = ', '.join(f'{name} {means[name]:.4g}' for name in ('critic_loss', 'generator_loss', 'real_score', 'fake_score'))
    return (
        f'step {step:,} of {num_steps:,}, epoch {epoch:.2f}: estimate {estimate:.4g} (sum {estimate * rounds:.4g}){exact}, '
        f'{losses}; {images_per_second:,.0f} images/s, {duration(seconds_left)} left'
    )


def duration(seconds: float) -> str:
    """Formats seconds as 1 h 2 min, 1 min 2 s or 1.23 s; '' if there are more than 300 years."""
    if not seconds < 1e10:
        return ''
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f'{seconds:.3g} s'
    return f'{minutes // 60} h {minutes % 60} min' if minutes >= 60 else f'{minutes} min {rest} s'


class _Outlasting:
    """Standard output or error, replaced by /dev/null at the first error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')  # a name that the terminal cannot show must not end a run

    def write(self, text: str) -> int:
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(lambda: self._stream.flush())

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except OSError:
            self._stream = _nowhere()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _nowhere() -> TextIO:
    return open(os.devnull, 'w')
