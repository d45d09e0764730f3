"""A weights Hub on real sockets: the API on one origin, the bodies on another.

In a test::

    with Hub(small()) as hub:
        hub.rule(Flip(at=70_000), "cdn", "model-00001*")
        ...  # HF_ENDPOINT=hub.url
    assert not any(seen.authorized for seen in hub.asked("cdn"))

By hand: `python tests/servers/hub.py --folder DIR --name acme/tiny` prints the endpoint and serves
until it is interrupted; `--enormous` serves 352 GB that do not exist; with `--bodies URL` the
bodies of a folder come from a static server over it.

Wire format: the Hub as huggingface_hub 2.4.0 speaks to it (2026-11), see the facts on weights.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlsplit

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.servers.channel import Channel, Request
from tests.servers.content import Content
from tests.servers.listener import Listener
from tests.servers.mishaps import Mishap, Reply, Rule, Sent, Where, of_bytes
from tests.servers.repository import Entry, Repo
from tests.servers.signing import Signer

TOKEN = "hf_FAKEFAKE5c0ffee5c0ffee5c0ffee5c0ffee"
"""No token of anybody's; let in everywhere."""
OUTSIDER = "hf_FAKEFAKE0utsider0utsider0utsider0uts"
"""Known, but not let in to gated repositories."""

