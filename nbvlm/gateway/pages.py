"""The pages of a gateway as HTML: plain forms and tables, readable by eye, keyboard and screen reader.

Everything that people or models have written is escaped.
"""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._text import duration, shorten, visible
from nbvlm.gateway.rules import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbvlm.gateway.config import Config
    from nbvlm.gateway.dispatcher import Record
    from nbvlm.gateway.rules import Rules

__all__ = ["HEADERS", "STYLE", "join_page", "page", "privacy", "student_page", "teacher_door", "teacher_page"]

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
STYLE = Path(__file__).with_name("page.css")


def e(text: object, most: int = 2000) -> str:
    """Escape a text, with control characters as visible escapes."""
    return escape(shorten(visible(str(text)), most))


def page(title: str, body: str, prefix: str, *, every: int = 0) -> str:
    """Return a whole page; with `every` it loads itself again after so many seconds."""
    again = f'<meta http-equiv="refresh" content="{every}">' if every else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{e(title)}</title>{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="{e(prefix)}/style.css"></head>'
        f'<body><a class="skip" href="#main">Skip to the content</a><main id="main">{body}</main></body></html>'
    )


def message(text: str, *, bad: bool = False) -> str:
    """Return a sentence that a screen reader says at once."""
    if not text:
        return ""
    return f'<p class="message{" bad" if bad else ""}" role="{"alert" if bad else "status"}">{e(text)}</p>'


def hidden(**values: str) -> str:
    """Return hidden fields of a form."""
    return "".join(
        f'<input type="hidden" name="{name}" value="{e(value)}">' for name, value in values.items()
    )


def privacy(config: Config, rules: Rules) -> str:
    """Say which of a student's data the teacher sees and the gateway stores."""
    pictures = (
        f"A small copy of your pictures is shown on the teacher's page for {config.wall.minutes} minutes"
        if rules.wall
        else "Your pictures are not kept"
    )
    return (
        "Your teacher can see your questions and answers while the gateway runs; other students cannot. "
        f"{pictures}. Your name, the times and the counts of your questions are kept for {config.store.days} days."
    )


def join_page(
    config: Config, rules: Rules, *, prefix: str, form: str, with_name: bool, wrong: str = ""
) -> str:
    """Return the page on which a student joins."""
    name = (
        '<div class="field"><label for="name">Your name</label>'
        '<input type="text" id="name" name="name" required maxlength="40" autocomplete="nickname"></div>'
        if with_name
        else ""
    )
    body = (
        f"<h1>{e(config.class_.title)}</h1>{message(wrong, bad=True)}"
        f'<form method="post" action="{e(prefix)}/join">{hidden(form=form)}'
        '<div class="field"><label for="code">Code from your teacher</label>'
        '<input type="text" id="code" name="code" required maxlength="40" autocomplete="off" autocapitalize="characters">'
        f'</div>{name}<p><button class="main">Join</button></p></form>'
        f'<p>{e(privacy(config, rules))}</p><p><a href="{e(prefix)}/teacher">For the teacher</a></p>'
    )
    return page(config.class_.title, body, prefix)


def student_page(
    config: Config,
    rules: Rules,
    *,
    prefix: str,
    name: str,
    address: str,
    token: str,
    left: tuple[int, int] | None,
    teacher: bool = False,
) -> str:
    """Return the page of a student: how to ask, and the remaining quota."""
    quota = (
        f"{left[0]} of {left[1]} questions are left today."
        if left
        else "You may ask as many questions as you like today."
    )
    if token:
        how = (
            "<h2>How to ask</h2><p>Your token, which stands for you. Do not write it into a notebook.</p>"
            f'<p><span class="code" id="token">{e(token)}</span></p>'
            "<p>On the computer with your notebook, set the address before Jupyter starts:</p>"
            f"<pre><code>export NBVLM_GATEWAY={e(address)}</code></pre>"
            "<p>In the notebook, paste the token when you are asked for it:</p>"
            '<pre><code>import nbvlm\nnbvlm.login(service="gateway")\nnbvlm.Panel()</code></pre>'
        )
    else:
        how = (
            "<h2>How to ask</h2><p>Your server knows the gateway already.</p>"
            "<pre><code>import nbvlm\nnbvlm.Panel()</code></pre>"
        )
    door = f'<p><a href="{e(prefix)}/teacher">The teacher\'s page</a></p>' if teacher else ""
    body = (
        f"<h1>{e(config.class_.title)}</h1><p>You are {e(name)}. The class asks <code>{e(rules.model)}</code>. "
        f"{e(quota)}</p>{how}<h2>What is seen and kept</h2><p>{e(privacy(config, rules))}</p>{door}"
    )
    return page(f"{name} · {config.class_.title}", body, prefix)


