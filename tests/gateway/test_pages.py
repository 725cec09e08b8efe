"""The pages of a gateway: who may open them, what their buttons do, and forms of other sites."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from support.gateway_running import Class, running
from support.service_standin import StandIn, picture

import nbvlm
from nbvlm.errors import AuthenticationError, NotFoundError, QuotaError, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def lesson() -> Iterator[Class]:
    with running(quota={"per_minute": 0, "per_day": 5}) as started:
        started.gateway.joins.renew_teacher()
        yield started


@pytest.fixture
def teacher(lesson: Class) -> httpx.Client:
    browser = lesson.browser()
    code = lesson.gateway.joins.new_teacher_code
    page = send(browser, "/teacher", "/teacher/open", code=code.lower().replace("-", " "))
    assert "Teacher" in page.text
    return browser


def form_of(browser: httpx.Client, path: str) -> str:
    """Return the token of the forms on a page."""
    found = re.search(r'name="form" value="([0-9a-f]+)"', browser.get(path).text)
    assert found is not None
    return found[1]


def send(browser: httpx.Client, page: str, path: str, **values: Any) -> httpx.Response:
    """Send a form as a browser does."""
    headers = {"Origin": str(browser.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    return browser.post(path, data={"form": form_of(browser, page)} | values, headers=headers)


def act(browser: httpx.Client, action: str, **values: Any) -> httpx.Response:
    return send(browser, "/teacher", "/teacher/act", action=action, **values)


def rules(browser: httpx.Client, **changes: Any) -> httpx.Response:
    values = {
        "model": "google/paligemma",
        "models": ["google/paligemma"],
        "tasks": ["detect", "caption", "question"],
        "closes": "",
    }
    return act(browser, "rules", **(values | changes))


def test_a_student_joins_in_the_browser_and_sees_the_token_and_what_is_kept(
    lesson: Class, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = lesson.browser()
    assert "other students cannot" in browser.get("/").text
    wrong = send(browser, "/", "/join", code="nonsense", name="Ada")
    assert (wrong.status_code, "not the code of the class" in wrong.text) == (403, True)
    page = send(browser, "/", "/join", code=lesson.gateway.joins.class_code, name=EVIL).text
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    token = re.search(r'id="token">(nbc-[\w-]+)<', page)[1]
    assert "5 of 5 questions are left" in page
    assert token in browser.get("/").text
    assert browser.get("/teacher").text.count("teacher's code") == 1
    monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
    nbvlm.Client("gateway", api_key=token).ask(picture(), f"detect {EVIL}")


def test_every_page_forbids_scripts_and_frames(lesson: Class, teacher: httpx.Client) -> None:
    for path in ("/", "/teacher"):
        headers = teacher.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    cookie = lesson.browser().get("/teacher").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "<script" not in teacher.get("/teacher").text


def test_forms_of_other_sites_are_refused(lesson: Class, teacher: httpx.Client) -> None:
    form = form_of(teacher, "/teacher")
    own = {"Origin": lesson.origin, "Sec-Fetch-Site": "same-origin"}
    pause = {"action": "pause"}
    for headers, values in (
        (own, pause),
        (own, pause | {"form": "0" * 64}),
        ({"Origin": "https://elsewhere.example"}, pause | {"form": form}),
        ({"Origin": "null"}, pause | {"form": form}),
        ({"Origin": "http://["}, pause | {"form": form}),
        (own | {"Sec-Fetch-Site": "cross-site"}, pause | {"form": form}),
        (own | {"Host": "evil.example"}, pause | {"form": form}),
    ):
        assert teacher.post("/teacher/act", data=values, headers=headers).status_code == 403
    json_ = teacher.post("/teacher/act", json=pause, headers=own)
    assert json_.status_code == 415
    assert not lesson.gateway.rules.now.paused
    stranger = lesson.browser()
    stranger.get("/teacher")
    refused = stranger.post("/teacher/act", data=pause | {"form": form}, headers=own)
    assert refused.status_code == 403
    assert stranger.get("/teacher/usage.csv").status_code == 403
    assert stranger.get("/teacher/wall/1.jpg").status_code == 403
    stranger.cookies.set("nbvlm-gateway", "eyJraW5kIjogInRlYWNoZXIifQ==.00")
    assert "Pause the class" not in stranger.get("/teacher").text


def test_wrong_codes_close_the_door_but_not_to_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as lesson:
        browser = lesson.browser()
        for _ in range(10):
            assert send(browser, "/teacher", "/teacher/open", code="wrong").status_code == 403
        assert send(browser, "/teacher", "/teacher/open", code="wrong").status_code == 429
        code = lesson.gateway.joins.new_teacher_code
        assert "Pause the class" in send(browser, "/teacher", "/teacher/open", code=code).text
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        with pytest.raises(AuthenticationError, match="Too many wrong codes"):
            nbvlm.login(f"{lesson.gateway.joins.class_code}:Ada", "gateway")


def test_a_new_code_of_the_teacher_ends_the_sessions_of_the_old_one() -> None:
    with running() as lesson:
        browser, joins = lesson.browser(), lesson.gateway.joins
        send(browser, "/teacher", "/teacher/open", code=joins.new_teacher_code)
        assert "Pause the class" in browser.get("/teacher").text
        joins.renew_teacher()
        assert "Pause the class" not in browser.get("/teacher").text
        assert browser.get("/teacher/usage.csv").status_code == 403


def test_pause_block_and_more(lesson: Class, teacher: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    student = lesson.client("Emil", monkeypatch)
    number = lesson.gateway.register.named("Emil").id
    assert "paused" in act(teacher, "pause").text
    with pytest.raises(ServerError, match="Your teacher has paused the class"):
        student.ask(picture(), "detect car")
    assert "goes on" in act(teacher, "resume").text
    for _ in range(5):
        student.ask(picture(), "detect car")
    with pytest.raises(QuotaError, match="You have used your 5 questions"):
        student.ask(picture(), "detect car")
    assert "20 more" in act(teacher, "more", id=number).text
    with student.stream(picture(), "detect car") as stream:
        left = [(one.done, one.total) for one in stream if getattr(one, "kind", "") == "quota"]
    assert left == [(19, 25)]
    act(teacher, "block", id=number)
    with pytest.raises(AuthenticationError, match="blocked"):
        student.ask(picture(), "detect car")
    act(teacher, "unblock", id=number)
    assert student.ask(picture(), "detect car").text
    act(teacher, "remove", id=number)
    with pytest.raises(AuthenticationError, match="not known here, or not any more"):
        student.ask(picture(), "detect car")
    assert act(teacher, "remove", id=number).status_code == 404
    assert act(teacher, "__class__").status_code == 400


def test_tasks_models_and_the_closing_time(
    lesson: Class, teacher: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = lesson.client("Noor", monkeypatch)
    rules(teacher, tasks=["caption"])
    with pytest.raises(AuthenticationError, match="does not allow this task now: detect"):
        student.ask(picture(), "detect car")
    with pytest.raises(AuthenticationError, match="question"):
        student.ask(picture(), "Where is the car?")
    assert student.ask(picture(), "caption en").text
    rules(teacher, closes="00:00")
    with pytest.raises(AuthenticationError, match="has closed at 00:00"):
        student.ask(picture(), "detect car")
    assert rules(teacher, closes="25:00").status_code == 400
    assert rules(teacher, model="another").status_code == 400
    assert rules(teacher, tasks=[]).status_code == 400
    rules(teacher)
    assert student.ask(picture(), "detect car").text


def test_another_model_is_never_asked_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = {
        "endpoint": "nvidia",
        "models": ["google/paligemma", "google/gemma-4-31b-it"],
        "key_from": "CLASS_KEY",
    }
    monkeypatch.setenv("CLASS_KEY", "nvapi-of-the-class")
    with running(upstream=upstream) as lesson:
        student = lesson.client("Ada", monkeypatch)
        assert student.endpoint.dialect == "nvidia"
        lesson.gateway.rules.change(model="google/gemma-4-31b-it", models=("google/gemma-4-31b-it",))
        with pytest.raises(
            NotFoundError, match="does not ask google/paligemma now, but google/gemma"
        ) as caught:
            student.ask(picture(), "detect car")
        assert caught.value.alternatives == ("gateway",)
        again = nbvlm.Client("gateway", api_key="nbc-x")
        assert (again.endpoint.dialect, again.endpoint.model) == ("openai", "google/gemma-4-31b-it")
        assert again.endpoint.longest_side == 2048


def test_codes_of_a_list_of_names_are_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(people={"names": ["Ada", "Emil"]}) as lesson:
        monkeypatch.setenv("NBVLM_GATEWAY", lesson.origin)
        joins = lesson.gateway.joins
        assert joins.class_code is None
        codes = {name: code for name, code, _ in joins.personal()}
        browser = lesson.browser()
        assert 'name="name"' not in browser.get("/").text
        assert "You are Ada" in send(browser, "/", "/join", code=codes["Ada"]).text
        replayed = send(lesson.browser(), "/", "/join", code=codes["Ada"])
        assert (replayed.status_code, "used already" in replayed.text) == (409, True)
        teacher = lesson.browser()
        send(teacher, "/teacher", "/teacher/open", code=joins.new_teacher_code)
        assert codes["Emil"] in teacher.get("/teacher").text
        act(teacher, "personal", name="Ada")
        fresh = {name: code for name, code, _ in joins.personal()}
        assert fresh["Ada"] != codes["Ada"]
        assert lesson.gateway.register.named("Ada") is None
        send(lesson.browser(), "/", "/join", code=fresh["Ada"])
        assert lesson.gateway.register.named("Ada") is not None


def test_questions_are_seen_by_the_teacher_as_text_and_exported(
    lesson: Class, teacher: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = lesson.client("=HYPERLINK(1)", monkeypatch)
    student.ask(picture(), f"detect {EVIL}")
    page = teacher.get("/teacher").text
    assert EVIL not in page
    assert "detect &lt;script&gt;" in page
    assert "nbc-" not in page
    rows = list(csv.DictReader(io.StringIO(teacher.get("/teacher/usage.csv").text)))
    mine = next(row for row in rows if row["student"].endswith("HYPERLINK(1)"))
    assert mine["student"].startswith("'=")
    assert (mine["task"], mine["status"], mine["model"]) == ("detect", "answered", "google/paligemma")


def test_pictures_are_kept_only_where_the_wall_is_on(
    lesson: Class, teacher: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = lesson.client("Wall", monkeypatch)
    student.ask(picture(), "detect car")
    assert all(record.thumbnail is None for record in lesson.gateway.dispatcher.recent)
    rules(teacher, wall="on")
    student.ask(picture((300, 200)), "detect wheel")
    assert "A small copy of your pictures is shown" in lesson.browser().get("/").text
    for _ in range(200):
        if found := re.search(r"/teacher/wall/(\d+)\.jpg", teacher.get("/teacher").text):
            break
    image = teacher.get(f"/teacher/wall/{found[1]}.jpg")
    assert (image.headers["content-type"], image.content[:2]) == ("image/jpeg", b"\xff\xd8")
    rules(teacher)
    assert all(record.thumbnail is None for record in lesson.gateway.dispatcher.recent)
    assert teacher.get(f"/teacher/wall/{found[1]}.jpg").status_code == 404


def test_pictures_on_the_wall_go_when_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(StandIn(), wall={"on": True, "minutes": 1}) as lesson:
        lesson.client("Ada", monkeypatch).ask(picture(), "detect car")
        dispatcher = lesson.gateway.dispatcher
        dispatcher.recent[0].thumbnail = b"x"
        assert len(dispatcher.wall()) == 1
        dispatcher.recent[0].at -= 61
        assert dispatcher.wall() == []
        assert dispatcher.recent[0].thumbnail is None