_RESOLVE = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)")
_API = re.compile(
    r"/api/models/(?P<name>[^/]+/[^/]+)(?:/(?P<kind>revision|tree)/(?P<rev>[^/]+)(?P<sub>/.*)?)?"
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(slots=True)
class Seen:
    """One request. `path` is the file's (or the listing's repository), `range` as it was asked,
    `sent` the body bytes that were given to the socket, `at` seconds of the monotonic clock."""

    where: Where | None
    method: str
    path: str
    query: Mapping[str, str]
    range: str | None
    token: str | None
    at: float
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    status: int | None = None
    done: bool = False
    sent: Sent = field(default_factory=Sent)

    @property
    def authorized(self) -> bool:
        """Whether any credential came along."""
        return self.token is not None


class Hub:
    """Repositories under an endpoint; a context manager, usable from any number of threads.

    `page` is the length of a listing's pages, `url_life_s` how long a signed body address holds,
    `url_uses` how many requests it is good for, `clock_skew_s` how wrong this server's clock is,
    `rate` an upper limit of bytes per second for each body. With `bodies` the signed address leads
    to that server (`URL/<sha256>`) instead of the CDN here; `chunks` is the address of a chunk
    store, to which tokens are handed out.
    """

    def __init__(
        self,
        *repos: Repo,
        page: int = 1000,
        url_life_s: float = 3600.0,
        url_uses: int | None = None,
        clock_skew_s: float = 0.0,
        tls: tuple[Path, Path] | None = None,
        bodies: str | None = None,
        chunks: str | None = None,
        port: int = 0,
    ) -> None:
        self.repos = {repo.name: repo for repo in repos}
        self.page = page
        self.tokens = {TOKEN: True, OUTSIDER: False}
        self.seen: list[Seen] = []
        self._bodies = bodies
        self._chunks = chunks
        self._signer = Signer(url_life_s, url_uses, clock_skew_s)
        self._rules: list[Rule] = []
        self._news = threading.Condition()
        self._api = Listener(self._answer_api, tls, port)
        self._cdn = Listener(self._answer_cdn, tls)

    # what a test says and asks

    @property
    def url(self) -> str:
        """For HF_ENDPOINT."""
        return f"{self._api.scheme}://127.0.0.1:{self._api.port}"

    @property
    def cdn_url(self) -> str:
        """The bodies' origin: another port, and another host name where the certificate lets it."""
        host = "127.0.0.1" if self._cdn.scheme == "https" else _other_name()
        return f"{self._cdn.scheme}://{host}:{self._cdn.port}"

    @property
    def cdn_connections(self) -> int:
        return self._cdn.connections

    def rule(
        self,
        mishap: Mishap,
        where: Where = "cdn",
        pattern: str = "*",
        times: int | None = 1,
        skip: int = 0,
        method: str | None = None,
    ) -> None:
        """Let a mishap strike; rules are tried in the order they were made."""
        with self._news:
            self._rules.append(Rule(mishap, where, pattern, times, skip, method))

    def clear_rules(self) -> None:
        with self._news:
            self._rules.clear()

    def forget(self) -> None:
        """As if nothing had been asked so far."""
        with self._news:
            self.seen.clear()

    def asked(self, *where: Where, path: str | None = None) -> list[Seen]:
        """The requests of these kinds (all), for one file if named."""
        with self._news:
            return [
                s
                for s in self.seen
                if (not where or s.where in where) and (path is None or s.path == path)
            ]

    def sent(self, path: str | None = None) -> int:
        """Body bytes of files given out so far."""
        return sum(s.sent.count for s in self.asked("cdn", "resolve", path=path))

    def wait_sent(self, count: int, timeout_s: float = 20.0) -> int:
        """Return once so many bytes of files were given out."""
        end = time.monotonic() + timeout_s
        while (have := self.sent()) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{have} of {count} bytes were fetched: {self.seen[-5:]}")
            time.sleep(0.005)
        return have

    def drop_connections(self) -> None:
        """Every connection ends now."""
        self._api.hang_up_on_all()
        self._cdn.hang_up_on_all()

    def __enter__(self) -> Hub:
        self._api.start()
        self._cdn.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._api.close()
        self._cdn.close()

    # the two origins

    def _answer_api(self, channel: Channel, request: Request) -> None:
        path = urlsplit(request.target).path
        if found := _RESOLVE.fullmatch(path):
            file = unquote(found["path"])
            seen = self._note("resolve", file, request)
            reply = self._resolve(found["name"], unquote(found["rev"]), file, request, seen.token)
        elif found := _API.fullmatch(path):
            kind: Where = "tree" if found["kind"] == "tree" else "info"
            seen = self._note(kind, found["name"], request)
            reply = self._describe(found, request, seen.token)
        else:
            seen = self._note(None, path, request)
            reply = self._elsewhere(path, seen.token)
        self._play(channel, request, seen, reply)

    def _answer_cdn(self, channel: Channel, request: Request) -> None:
        path = unquote(urlsplit(request.target).path)
        _, owner, name, file = (path.split("/", 3) + [""] * 4)[:4]
        repo = self.repos.get(f"{owner}/{name}")
        entry = None
        if repo is not None:
            entry = next((e for e in repo.entries if e.lfs and e.path == file), None)
        seen = self._note("cdn", entry.path if entry else path, request)
        if entry is None:
            reply = of_bytes(b"<Error><Code>NoSuchKey</Code></Error>", 404)
        elif not self._signer.holds(path, request.query):
            reply = of_bytes(b"<Error><Code>AccessDenied</Code></Error>", 403)
        else:
            reply = _slice(entry.content, request, {"etag": f'"{_storage_id(entry)}"'})
        self._play(channel, request, seen, reply)

    def _note(self, where: Where | None, path: str, request: Request) -> Seen:
        bearer = request.headers.get("authorization")
        token = None if bearer is None else bearer.removeprefix("Bearer ")
        asked = request.headers.get("range")
        seen = Seen(
            where, request.method, path, request.query, asked, token, request.at, request.headers
        )
        with self._news:
            self.seen.append(seen)
            self._news.notify_all()
        return seen

    def _play(self, channel: Channel, request: Request, seen: Seen, reply: Reply) -> None:
        head_only = request.method == "HEAD"
        with self._news:
            rules = list(self._rules)
        where = seen.where
        struck = next(
            (r for r in rules if where and r.takes(where, seen.path, request.method)), None
        )
        seen.status = reply.status
        if struck is None:
            reply.send(channel, seen.sent, head_only)
        else:
            struck.mishap.play(channel, reply, seen.sent, head_only)
        seen.done = True

    # what the Hub says

    def _describe(self, found: re.Match[str], request: Request, token: str | None) -> Reply:
        repo = self.repos.get(unquote(found["name"]))
        if repo is None or (repo.private and not self.tokens.get(token or "")):
            return _error(404 if token else 401, "RepoNotFound", "Repository not found")
        commit = repo.at(unquote(found["rev"] or "main"))
        if commit is None:
            return _error(404, "RevisionNotFound", f"Invalid rev id: {found['rev']}")
        if found["kind"] != "tree":
            return _json({**repo.info(), "sha": commit}, commit)
        return self._tree(repo, commit, found, request)

    def _tree(self, repo: Repo, commit: str, found: re.Match[str], request: Request) -> Reply:
        under = unquote(found["sub"] or "").strip("/")
        rows = [e.listed() for e in repo.entries]
        if request.query.get("recursive", "").lower() not in ("true", "1"):
            rows = [r for r in rows if "/" not in r["path"].removeprefix(under).strip("/")]
        rows += repo.directories()
        rows = [r for r in rows if not under or r["path"].startswith(under + "/")]
        limit = min(self.page, int(request.query.get("limit", self.page)))
        start = int(base64.b64decode(request.query.get("cursor", "") or b"MA=="))
        reply = _json(rows[start : start + limit], commit)
        if start + limit >= len(rows):
            return reply
        cursor = base64.b64encode(str(start + limit).encode()).decode()
        query = {**request.query, "cursor": cursor}
        following = "&".join(f"{k}={quote(v, safe='')}" for k, v in query.items())
        link = f'<{self.url}{urlsplit(request.target).path}?{following}>; rel="next"'
        return _with(reply, link=link)

    def _resolve(
        self, name: str, revision: str, path: str, request: Request, token: str | None
    ) -> Reply:
        repo = self.repos.get(unquote(name))
        if repo is None:
            return _error(404 if token else 401, "RepoNotFound", "Repository not found")
        if refused := self._shut(repo, token):
            return refused
        commit = repo.at(revision)
        if commit is None:
            return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        entry = repo.entry(path)
        if entry is None:
            return _with(_error(404, "EntryNotFound", path), x_repo_commit=commit)
        about = {"x-repo-commit": commit, "accept-ranges": "bytes"}
        if not entry.lfs:
            return _slice(entry.content, request, {**about, "etag": f'"{entry.etag}"'})
        about |= {
            "x-linked-etag": f'"{entry.etag}"',
            "x-linked-size": str(entry.size),
            "etag": f'"{entry.oid}"',
            "location": self._signed(repo, entry),
        }
        return Reply(302, about)

    def _shut(self, repo: Repo, token: str | None) -> Reply | None:
        let_in = self.tokens.get(token or "", False)
        if let_in or not (repo.gated or repo.private):
            return None
        if repo.private:
            return _error(404 if token else 401, "RepoNotFound", "Repository not found")
        message = f"Access to model {repo.name} is restricted."
        return _error(403 if token in self.tokens else 401, "GatedRepo", message)

    def _elsewhere(self, path: str, token: str | None) -> Reply:
        if path == "/api/whoami-v2":
            known = token in self.tokens
            return _json({"name": "tester"}) if known else _error(401, None, "Invalid token")
        if "/xet-read-token/" in path and self._chunks is not None:
            expires = int(time.time()) + 3600
            return _json({"accessToken": "xet", "exp": expires, "casUrl": self._chunks})
        if path == "/api/agent-harnesses":
            return _json({})
        return _error(404, None, "Not Found")

    def _signed(self, repo: Repo, entry: Entry) -> str:
        if self._bodies is not None:
            return f"{self._bodies}/{entry.sha256}"
        path = f"/{repo.name}/{entry.path}"
        return f"{self.cdn_url}{quote(path)}?{self._signer.query(path)}"


def _storage_id(entry: Entry) -> str:
    """The storage host's own name for a content: as long as a sha256, and not it, as on Xet."""
    return hashlib.sha256(f"storage:{entry.oid}".encode()).hexdigest()


def _slice(content: Content, request: Request, headers: Mapping[str, str]) -> Reply:
    """200, 206 or 416 for what was asked of a file."""
    size = content.size
    about = {"content-type": "application/octet-stream", "accept-ranges": "bytes", **headers}
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", headers["etag"]) != headers["etag"]:
        return Reply(200, about, content, 0, size)
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
    else:
        start, end = max(0, size - int(last or 0)), size - 1
    if start >= size or end < start:
        return _with(of_bytes(b"", 416), **{**about, "content-range": f"bytes */{size}"})
    about["content-range"] = f"bytes {start}-{end}/{size}"
    return Reply(206, about, content, start, end - start + 1)


def _json(value: object, commit: str | None = None) -> Reply:
    reply = of_bytes(json.dumps(value).encode(), content_type="application/json; charset=utf-8")
    return reply if commit is None else _with(reply, x_repo_commit=commit)


def _error(status: int, code: str | None, message: str) -> Reply:
    reply = of_bytes(json.dumps({"error": message}).encode(), status)
    about = {"content-type": "application/json", "x-error-message": message}
    return _with(reply, **about, **({} if code is None else {"x-error-code": code}))


def _with(reply: Reply, **headers: str) -> Reply:
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(reply.status, {**reply.headers, **named}, reply.content, reply.start, reply.count)


def _other_name() -> str:
    """`localhost` where that is 127.0.0.1 and nothing else."""
    try:
        found = {row[4][0] for row in socket.getaddrinfo("localhost", None, socket.AF_INET)}
    except OSError:
        found = set()
    return "localhost" if "127.0.0.1" in found else "127.0.0.1"


def main() -> None:
    """Serve until interrupted; the endpoint is the first line of stdout."""
    from tests.servers.hub_cli import serve

    serve()


if __name__ == "__main__":
    main()
