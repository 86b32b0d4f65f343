"""`python -m palaver`: the same as the command `palaver`."""

from palaver.cli import main

main(prog_name="palaver")
