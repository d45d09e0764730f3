"""Programs of others: where they lie, where they start, and what of the environment they get.

A folder the user happens to stand in may be a stranger's. So a program is looked up once, as an
absolute path and never in that folder (`find_program`); it starts in the root folder, where nobody
else can put a module or a configuration beside it (`NEUTRAL_FOLDER`); and it gets no key of a
provider that it has no business with (`without_keys`, `bare_environment`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

NEUTRAL_FOLDER = Path(os.sep).resolve()
"""Where programs start: the user's own folder may hold what a program would pick up."""

_NEEDED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_.*|TZ|TMPDIR|TEMP|TMP|XDG_.*|PIP_.*|UV_.*|SSL_CERT_.*"
    r"|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC|(HTTP|HTTPS|ALL|NO)_PROXY|LD_LIBRARY_PATH"
    r"|DYLD_.*|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|APPDATA|LOCALAPPDATA|PROGRAMDATA"
    r"|USERPROFILE|CUDA_VISIBLE_DEVICES|NVIDIA_VISIBLE_DEVICES",
    re.IGNORECASE,
)


def find_program(name: str, env: Mapping[str, str]) -> str | None:
    """The absolute path of a program on `PATH`, or of one named by an absolute path; None where
    there is none. Entries of `PATH` that are relative or lead to the working folder are passed
    over: what lies there is whoever's folder it is, not the system's."""
    if Path(name).name != name:
        path = Path(name).expanduser()
        return shutil.which(str(path)) if path.is_absolute() else None
    here = Path.cwd()
    entries = [Path(entry) for entry in env.get("PATH", os.defpath).split(os.pathsep)]
    trusted = [e for e in entries if e.is_absolute() and e.resolve() != here]
    return next((found for e in trusted if (found := shutil.which(name, path=str(e)))), None)


def without_keys(env: Mapping[str, str], names: Collection[str] = ()) -> dict[str, str]:
    """An environment less the keys of providers (`names`, and `NEMOCLI_KEY_*`), for programs of
    the user's that sign in with what else is there, such as key commands."""
    return {
        k: v
        for k, v in env.items()
        if k not in names and not k.startswith("NEMOCLI_KEY_") and k != "PYTHONPATH"
    }


def bare_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Of an environment what any program needs (paths, language, proxies, certificates, pip's own
    settings) and nothing else. Settings that name a file by a relative path are left out."""
    kept = {k: v for k, v in env.items() if _NEEDED.fullmatch(k)}
    if "PIP_CONFIG_FILE" in kept and not Path(kept["PIP_CONFIG_FILE"]).is_absolute():
        del kept["PIP_CONFIG_FILE"]
    return kept
