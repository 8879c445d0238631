"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """Bad input, told in one sentence: what was wrong, where, and what to do.

    Entry points print the message without a traceback; every other exception is a bug and keeps its own.
    """


class LocalError(UserError):
    """Bad luck of one process, at any time, such as a full disk or memory: it does not wait to agree with the others of the run."""
