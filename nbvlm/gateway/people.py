"""Who is who: students and teachers, codes and tokens, sessions of browsers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import unicodedata
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.gateway.config import Config
    from nbvlm.gateway.store import Store

__all__ = ["STUDENT", "TEACHER", "Joins", "NotJoined", "Person", "Register", "Sessions", "digest"]

STUDENT, TEACHER = "student", "teacher"
LONGEST_NAME = 40
LONGEST_TOKEN = 512
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that looks like another


@dataclass(frozen=True, slots=True)
class Person:
    """One student or teacher; `extra_day` and `extra_tokens` add to the quota until `extra_until`."""

    id: int
    name: str
    role: str
    blocked: bool = False
    extra_day: int = 0
    extra_tokens: int = 0
    extra_until: float = 0.0


class NotJoined(Exception):
    """A code or a name that is not accepted; the message is for the student."""

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


def digest(secret: str) -> bytes:
    """Return the digest that is stored instead of a token."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def code() -> str:
    """Make a code that is easily read from a blackboard."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def plain(given: str) -> str:
    """Return a code as it is compared: capital letters without blanks and hyphens."""
    return "".join(one for one in given.upper() if one.isalnum())[:64]


class Register:
    """All students and teachers, in memory and in the store."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store, self._most = store, config.limits.students
        columns = "id, name, role, blocked, extra_day, extra_tokens, extra_until, folded, token"
        self._by_id: dict[int, Person] = {}
        self._by_name: dict[str, int] = {}
        self._by_token: dict[bytes, int] = {}
        for *values, folded, token in store.read(f"SELECT {columns} FROM students"):  # noqa: S608 - constants
            number, name, role, blocked, *extra = values
            person = Person(number, name, role, bool(blocked), *extra)
            self._keep(person, folded)
            if token is not None:
                self._by_token[token] = person.id

    def _keep(self, person: Person, folded: str | None = None) -> Person:
        self._by_id[person.id] = person
        self._by_name[folded or folded_name(person.name)] = person.id
        return person

    def all(self) -> list[Person]:
        """Return everyone, by name."""
        return sorted(self._by_id.values(), key=lambda person: person.name.casefold())

    def get(self, id_: int) -> Person | None:
        """Return the person with this number, or None."""
        return self._by_id.get(id_)

    def named(self, name: str) -> Person | None:
        """Return the person of this name, or None."""
        number = self._by_name.get(folded_name(name))
        return None if number is None else self._by_id[number]

    def of_token(self, token: str) -> Person | None:
        """Return the person whose token this is, or None."""
        if not token or len(token) > LONGEST_TOKEN:
            return None
        number = self._by_token.get(digest(token))
        return None if number is None else self._by_id.get(number)

    def add(self, name: str, role: str = STUDENT, *, with_token: bool = True) -> tuple[Person, str]:
        """Add a person; return the token too, which is kept nowhere.

        Raises
        ------
        NotJoined
            If the class is full.
        """
        if len(self._by_id) >= self._most:
            raise NotJoined("The class is full. Ask your teacher to remove a name.", 403)
        token = f"nbc-{secrets.token_urlsafe(24)}" if with_token else ""
        number = self._store.write(
            "INSERT INTO students (name, folded, role, token, created) VALUES (?, ?, ?, ?, ?)",
            (name, folded_name(name), role, digest(token) if token else None, time.time()),
        )
        person = self._keep(Person(number, name, role))
        if token:
            self._by_token[digest(token)] = number
        return person, token

    def change(self, person: Person, **changes: Any) -> Person:
        """Block, unblock, or raise the quota of a person."""
        changed = replace(person, **changes)
        self._store.write(
            "UPDATE students SET role = ?, blocked = ?, extra_day = ?, extra_tokens = ?, extra_until = ? "
            "WHERE id = ?",
            (
                changed.role,
                changed.blocked,
                changed.extra_day,
                changed.extra_tokens,
                changed.extra_until,
                person.id,
            ),
        )
        return self._keep(changed)

    def revoke(self, person: Person) -> None:
        """Make the token of a person worthless and free the name; the usage stays."""
        gone = f"{folded_name(person.name)}\0{person.id}"
        self._store.write("UPDATE students SET token = NULL, folded = ? WHERE id = ?", (gone, person.id))
        self._by_token = {token: id_ for token, id_ in self._by_token.items() if id_ != person.id}
        self._by_name = {name: id_ for name, id_ in self._by_name.items() if id_ != person.id}
        del self._by_id[person.id]


