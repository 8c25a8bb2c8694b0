"""The command line: ``anabranch COMMAND``; one module a command."""

from anabranch.cli.app import main

__all__ = ["main"]
