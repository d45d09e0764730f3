"""The proxy of the environment that would serve one URL, and which variable names it.

A variable that is not asked cannot be wrong: desktops set `all_proxy=socks://…` beside a good
`https_proxy`. NO_PROXY goes before all.
"""

from __future__ import annotations

import os
from typing import NoReturn
from urllib.parse import urlsplit

from nemocli.core.faults import NemoError
from nemocli.core.provider import loopback
from nemocli.core.redact import Redactor
from nemocli.core.value_class import value_class
from nemocli.io.http.exchange import config_fault


@value_class(frozen=True, slots=True)
class Proxy:
    """`url` with its scheme; `variable` is the name to look at when it is wrong."""

    url: str
    variable: str

    def refuse(self, schemes: str) -> NoReturn:
        """Raise NemoError (config): it cannot be used. `schemes` are those that can."""
        shown = Redactor().url(self.url)
        raise NemoError(
            config_fault(
                f"{self.variable} names a proxy that cannot be used: {shown}",
                f"it takes {schemes}; NO_PROXY lists hosts that are reached without one",
            )
        )


def proxy_for(url: str) -> Proxy | None:
    """The proxy for a URL: the scheme's own variable first, then ALL_PROXY; None to go straight, as
    this machine's own addresses always are."""
    if loopback(url):
        return None
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    for scheme in (parts.scheme, "all"):
        if named := proxies.get(scheme):
            break
    else:
        return None
    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return Proxy(named if "://" in named else f"http://{named}", _variable(f"{scheme}_proxy"))


def _variable(name: str) -> str:
    given = next((n for n in (name, name.upper()) if os.environ.get(n)), None)
    return given or "the system's proxy setting"