def folded_name(name: str) -> str:
    """Return a name as it is compared."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def checked_name(name: Any) -> str:
    """Return a name that can be shown.

    Raises
    ------
    NotJoined
        If it is empty, too long, or holds what cannot be shown.
    """
    text = " ".join(unicodedata.normalize("NFC", name).split()) if isinstance(name, str) else ""
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise NotJoined(f"A name has 1 to {LONGEST_NAME} letters.", 422)
    return text


class Attempts:
    """Counts failures by address and in all; too many close the door for a while."""

    def __init__(
        self,
        of_one: int = 10,
        of_all: int = 100,
        within_s: float = 300,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._of_one, self._of_all, self._within_s, self._clock = of_one, of_all, within_s, clock
        self._failed: deque[tuple[float, str]] = deque()

    def allowed(self, peer: str) -> bool:
        """Return whether an address may try."""
        oldest = self._clock() - self._within_s
        while self._failed and self._failed[0][0] < oldest:
            self._failed.popleft()
        own = sum(who == peer for _, who in self._failed)
        return own < self._of_one and len(self._failed) < self._of_all

    def failed(self, peer: str) -> None:
        """Count a failure."""
        self._failed.append((self._clock(), peer))


class Joins:
    """The codes by which students join a gateway that stands alone, and the teacher's code."""

    def __init__(self, store: Store, register: Register, config: Config) -> None:
        self._store, self._register = store, register
        self._names = config.people.names
        self.attempts = Attempts()
        self.new_teacher_code: str | None = None
        if store.setting("teacher") is None:
            self.renew_teacher()
        if store.setting("code") is None:
            store.set("code", code())
        self._code: str = store.setting("code")
        known = {name for (name,) in store.read("SELECT name FROM codes")}
        for name in self._names:
            if name not in known:
                store.write("INSERT INTO codes VALUES (?, ?, NULL)", (code(), name))

    def renew_teacher(self) -> str:
        """Make a new code for the teacher's page; the old one becomes worthless."""
        self.new_teacher_code = f"{code()}-{code()}"
        self._store.set("teacher", digest(plain(self.new_teacher_code)).hex())
        return self.new_teacher_code

    @property
    def class_code(self) -> str | None:
        """The code of the class; None where every name has its own."""
        return None if self._names else self._code

    def personal(self) -> list[tuple[str, str, bool]]:
        """Return the codes of names: name, code, and whether it was used."""
        wanted = set(self._names)
        rows = self._store.read("SELECT name, code, used FROM codes ORDER BY name")
        return [(name, text, used is not None) for name, text, used in rows if name in wanted]

    def renew_class(self) -> None:
        """Make a new code of the class; tokens stay good."""
        self._code = code()
        self._store.set("code", self._code)

    def renew_personal(self, name: str) -> None:
        """Make a new code for a name of the list."""
        self._store.write("DELETE FROM codes WHERE name = ?", (name,))
        self._store.write("INSERT INTO codes VALUES (?, ?, NULL)", (code(), name))

    def check_teacher(self, given: str, peer: str) -> bool:
        """Return whether this is the teacher's code; failures are counted.

        The right code opens the page whatever others have tried: it is too long to be guessed.
        """
        if hmac.compare_digest(digest(plain(given)).hex(), self.teacher_digest):
            return True
        self._check_attempts(peer)
        self.attempts.failed(peer)
        return False

    @property
    def teacher_digest(self) -> str:
        """The stored digest of the teacher's code."""
        return str(self._store.setting("teacher"))

    def join(self, given: Any, name: Any, peer: str) -> tuple[Person, str]:
        """Admit a student by code and name; return the token too.

        Raises
        ------
        NotJoined
            If the code is wrong or used, the name taken, or too many wrong codes came.
        """
        self._check_attempts(peer)
        text = plain(given) if isinstance(given, str) else ""
        if self._names:
            return self._join_by_list(text, peer)
        if not hmac.compare_digest(text.encode(), plain(self._code).encode()):
            self.attempts.failed(peer)
            raise NotJoined("This is not the code of the class.")
        shown = checked_name(name)
        if self._register.named(shown) is not None:
            self.attempts.failed(peer)
            raise NotJoined(
                f"The name {shown} is taken. Choose another, or ask your teacher to free it.", 409
            )
        return self._register.add(shown)

    def _join_by_list(self, text: str, peer: str) -> tuple[Person, str]:
        found = None
        for name, known, used in self.personal():  # compare all, so that the time reveals nothing
            if hmac.compare_digest(text.encode(), plain(known).encode()):
                found = name, known, used
        if found is None:
            self.attempts.failed(peer)
            raise NotJoined("This code is not known.")
        name, known, used = found
        if used or self._register.named(name) is not None:
            self.attempts.failed(peer)
            raise NotJoined("This code was used already. Ask your teacher for another.", 409)
        person, token = self._register.add(name)
        self._store.write("UPDATE codes SET used = ? WHERE code = ?", (time.time(), known))
        return person, token

    def _check_attempts(self, peer: str) -> None:
        if not self.attempts.allowed(peer):
            raise NotJoined("Too many wrong codes came. Wait five minutes.", 429)


class Sessions:
    """Signed cookies of browsers: whose they are and until when; nothing is kept for them."""

    LIFE_S = 12 * 3600

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        if store.setting("secret") is None:
            store.set("secret", secrets.token_hex(32))
        self._secret = bytes.fromhex(store.setting("secret"))
        self._clock = clock

    def cookie(self, **values: Any) -> str:
        """Return the value of a cookie."""
        body = json.dumps(values | {"until": self._clock() + self.LIFE_S, "nonce": secrets.token_hex(8)})
        text = base64.urlsafe_b64encode(body.encode()).decode()
        return f"{text}.{self._sign('cookie', text)}"

    def read(self, cookie: str | None) -> dict[str, Any] | None:
        """Return the values of a cookie; None if it is not ours or too old."""
        text, _, signature = (cookie or "").rpartition(".")
        if (
            not text
            or len(text) > 4096
            or not hmac.compare_digest(signature.encode(), self._sign("cookie", text).encode())
        ):
            return None
        values: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text))
        return values if values["until"] > self._clock() else None

    def form_token(self, cookie: str) -> str:
        """Return the token that forms of this session carry, so that other sites cannot send them."""
        return self._sign("form", cookie)

    def is_form_token(self, cookie: str, given: str) -> bool:
        """Return whether a form comes from a page of this session."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.form_token(cookie).encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}\n{text}".encode(), "sha256").hexdigest()
