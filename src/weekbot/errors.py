"""The one base class of everything that a person can cause and put right."""


class WeekbotError(Exception):
    """A mistake with one clear sentence that says what to do instead; a subclass's docstring is its sentence.

    The command line prints the sentence and exits with 1; in Discord it is a private answer.
    """

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.__doc__)