def teacher_door(config: Config, *, prefix: str, form: str, wrong: str = "") -> str:
    """Return the page that asks for the teacher's code."""
    body = (
        f"<h1>The teacher's page of {e(config.class_.title)}</h1>{message(wrong, bad=True)}"
        f'<form method="post" action="{e(prefix)}/teacher/open">{hidden(form=form)}'
        '<div class="field"><label for="code">The teacher\'s code, which was printed when the gateway started</label>'
        '<input type="password" id="code" name="code" required maxlength="60" autocomplete="current-password"></div>'
        '<p><button class="main">Open</button></p></form>'
    )
    return page(f"Teacher · {config.class_.title}", body, prefix)


def teacher_page(view: dict[str, Any]) -> str:
    """Return the teacher's page; `view` is what `nbvlm.gateway.teacher.Teacher.view` collects."""
    prefix, config, rules = view["prefix"], view["config"], view["rules"]
    again = (
        f'<a href="{e(prefix)}/teacher">Stop refreshing</a>'
        if view["every"]
        else f'<a href="{e(prefix)}/teacher?every=10">Refresh every 10 seconds</a>'
    )
    nav = (
        f'<nav aria-label="On this page" class="row"><a href="{e(prefix)}/teacher">Refresh</a> {again} '
        '<a href="#students">Students</a> <a href="#rules">Rules</a> <a href="#codes">Codes</a> '
        f'<a href="#questions">Questions</a> <a href="#wall">Wall</a> <a href="{e(prefix)}/teacher/usage.csv">'
        "Usage as CSV</a></nav>"
    )
    body = "".join(
        [
            f"<h1>{e(config.class_.title)}</h1>{message(view['said'])}",
            nav,
            _state(view),
            _facts(view["facts"]),
            _students(view),
            _rules(view),
            _codes(view),
            _questions(view["recent"]),
            _wall(view, rules),
            _errors(view["errors"]),
        ]
    )
    return page(f"Teacher · {config.class_.title}", body, prefix, every=view["every"])


def _act(
    view: dict[str, Any], action: str, label: str, *, main: bool = False, says: str = "", **values: Any
) -> str:
    """Return a button that does something; `says` completes its name for a screen reader."""
    spoken = f' aria-label="{e(label)} {e(says)}"' if says else ""
    fields = hidden(form=view["form"], action=action, **{name: str(value) for name, value in values.items()})
    kind = ' class="main"' if main else ""
    return f'<form method="post" action="{e(view["prefix"])}/teacher/act">{fields}<button{kind}{spoken}>{e(label)}</button></form>'


def _state(view: dict[str, Any]) -> str:
    rules = view["rules"]
    if rules.is_closed():
        state = f'<span class="bad">closed since {e(rules.closes)}</span>'
    elif rules.paused:
        state = '<span class="bad">paused</span>'
    else:
        state = '<span class="good">open</span>'
    button = (
        _act(view, "resume", "Go on", main=True)
        if rules.paused
        else _act(view, "pause", "Pause the class", main=True)
    )
    return (
        f'<div class="row"><p>The class is {state} and asks <code>{e(rules.model)}</code>.</p>{button}</div>'
        f'<p class="dim">{e(view["upstream"])}</p>'
    )


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<div><dt>{e(name)}</dt><dd>{e(value)}</dd></div>" for name, value in facts)
    return f'<h2 id="now">Now</h2><dl class="facts">{cells}</dl>'


