"""The command line, as `weekbot` and as `python -m weekbot`."""

import sys

from weekbot.cli.main import cli
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.printable import printable_lines


def main() -> None:
    """Exit with 0 when done, 1 for a problem (named on stderr), 2 for wrong usage."""
    try:
        cli()
    except WeekbotError as error:
        print(printable_lines(str(error)), file=sys.stderr)  # noqa: T201 - this is what the command line says
        sys.exit(1)


if __name__ == "__main__":
    main()
