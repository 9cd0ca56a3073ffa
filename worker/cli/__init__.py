"""The command line: the same use cases as the API, for a terminal."""


def main() -> None:
    """Run one command."""
