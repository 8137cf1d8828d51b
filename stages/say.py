"""What `prep` prints. Names of files, labels and links were made by others: none of them steers the terminal."""

import typer


def say(text: str, *, err: bool = False) -> None:
    """Print lines, with whatever is no printable character, and no line break or tab, written as an escape."""
    typer.echo("".join(map(_printable, text)), err=err)


def one_line(text: str) -> str:
    """Return a text, such as a path, without line breaks: the rest of it would be taken for another answer."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _printable(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()
