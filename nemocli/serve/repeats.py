"""Texts told by what they have in common with earlier ones.

An agent sends its whole conversation with every call, a little longer each time, and its tools and
instructions beside it: of ten calls nine tenths are said before.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from nemocli.core.value_class import value_class

MOST_KEPT = 8
"""Texts that a later one is compared with: an agent has a few conversations at a time."""
MOST_CHARS = 8 << 20
"""Characters of them all."""
ENOUGH = 10
"""Of so many characters one may be new, and no other text is looked at: the last is likely it."""
WORTH = 64
"""Characters that a reference to another text must save."""


@value_class(frozen=True, slots=True)
class Said:
    """A text: `new`, between so many characters of the beginning and of the end of the text named
    `like`. Whole where `like` is None."""

    new: str
    like: str | None = None
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class Earlier:
    """The last texts, by name: `most` of them at the most."""

    most: int = MOST_KEPT
    most_chars: int = MOST_CHARS
    _texts: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _chars: int = 0

    def say(self, name: str, text: str) -> Said:
        """A text, told as shortly as the earlier ones allow; it is one of them from now on."""
        best = Said(text)
        for other, earlier in reversed(self._texts.items()):
            if len(best.new) * ENOUGH <= len(text):
                break
            start = common_start(earlier, text)
            end = common_end(earlier, text, min(len(earlier), len(text)) - start)
            if len(text) - start - end < len(best.new) - WORTH:
                best = Said(text[start : len(text) - end], other, start, end)
        self.keep(name, text)
        return best

    def restore(self, name: str, said: Said) -> str:
        """The text again. Raises ValueError where the one it is like is not among the last."""
        text = said.new
        if said.like is not None:
            earlier = self._texts.get(said.like)
            if earlier is None or not 0 <= said.start <= len(earlier) - said.end <= len(earlier):
                raise ValueError(f"what it repeats of {said.like!r} is not there")
            text = earlier[: said.start] + text + earlier[len(earlier) - said.end :]
        self.keep(name, text)
        return text

    def keep(self, name: str, text: str) -> None:
        """One more of the last texts."""
        self._chars += len(text) - len(self._texts.pop(name, ""))
        self._texts[name] = text
        while self._texts and (len(self._texts) > self.most or self._chars > self.most_chars):
            self._chars -= len(self._texts.popitem(last=False)[1])


def common_start(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_end(one: str, other: str, most: int) -> int:
    """How many characters, `most` of them, two texts end with alike."""
    low, high, first, second = 0, most, len(one), len(other)
    while low < high:
        middle = (low + high + 1) // 2
        if one[first - middle : first - low] == other[second - middle : second - low]:
            low = middle
        else:
            high = middle - 1
    return low