def _table(caption: str, heads: Iterable[str], rows: Sequence[str], empty: str) -> str:
    if not rows:
        return f"<p>{e(empty)}</p>"
    head = "".join(f'<th scope="col">{e(name)}</th>' for name in heads)
    return (
        f'<div class="scroll" role="region" aria-label="{e(caption)}" tabindex="0"><table><caption>{e(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _students(view: dict[str, Any]) -> str:
    rows = []
    for one in view["students"]:
        person = one["person"]
        who = {"id": person.id, "says": person.name}
        more = _act(view, "more", "20 more", **who)
        gate = (
            _act(view, "unblock", "Unblock", **who) if person.blocked else _act(view, "block", "Block", **who)
        )
        free = _act(view, "remove", "Remove", **who) if view["alone"] else ""
        state = '<span class="bad">blocked</span>' if person.blocked else e(one["state"])
        rows.append(
            f'<tr><th scope="row">{e(person.name)}</th><td>{state}</td>'
            f'<td class="number">{one["questions"]}</td><td class="number">{e(one["left"])}</td>'
            f'<td class="number">{one["tokens"]}</td><td class="number">{one["waiting"]}</td>'
            f"<td>{more}{gate}{free}</td></tr>"
        )
    heads = ("Name", "State", "Questions today", "Left", "Tokens today", "Waiting", "Actions")
    table = _table("Students, today", heads, rows, "No student has joined yet.")
    return f'<h2 id="students">Students</h2>{table}'


def _rules(view: dict[str, Any]) -> str:
    rules, models = view["rules"], view["models"]
    choice = "".join(
        f'<label><input type="radio" name="model" value="{e(name)}"{_checked(name == rules.model)}> {e(name)}</label>'
        for name in models
    )
    allowed = "".join(
        f'<label><input type="checkbox" name="models" value="{e(name)}"{_checked(name in rules.models)}> {e(name)}</label>'
        for name in models
    )
    tasks = "".join(
        f'<label><input type="checkbox" name="tasks" value="{name}"{_checked(name in rules.tasks)}> {e(words)}</label>'
        for name, words in TASKS.items()
    )
    minutes = view["config"].wall.minutes
    return (
        f'<h2 id="rules">Rules</h2><form method="post" action="{e(view["prefix"])}/teacher/act">'
        f"{hidden(form=view['form'], action='rules')}"
        f"<fieldset><legend>The model of the class</legend>{choice}</fieldset>"
        f"<fieldset><legend>Models that may be asked</legend>{allowed}</fieldset>"
        f"<fieldset><legend>Tasks that may be asked</legend>{tasks}</fieldset>"
        '<div class="field"><label for="closes">Closing time, empty for none</label>'
        f'<input type="time" id="closes" name="closes" value="{e(rules.closes)}"></div>'
        f'<p><label><input type="checkbox" name="wall" value="on"{_checked(rules.wall)}> Show the last answers with '
        f"small pictures on this page, each for {minutes} minutes (students can read that you do)</label></p>"
        '<p><button class="main">Save the rules</button></p></form>'
    )


def _checked(yes: bool) -> str:
    return " checked" if yes else ""


def _codes(view: dict[str, Any]) -> str:
    if not view["alone"]:
        return '<h2 id="codes">Codes</h2><p>Students sign in at the JupyterHub and need no codes.</p>'
    if view["code"] is not None:
        body = (
            f'<p>The code of the class, for {e(view["address"])}:</p><p class="row"><span class="code large">{e(view["code"])}'
            f"</span></p>{_act(view, 'code', 'Make a new code')}"
            "<p>Students who have joined stay in the class.</p>"
        )
    else:
        rows = [
            f'<tr><th scope="row">{e(name)}</th><td><span class="code">{e(code)}</span></td>'
            f"<td>{'used' if used else 'not used yet'}</td>"
            f"<td>{_act(view, 'personal', 'New code', name=name, says=f'for {name}')}</td></tr>"
            for name, code, used in view["personal"]
        ]
        body = _table(
            "Codes, each for one student and once", ("Name", "Code", "State", "Actions"), rows, "No names."
        )
    return f'<h2 id="codes">Codes</h2>{body}'


def _questions(recent: Sequence[Record]) -> str:
    rows = [
        f"<tr><td>{time.strftime('%H:%M:%S', time.localtime(one.at))}</td><td>{e(one.name)}</td>"
        f'<td><div class="text">{e(one.prompt, 300)}</div></td><td><div class="text">{e(one.text, 300)}</div></td>'
        f"<td>{e(one.status or 'under way')}{' (shared)' if one.shared else ''}</td>"
        f'<td class="number">{e(duration(one.first_s)) if one.first_s is not None else ""}</td></tr>'
        for one in list(recent)[:30]
    ]
    heads = ("Time", "Student", "Question", "Answer", "State", "First piece")
    return f'<h2 id="questions">Questions</h2>{_table("The last questions", heads, rows, "No question was asked yet.")}'


def _wall(view: dict[str, Any], rules: Rules) -> str:
    if not rules.wall:
        return '<h2 id="wall">Wall</h2><p>The wall is off: no picture is kept.</p>'
    items = "".join(
        f'<li><img src="{e(view["prefix"])}/teacher/wall/{one.id}.jpg" alt="Picture of the question: {e(one.prompt, 100)}">'
        f"<p><strong>{e(one.prompt, 200)}</strong></p><p>{e(one.text, 400)}</p>"
        f'<p class="dim">{e(one.name)} · {e(one.model)}</p></li>'
        for one in view["wall"]
    )
    empty = "" if items else "<p>No answer yet.</p>"
    return f'<h2 id="wall">Wall</h2>{empty}<ul class="wall">{items}</ul>'


def _errors(errors: Sequence[tuple[float, str]]) -> str:
    rows = [
        f"<tr><td>{time.strftime('%H:%M:%S', time.localtime(at))}</td><td>{e(text, 300)}</td></tr>"
        for at, text in reversed(errors)
    ]
    table = _table(
        "The last failures of the service", ("Time", "What happened"), rows, "The service has not failed."
    )
    return f'<h2 id="errors">Failures of the service</h2>{table}'
