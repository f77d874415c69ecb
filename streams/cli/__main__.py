"""`python -m streams.cli`: the program, where its script is not on the path."""

from streams.cli import main

main()
