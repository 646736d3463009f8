"""One family of errors, each a sentence that names the value, the rule and the mend."""


class SeparatrixError(Exception):
    """Base of every error that the project raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 2


class InputError(SeparatrixError):
    """Input that cannot be used: an unknown name, a bad size, an unreadable file."""


class RejectedError(SeparatrixError):
    """A certificate, model or claim that does not hold; the message says what is wrong with it."""

    exit_code = 1


class UnknownError(SeparatrixError):
    """The question has no answer by the means at hand (an undecided cell, a missing outside checker)."""

    exit_code = 3
