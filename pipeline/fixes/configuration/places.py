"""Places in a text: characters of the bytes that tree-sitter counts in."""

from itertools import accumulate


class Places:
    """Which character of a text a byte of its UTF-8 form belongs to."""

    def __init__(self, text: str) -> None:
        """Count the bytes of each character; a lone surrogate is read as one `?`."""
        self._starts: dict[int, int] | None = None
        if not text.isascii():
            sizes = (len(character.encode("utf-8", "replace")) for character in text)
            starts = accumulate(sizes, initial=0)
            self._starts = {byte: place for place, byte in enumerate(starts)}

    def at(self, byte: int) -> int:
        """Return the character that begins at a byte, or the text's length behind the last one."""
        return byte if self._starts is None else self._starts[byte]
