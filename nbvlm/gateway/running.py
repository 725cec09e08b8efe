"""A whole gateway: who is who, the protocol, the pages, and the server that runs it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from nbvlm._optional import require
from nbvlm.demo import service
from nbvlm.demo.service import SERVED, Refusal, asgi_server, network, read_body, request_head
from nbvlm.errors import Error
from nbvlm.gateway import pages
from nbvlm.gateway.api import Api, note
from nbvlm.gateway.dispatcher import Dispatcher
from nbvlm.gateway.hub import Hub
from nbvlm.gateway.people import (
    STUDENT,
    TEACHER,
    Attempts,
    Joins,
    NotJoined,
    Person,
    Register,
    Sessions,
    digest,
)
from nbvlm.gateway.questions import task_of
from nbvlm.gateway.quotas import Refused
from nbvlm.gateway.rules import RuleBook
from nbvlm.gateway.store import Store
from nbvlm.gateway.teacher import Teacher
from nbvlm.gateway.upstream import Upstream
from nbvlm.images import Picture

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from nbvlm.demo.service import Limits, Request
    from nbvlm.gateway.config import Config

__all__ = ["Gateway", "application", "hub_of", "server"]

COOKIE = "nbvlm-gateway"
_STATE = "nbvlm-gateway-state"
_FORM_MOST = 64 * 1024
_MIB = 1024 * 1024
_SAMPLE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


class Gateway:
    """All parts of one gateway.

    Parameters
    ----------
    config
        The configuration.
    hub
        The JupyterHub that started it; None for a gateway that stands alone.
    hosts
        The names that requests may use; None for any.

    Raises
    ------
    Error
        If something that the configuration names cannot be used.
    """

    def __init__(
        self, config: Config, hub: Hub | None = None, *, hosts: Collection[str] | None = None
    ) -> None:
        self.config, self.hub, self.hosts = config, hub, hosts
        self.prefix = hub.prefix if hub is not None else ""
        self.upstream = Upstream(config)
        self.store = Store(_path(config))
        _tidy(self.store, config)
        self.register = Register(self.store, config)
        self.joins = Joins(self.store, self.register, config) if hub is None else None
        self.sessions = Sessions(self.store)
        self.rules = RuleBook(self.store, config, self.upstream.models)
        self.dispatcher = Dispatcher(config, self.store, self.rules, self.upstream)
        self.limits = _limits(config, behind_proxy=hub is not None)
        self.public = config.listen.public_url.rstrip("/")
        self.api = Api(
            self.dispatcher,
            self.limits,
            self.identify,
            prefix=self.prefix,
            public=self.public,
            note=config.class_.notice or "Your teacher can see your questions.",
        )
        self._attempts = Attempts(of_one=60, of_all=1000, within_s=60)
        self.address = self.public  # shown to people; the server sets it where it is not configured

    # Who is who

    async def identify(self, head: Request) -> Person:
        """Return who sends a request with a token.

        Raises
        ------
        Refused
            If the token is missing or wrong.
        """
        self.check_host(head)
        scheme, _, token = head.header("authorization").partition(" ")
        token = token.strip()
        if scheme.lower() not in ("bearer", "token") or not token:
            raise Refused(401, "This class needs a token")
        peer = network(head.peer)
        if self.hub is None:
            if (person := self.register.of_token(token)) is not None:
                return person  # whatever others of the same address or class have tried
            if not self._attempts.allowed(peer):
                raise Refused(429, "Too many wrong tokens came from this computer", 60)
            self._attempts.failed(peer)
            raise Refused(401, "This token is not known here, or not any more")
        try:
            user = await self.hub.of_token(token)
        except ConnectionError:
            raise Refused(503, "The JupyterHub does not answer", 5) from None
        if user is None:
            raise Refused(401, "The JupyterHub does not know this token, or does not allow it here")
        return self.of_user(user.name, TEACHER if user.is_teacher else STUDENT)

    def of_user(self, name: str, role: str) -> Person:
        """Return the person of a user of the hub, who is added at the first time."""
        person = self.register.named(name)
        if person is None:
            try:
                person, _ = self.register.add(name, role, with_token=False)
            except NotJoined as full:
                raise Refused(full.status, str(full)) from None
        elif person.role != role:
            person = self.register.change(person, role=role)
        return person

    def check_host(self, head: Request) -> None:
        """Refuse a request under a name that is not the gateway's, as after DNS rebinding."""
        name = head.host_name
        if self.hosts is not None and name not in self.hosts:
            raise Refused(403, f"'{name[:64]}' is not a name of this gateway; [listen] hosts adds names")

    async def warm(self) -> None:
        """Warm up, so that the first question waits no longer than the others."""
        picture = Picture.load(_SAMPLE)
        await asyncio.to_thread(lambda: picture.thumbnail(8))
        for model in self.upstream.models:
            task_of("detect cat", model)
        await self.upstream.warm(picture)

    async def close(self) -> None:
        """End everything that is under way, and close the store."""
        await self.dispatcher.close()
        self.store.close()


