"""What drawing an answer costs: Markdown of 10 kB and of 100 kB, in events of four characters.

    python -m tests.bench.render

Bars: 100 kB in 2 s of CPU at most, and in 12 times what 10 kB take; a first event on the screen
within 30 ms. Beside it, what rich's own Live takes for the 10 kB, drawing the whole text each time
as most chats do. Nothing fails here.
"""

from __future__ import annotations

import asyncio
import io
import time

from nemocli.cli.chat.render import Painter
from nemocli.core.events import Text

PART = """## A heading

Some *text* with `code` and **more** of it, long enough to be wrapped once or twice on a terminal of
eighty columns, as most paragraphs are.

- an item
- another one
  with a second line

```python
def f(x):
    return x + 1
```

| a | b |
|---|---|
| 1 | 2 |

"""


def document(size: int) -> str:
    """So many characters of everything."""
    return (PART * (size // len(PART) + 1))[:size]


async def drawn(text: str) -> tuple[float, float, int]:
    """CPU seconds for a whole text, wall seconds to the first write, and bytes written."""
    written, first = 0, 0.0
    began = time.perf_counter()

    def write(data: str) -> None:
        nonlocal written, first
        first = first or time.perf_counter() - began
        written += len(data)

    cpu = time.process_time()
    painter = Painter(write, lambda: (80, 24), colour=True)
    for at in range(0, len(text), 4):
        painter.event(Text(text[at : at + 4]))
        if at % 400 == 0:
            await asyncio.sleep(0)
    painter.end()
    return time.process_time() - cpu, first, written


def redrawn(text: str, every: int = 30) -> float:
    """CPU seconds of drawing all of it again at every few events, as Live does."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    cpu = time.process_time()
    for at in range(0, len(text), 4 * every):
        console.print(Markdown(text[:at]))
    return time.process_time() - cpu


def main() -> None:
    """A line for each size."""
    asyncio.run(drawn(document(2_000)))  # imports
    small, _, _ = asyncio.run(drawn(document(10_000)))
    large, first, written = asyncio.run(drawn(document(100_000)))
    print(f" 10 kB {small:.2f} s of CPU")
    print(f"100 kB {large:.2f} s of CPU (bar 2), {large / small:.1f}x the 10 kB (bar 12)")
    print(
        f"first event on the screen after {first * 1000:.1f} ms (bar 30); {written:,} bytes in all"
    )
    print(f"Live, 10 kB, drawn again every 30 events: {redrawn(document(10_000)):.2f} s of CPU")


if __name__ == "__main__":
    main()
