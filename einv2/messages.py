"""Sentences for messages: numbers with their nouns, and texts of bounded length."""

LONGEST_SENTENCE = 300  # characters, of a message about a file


def counted(n: int, what: str, plural: str = "") -> str:
    """ "1 track", "2 tracks": a number with its noun."""
    return f"{n} {what if n == 1 else plural or what + 's'}"


def one_line(text: str, most: int = LONGEST_SENTENCE) -> str:
    """Text that may hold anything from a file, as part of a sentence: what cannot be printed is escaped, the end is left out."""
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: most + 1])
    return escaped if len(escaped) <= most else escaped[: most - 3] + "..."
