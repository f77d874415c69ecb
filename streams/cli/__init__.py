"""The command line. Data goes to stdout, messages and progress to stderr; `--json` wherever something is printed.

Exit status: 0 done; 1 checked and found wanting; 2 wrong usage or settings, or refused; 3 an input cannot be read, or a service
or database cannot be reached.
"""

from streams.cli.app import main

__all__ = ["main"]
