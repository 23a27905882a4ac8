"""The one base class of everything that a person can cause and put right."""


class WeekbotError(Exception):
    """A mistake with one clear sentence that says what to do instead.

    The command line prints the sentence and exits with 1; in Discord it is a private answer.
    """