def hub_of(config: Config) -> Hub | None:
    """Return the JupyterHub that started this process, or None."""
    return Hub(config.people) if Hub.is_there() else None


def _path(config: Config) -> Path | None:
    if not config.store.file:
        return None
    path = config.folder / config.store.file
    if not path.parent.is_dir():
        raise Error(f"The folder of {path} does not exist.", hint="Make it, or name another [store] file.")
    return path


def _tidy(store: Store, config: Config) -> None:
    """Mark the unfinished questions of a killed process, and delete old data."""
    store.write("UPDATE usage SET ended = ?, status = 'interrupted' WHERE ended IS NULL", (time.time(),))
    oldest = time.time() - config.store.days * 86_400
    store.write("DELETE FROM usage WHERE started < ?", (oldest,))
    store.write("DELETE FROM students WHERE created < ? AND id NOT IN (SELECT student FROM usage)", (oldest,))


def _limits(config: Config, *, behind_proxy: bool) -> Limits:
    limits = config.limits
    body, bodies = limits.body_mb * _MIB, max(limits.bodies_mb, limits.body_mb) * _MIB
    return replace(
        SERVED,
        body=body,
        bodies=bodies,
        bodies_of_caller=min(bodies, max(body, 32 * _MIB)),
        store=limits.uploads_mb * _MIB,
        store_of_caller=min(48, limits.uploads_mb) * _MIB,
        connections=limits.connections,
        # A proxy opens the connections of all students, and so may the router of a school.
        connections_of_peer=limits.connections if behind_proxy else max(limits.connections // 2, 8),
    )


class _Door:
    """The pages that students and teachers open in a browser."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._teacher = Teacher(gateway)
        self._responses = require("starlette.responses", extra="gateway", purpose="The gateway")

    def html(self, text: str, status: int = 200) -> Any:
        """Return a page with all its protections."""
        return self._responses.HTMLResponse(text, status, headers=pages.HEADERS)

    def to(self, path: str) -> Any:
        """Send the browser to another page of the gateway."""
        return self._responses.RedirectResponse(self._gateway.prefix + path, 303, headers=pages.HEADERS)

    async def style(self, _request: Any) -> Any:
        """`GET /style.css`."""
        headers = {"cache-control": "max-age=300", "x-content-type-options": "nosniff"}
        return self._responses.FileResponse(pages.STYLE, media_type="text/css", headers=headers)

    async def nothing(self, _request: Any) -> Any:
        """`GET /favicon.ico`, which browsers ask for by themselves."""
        return self._responses.Response(status_code=204, headers={"cache-control": "max-age=86400"})

    # Sessions

    def session(self, request: Any) -> tuple[str, dict[str, Any]]:
        """Return a browser's session cookie and its values; both are empty without a valid cookie."""
        cookie = request.cookies.get(COOKIE, "")
        return (cookie, values) if (values := self._gateway.sessions.read(cookie)) else ("", {})

    def with_session(self, request: Any, response: Any, cookie: str) -> Any:
        """Give a browser its cookie."""
        self._set_cookie(request, response, COOKIE, cookie, Sessions.LIFE_S)
        return response

    def _set_cookie(self, request: Any, response: Any, name: str, value: str, life_s: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=life_s,
            path=self._gateway.prefix or "/",
            secure=self._is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def _is_secure(self, request: Any) -> bool:
        forwarded = request.headers.get("x-forwarded-proto", "") if self._gateway.hub is not None else ""
        return bool((forwarded.partition(",")[0].strip() or request.url.scheme) == "https")

    def visitor(self, request: Any, make: Any, status: int = 200) -> Any:
        """Show a page with a form to a browser that has no session yet."""
        cookie, _ = self.session(request)
        fresh = cookie or self._gateway.sessions.cookie(kind="visitor")
        return self.with_session(
            request, self.html(make(self._gateway.sessions.form_token(fresh)), status), fresh
        )

    async def form(self, request: Any) -> dict[str, list[str]]:
        """Read a form, if it comes from a page of this session.

        Raises
        ------
        Refused
            If it does not.
        """
        head = request_head(request.scope)
        self._gateway.check_host(head)
        if head.is_foreign or head.header("sec-fetch-site").lower() == "none":
            raise Refused(403, "This form does not come from a page of the gateway")
        if head.content_type != "application/x-www-form-urlencoded":
            raise Refused(415, "A form of the gateway's pages is expected")
        body = await read_body(head, request.receive, _FORM_MOST, self._gateway.limits)
        try:
            values = parse_qs(body.decode("utf-8", "replace"), max_num_fields=200)
        except ValueError:
            raise Refused(400, "This form has too many fields: open the page again") from None
        cookie, _ = self.session(request)
        if not cookie or not self._gateway.sessions.is_form_token(cookie, values.get("form", [""])[0]):
            raise Refused(403, "This form is too old: open the page again")
        return values

    def person(self, request: Any) -> Person | None:
        """Return the student of a browser's session, or None."""
        _, values = self.session(request)
        number = values.get("id")
        return self._gateway.register.get(number) if isinstance(number, int) else None

    def is_teacher(self, request: Any) -> bool:
        """Return whether a browser's session is a teacher's."""
        _, values = self.session(request)
        if self._gateway.hub is None:
            return values.get("kind") == TEACHER and values.get("by") == self._teacher_mark()
        person = self.person(request)
        return person is not None and person.role == TEACHER

    def _teacher_mark(self) -> str:
        """Return the part of the code that a teacher's session holds: a new code ends old sessions."""
        joins = self._gateway.joins
        return digest(joins.teacher_digest).hex()[:16] if joins is not None else ""

    # Students

    async def home(self, request: Any) -> Any:
        """`GET /`: join, or see how to ask and the remaining quota."""
        self._gateway.check_host(request_head(request.scope))
        gateway, person = self._gateway, self.person(request)
        _, values = self.session(request)
        if person is None and gateway.hub is not None:
            return self.sign_in(request, "/")
        if person is None:
            return self.visitor(request, lambda form: self._join_page(form))
        text = pages.student_page(
            gateway.config,
            gateway.rules.now,
            prefix=gateway.prefix,
            name=person.name,
            address=gateway.address or f"{request.url.scheme}://{request.url.netloc}",
            token=str(values.get("token", "")),
            left=gateway.dispatcher.quotas.left(person),
            teacher=gateway.hub is not None and person.role == TEACHER,
        )
        return self.html(text)

    def _join_page(self, form: str, wrong: str = "") -> str:
        gateway = self._gateway
        with_name = gateway.joins is not None and gateway.joins.class_code is not None
        return pages.join_page(
            gateway.config,
            gateway.rules.now,
            prefix=gateway.prefix,
            form=form,
            with_name=with_name,
            wrong=wrong,
        )

    async def join(self, request: Any) -> Any:
        """`POST /join`: from the page as a form, or from `nbvlm.login` as JSON."""
        gateway = self._gateway
        head = request_head(request.scope)
        peer = network(head.peer)
        if gateway.joins is None:
            raise Refused(404, "Students sign in at the JupyterHub")
        if head.content_type == "application/json":
            gateway.check_host(head)
            if head.header("origin") or head.header("sec-fetch-site", "none").lower() != "none":
                raise Refused(403, "Web pages cannot join a class")
            body = await read_body(head, request.receive, _FORM_MOST, gateway.limits)
            values = service.read_json(replace(head, body=body))
            try:
                _, token = gateway.joins.join(values.get("code"), values.get("name"), peer)
            except NotJoined as reason:
                raise Refused(reason.status, str(reason).rstrip(".")) from None
            return self._responses.JSONResponse({"token": token}, headers={"cache-control": "no-store"})
        form = await self.form(request)
        try:
            person, token = gateway.joins.join(form.get("code", [""])[0], form.get("name", [""])[0], peer)
        except NotJoined as reason:
            wrong = str(reason)
            return self.visitor(request, lambda token: self._join_page(token, wrong), reason.status)
        cookie = gateway.sessions.cookie(kind=STUDENT, id=person.id, token=token)
        return self.with_session(request, self.to("/"), cookie)

    # Sign-in at a hub

    def sign_in(self, request: Any, path: str) -> Any:
        """Send a browser to the hub."""
        hub = self._gateway.hub
        assert hub is not None  # noqa: S101 - only called behind a hub
        address, state = hub.begin(path)
        response = self._responses.RedirectResponse(address, 302, headers=pages.HEADERS)
        self._set_cookie(request, response, _STATE, state, 600)
        return response

    async def callback(self, request: Any) -> Any:
        """`GET /oauth_callback`: the hub sends a browser back."""
        hub = self._gateway.hub
        code, state = request.query_params.get("code", ""), request.query_params.get("state", "")
        if hub is None:
            raise Refused(404, "This gateway runs without a JupyterHub: join with the code of your class")
        if not code or not state or state != request.cookies.get(_STATE):
            raise Refused(403, "The sign-in was not begun in this browser: open the page again")
        try:
            user, path = await hub.finish(code, state)
        except ConnectionError:
            raise Refused(403, "The JupyterHub did not accept the sign-in: open the page again") from None
        if user is None:
            raise Refused(403, "The JupyterHub does not allow you to use the gateway")
        person = self._gateway.of_user(user.name, TEACHER if user.is_teacher else STUDENT)
        cookie = self._gateway.sessions.cookie(kind=person.role, id=person.id)
        response = self.with_session(request, self.to(path if path in ("/", "/teacher") else "/"), cookie)
        response.delete_cookie(_STATE, path=self._gateway.prefix or "/")
        return response

    # The teacher

    def _closed_door(self, request: Any, wrong: str = "", status: int = 403) -> Any:
        gateway = self._gateway
        if gateway.hub is not None:
            if self.person(request) is None:
                return self.sign_in(request, "/teacher")
            raise Refused(403, "This page is for teachers")
        return self.visitor(
            request,
            lambda form: pages.teacher_door(gateway.config, prefix=gateway.prefix, form=form, wrong=wrong),
            status if wrong else 200,
        )

    async def open(self, request: Any) -> Any:
        """`POST /teacher/open`: the teacher's code."""
        gateway, form = self._gateway, await self.form(request)
        if gateway.joins is None:
            raise Refused(404, "Teachers sign in at the JupyterHub")
        try:
            good = gateway.joins.check_teacher(
                form.get("code", [""])[0], network(request_head(request.scope).peer)
            )
        except NotJoined as reason:
            return self._closed_door(request, str(reason), reason.status)
        if not good:
            return self._closed_door(request, "This is not the teacher's code.")
        return self.with_session(
            request, self.to("/teacher"), gateway.sessions.cookie(kind=TEACHER, by=self._teacher_mark())
        )

    async def teacher(self, request: Any) -> Any:
        """`GET /teacher`."""
        self._gateway.check_host(request_head(request.scope))
        if not self.is_teacher(request):
            return self._closed_door(request)
        cookie, _ = self.session(request)
        view = await self._teacher.view(
            form=self._gateway.sessions.form_token(cookie),
            said=request.query_params.get("said", ""),
            every=10 if request.query_params.get("every") == "10" else 0,
            address=self._gateway.address or f"{request.url.scheme}://{request.url.netloc}",
        )
        return self.html(pages.teacher_page(view))

    async def act(self, request: Any) -> Any:
        """`POST /teacher/act`: a button or the form of the rules."""
        if not self.is_teacher(request):
            raise Refused(403, "This page is for teachers")
        form = await self.form(request)
        name, place = await self._teacher.act(form)
        return self.to(f"/teacher?said={name}#{place}")

    async def usage(self, request: Any) -> Any:
        """`GET /teacher/usage.csv`."""
        if not self.is_teacher(request):
            raise Refused(403, "This page is for teachers")
        text = await self._teacher.csv()
        headers = pages.HEADERS | {"content-disposition": 'attachment; filename="usage.csv"'}
        return self._responses.Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    async def thumbnail(self, request: Any) -> Any:
        """`GET /teacher/wall/….jpg`."""
        if not self.is_teacher(request):
            raise Refused(403, "This page is for teachers")
        number = request.path_params["number"]
        found = [one for one in self._gateway.dispatcher.wall() if one.id == number]
        if not found or found[0].thumbnail is None:
            raise Refused(404, "This picture was deleted")
        return self._responses.Response(found[0].thumbnail, media_type="image/jpeg", headers=pages.HEADERS)


def application(gateway: Gateway) -> Any:
    """Return the ASGI application of a gateway.

    Raises
    ------
    Error
        If Starlette is not installed.
    """
    starlette = require("starlette.applications", extra="gateway", purpose="The gateway")
    routing = require("starlette.routing", extra="gateway", purpose="The gateway")
    door = _Door(gateway)

    async def refused(request: Any, error: Any) -> Any:
        status, sentence = getattr(error, "status", 500), str(error)
        if isinstance(error, Refusal):
            status, sentence = error.reply.status, "The form could not be read"
        note(status, request.method, request.url.path)
        if request.url.path.endswith("/join") and "json" in request.headers.get("content-type", ""):
            return door._responses.JSONResponse({"detail": f"{sentence}."}, status)  # noqa: SLF001 - a helper of this module
        body = f"<h1>{pages.e(gateway.config.class_.title)}</h1>{pages.message(f'{sentence}.', bad=True)}"
        body += f'<p><a href="{pages.e(gateway.prefix)}/">To the first page</a></p>'
        return door.html(pages.page("Refused", body, gateway.prefix), status)

    async def invalid(request: Any, _error: Any) -> Any:
        return await refused(request, Refused(400, "The request could not be read"))

    route = routing.Route
    routes = [
        route("/", door.home),
        route("/style.css", door.style),
        route("/favicon.ico", door.nothing),
        route("/join", door.join, methods=["POST"]),
        route("/oauth_callback", door.callback),
        route("/teacher", door.teacher),
        route("/teacher/open", door.open, methods=["POST"]),
        route("/teacher/act", door.act, methods=["POST"]),
        route("/teacher/usage.csv", door.usage),
        route("/teacher/wall/{number:int}.jpg", door.thumbnail),
    ]
    if gateway.prefix:
        routes = [routing.Mount(gateway.prefix, routes=routes)]

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> Any:
        await gateway.warm()
        keeping = asyncio.get_running_loop().create_task(gateway.store.keep_short())
        try:
            yield
        finally:
            keeping.cancel()
            await gateway.close()

    handlers = {Refused: refused, Refusal: refused, service.Invalid: invalid}
    site = starlette.Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return _Application(site, gateway)


class _Application:
    """Sends requests of the protocol to the protocol, each token by the shortest way, and all others on."""

    def __init__(self, site: Any, gateway: Gateway) -> None:
        self._site, self._api = site, gateway.api
        self._starts = tuple(f"{gateway.prefix}/{name}/" for name in ("v1", "v2", "s3"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_protocol = scope["type"] == "http" and scope["path"].startswith(self._starts)
        await (self._api if is_protocol else self._site)(scope, receive, send)


def server(gateway: Gateway) -> Any:
    """Return a uvicorn server of a gateway; run it with `run(sockets=[listener])`."""
    listen, options = gateway.config.listen, {}
    if listen.tls_certificate:
        options = {
            "ssl_certfile": str(gateway.config.folder / listen.tls_certificate),
            "ssl_keyfile": str(gateway.config.folder / listen.tls_key),
        }
    return asgi_server(
        application(gateway),
        gateway.limits,
        extra="gateway",
        purpose="The gateway",
        graceful_s=gateway.config.limits.shutdown_s,
        lifespan="on",
        **options,
    )
