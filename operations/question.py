"""Asks whoever runs a command before it changes something."""

import sys


def agreed(question: str, yes: bool) -> bool:
    """Yes, if it was said beforehand or is said now; nobody can say it where there is no terminal."""
    if yes:
        return True
    if not sys.stdin.isatty():
        print(f"  {question} With YES=1, or on a terminal")
        return False
    try:
        return input(f"  {question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
