"""`%vlm` and `%%vlm` in a shell: what is asked, shown, kept and refused."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from support.loopback import stream
from support.sides import KEY, SCENE
from traitlets.config import Config

import nbvlm

COLORS = re.compile(r"\x1b\[[0-9;]*m")


class Shell:
    """IPython without a terminal."""

    def __init__(self, shell):
        self.ip = shell
        self.names = shell.user_ns

    def run(self, code):
        """Run a cell; return what it printed and its result."""
        with capture_output() as said:
            result = self.ip.run_cell(code, store_history=False)
        self.said = said
        self.out = COLORS.sub("", said.stdout + said.stderr)
        return result

    def fails(self, code):
        result = self.run(code)
        assert result.error_in_exec is not None, self.out
        return result.error_in_exec

    def completions(self, code):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the completer's interface calls itself provisional
            found = list(self.ip.Completer.completions(code, len(code)))
        return [code[: one.start] + one.text for one in found]


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SCENE.image().save("scene.png")
    InteractiveShell.clear_instance()
    ip = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    ip.run_cell("%load_ext nbvlm")
    yield Shell(ip)
    ip.run_cell("%unload_ext nbvlm")
    InteractiveShell.clear_instance()


@pytest.fixture
def hosted(shell, server):
    """A shell with a client, and the server that it asks."""
    shell.server = server
    shell.names["client"] = nbvlm.Client("nvidia", api_key=KEY, base_url=server.url)
    yield shell
    shell.names["client"].close()


def asked(shell):
    """What the server was asked last: the prompt without its picture, and the parameters."""
    body = shell.server.seen[-1].json
    prompt = re.sub(r"\s*<img [^>]*>\s*", "", body["messages"][0]["content"])
    return prompt, body


def test_a_line_asks_the_embedded_model_and_keeps_the_result(shell):
    shell.run("%vlm scene.png caption en")
    assert shell.names["_vlm"].prompt == "caption en"
    assert shell.names["_vlm"].model == "nbvlm/demo-photos"  # a red area is not a picture-book scene
    assert shell.names["_vlm"].text in shell.out


def test_a_cell_is_the_prompt_and_its_lines_are_one(hosted):
    hosted.run(
        "%%vlm scene.png --temperature 0.1 --max-tokens 64 --as answer --endpoint client\n"
        "detect cat ;\n   dog\n"
    )
    prompt, body = asked(hosted)
    assert prompt == "detect cat ; dog"
    assert (body["temperature"], body["max_tokens"]) == (0.1, 64)
    assert hosted.names["answer"].prompt == "detect cat ; dog"
    assert "_vlm" not in hosted.names


def test_a_compatible_server_gets_the_lines_as_they_are(hosted):
    url = f"{hosted.server.url}/v1"
    hosted.run(f"%%vlm scene.png --endpoint {url} --model m1 --top-p 0.5\nFirst line.\n\nSecond line.\n")
    content = hosted.server.seen[-1].json["messages"][0]["content"]
    assert [part["text"] for part in content if part["type"] == "text"] == ["First line.\n\nSecond line."]
    assert hosted.server.seen[-1].json["top_p"] == 0.5


def test_the_key_of_a_server_is_named_not_typed(hosted, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    hosted.run(f"%vlm scene.png --endpoint {hosted.server.url}/v1 --model m1 --key-from MY_KEY caption en")
    assert hosted.server.seen[-1].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(hosted.said.stdout)
    typed = hosted.fails("%vlm scene.png --key-from nvapi-typed-by-mistake caption en")
    assert isinstance(typed, nbvlm.Error)
    assert "typed-by-mistake" not in hosted.out


def test_the_route_is_chosen(hosted):
    hosted.run("%vlm scene.png --endpoint client --route asset caption en")
    assert hosted.names["_vlm"].route == "asset"


def test_words_of_a_prompt_stay_as_they_are_typed(hosted):
    hosted.run("""%vlm scene.png --endpoint client answer en what's on the "STOP" sign; and -- why --as?""")
    assert asked(hosted)[0] == """answer en what's on the "STOP" sign; and why --as?"""
    hosted.run("""%vlm "scene.png" --endpoint client 'detect cat ; dog'""")
    assert asked(hosted)[0] == "detect cat ; dog"


@pytest.mark.parametrize("before", ["", "answer = ", "for _ in [1]:\n    "])
def test_a_question_mark_at_the_end_is_for_the_model(hosted, before):
    hosted.run(f"{before}%vlm scene.png --endpoint client answer en what is this?\n")
    assert asked(hosted)[0] == "answer en what is this?"
    hosted.run("%%vlm scene.png --endpoint client\nanswer en what is that?")
    assert asked(hosted)[0] == "answer en what is that?"


def test_a_question_mark_in_text_and_help_stay_what_they_are(shell):
    shell.run('text = """\n%vlm scene.png what is this?\n"""')
    assert shell.names["text"] == "\n%vlm scene.png what is this?\n"
    assert shell.run("%vlm?").success
    assert "_vlm" not in shell.names


def test_variables_are_expanded_in_prompt_options_and_paths(hosted):
    hosted.names |= {"things": ["cat", "dog"], "t": 0.3, "name": "scene"}
    hosted.run(
        "%vlm {name}.png --temperature {t} --endpoint client detect {' ; '.join(things)} ; $name ; {{x}}"
    )
    prompt, body = asked(hosted)
    assert prompt == "detect cat ; dog ; scene ; {x}"
    assert body["temperature"] == 0.3
    hosted.run("%%vlm scene.png --endpoint client\nanswer en is {things[0]!r} worth $5, or 5 {")
    assert asked(hosted)[0] == "answer en is {things[0]!r} worth $5, or 5 {"


def test_variables_of_a_function_are_seen(hosted):
    hosted.run(
        "def ask(kind):\n    %vlm scene.png --endpoint client detect {kind}\nfor k in ('cat', 'dog'): ask(k)"
    )
    prompts = [seen.json["messages"][0]["content"] for seen in hosted.server.seen]
    assert ["detect cat" in prompts[0], "detect dog" in prompts[1]] == [True, True]


@pytest.mark.parametrize("code", ["photo", "{photo}", "pictures[0]", "holder.photo", "{pictures[ 0 ]}"])
def test_a_python_variable_is_a_picture(shell, code):
    shell.run("class Holder: pass\nholder = Holder()")
    photo = SCENE.image()
    shell.names |= {"photo": photo, "pictures": [photo]}
    shell.names["holder"].photo = photo
    shell.run(f"%vlm {code} caption en")
    assert shell.names["_vlm"].picture.width == SCENE.width


def test_a_name_with_blanks_and_a_file_named_like_an_attribute_are_files(shell):
    Path("scene.png").rename("my photo.png")
    shell.run('%vlm "my photo.png" caption en')
    shell.run(r"%vlm my\ photo.png caption en --as second")
    assert shell.names["_vlm"].picture.name == shell.names["second"].picture.name == "my photo.png"
    shell.names["my"] = object()
    assert "The file 'my.png' does not exist" in str(shell.fails("%vlm my.png caption en"))


def test_the_result_is_always_returned(shell):
    shell.run("answer = %vlm scene.png caption en")
    assert isinstance(shell.names["answer"], nbvlm.Result)
    shell.run("found = [get_ipython().run_line_magic('vlm', 'scene.png caption en') for _ in range(2)]")
    assert [one.prompt for one in shell.names["found"]] == ["caption en"] * 2
    assert isinstance(shell.ip.run_line_magic("vlm", "scene.png caption en"), nbvlm.Result)
    assert isinstance(shell.ip.run_cell_magic("vlm", "scene.png", "caption en"), nbvlm.Result)


ONE = "%vlm scene.png caption en"


@pytest.mark.parametrize(
    ("code", "times"),
    [
        (ONE, 1),
        (f"{ONE}\n{ONE}", 2),
        (f"for _ in range(2):\n    {ONE}", 2),
        (f"answer = {ONE}", 1),
        ("%%vlm scene.png\ncaption en", 1),
        (f"{ONE}\n_vlm", 2),
    ],
)
@pytest.mark.parametrize("interactivity", ["last_expr", "all", "last_expr_or_assign"])
def test_a_line_shows_its_result_once(shell, monkeypatch, code, times, interactivity):
    if interactivity == "last_expr_or_assign" and "=" in code:
        times += 1  # the user asks to see what is assigned
    monkeypatch.setattr(shell.ip, "ast_node_interactivity", interactivity)
    assert shell.run(code).success
    assert shell.out.count("(nbvlm/demo-photos, ") == times


ERRORS = {
    "%vlm nothing.png caption en": "The file 'nothing.png' does not exist.",
    "%vlm nothing caption en": "'nothing' is neither a variable nor a file.",
    "%vlm scene.png detect {undefined}": "name 'undefined' is not defined",
    "%vlm {1/0} caption en": "division by zero",
    "%vlm scene.png caption en --temperature 7": "temperature",
    "%vlm scene.png caption en --temperature warm": "invalid float value: 'warm'",
    "%vlm scene.png caption en --tempreture 1": "Did you mean --temperature?",
    "%vlm scene.png caption en --as 1st": "'1st' cannot be the name of a variable.",
    "%vlm scene.png caption en --endpoint nvidai": "Did you mean 'nvidia'?",
    "%vlm scene.png": "The prompt is empty.",
    "%%vlm\ncaption en": "The line names no picture.",
    "%vlm scene.png caption en --endpoint nvidia": "There is no key for NVIDIA.",
    "%vlm scene.png caption en --temperature": "expected one argument",
}


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_is_one_sentence_and_leaves_the_variable_alone(shell, code):
    shell.names["_vlm"] = "as before"
    error = shell.fails(code)
    assert isinstance(error, nbvlm.Error)
    assert ERRORS[code] in shell.out
    assert "Traceback" not in shell.out
    assert ".py" not in shell.out
    assert len(shell.out.strip().splitlines()) == 1
    assert "\x1b[31m" in shell.said.stdout + shell.said.stderr
    assert shell.names["_vlm"] == "as before"


def test_an_error_can_be_caught_and_pickled_as_any(shell):
    shell.run(
        "import nbvlm\ntry:\n    %vlm nothing.png caption en\nexcept nbvlm.ImageError as e:\n    kept = e"
    )
    assert pickle.loads(pickle.dumps(shell.names["kept"])).hint


def test_what_came_of_a_broken_answer_is_shown(hosted):
    hosted.server.replies.append(stream("a red ", "car", cut=True, done=False))
    error = hosted.fails("%vlm scene.png caption en --endpoint client")
    assert isinstance(error, nbvlm.TruncatedStream)
    assert "a red car\n" in hosted.out
    assert "_vlm" not in hosted.names


def test_an_answer_cannot_write_to_the_terminal(hosted):
    hosted.server.replies.append(stream("\x1b[2J\x1b]0;owned\x07<script>"))
    hosted.run("%vlm scene.png caption en --endpoint client")
    assert "\x1b" not in hosted.said.stdout
    assert r"\x1b[2J" in hosted.said.stdout


def test_help_is_shown_and_nothing_asked(shell):
    for code in ("%vlm --help", "%vlm", "%%vlm -h\nsomething"):
        assert shell.run(code).success
        [output] = shell.said.outputs
        text = output.data["text/plain"]
        assert text.startswith("usage: %vlm IMAGE [options] PROMPT, or %%vlm IMAGE")
        assert "--max-tokens" in text
        assert "{thing}" in text
    assert "_vlm" not in shell.names


def test_the_docstring_is_found_by_the_question_mark(shell):
    found = shell.ip.object_inspect("%vlm")
    assert found["found"]
    assert "--help" in found["docstring"]


def test_clients_are_kept_for_the_next_question(hosted):
    url = f"{hosted.server.url}/v1"
    for _ in range(3):
        hosted.run(f"%vlm scene.png --endpoint {url} --model m1 caption en")
    assert hosted.server.connections == 1


def test_an_async_client_in_a_variable_is_asked_too(hosted):
    hosted.names["aclient"] = nbvlm.AsyncClient("nvidia", api_key=KEY, base_url=hosted.server.url)
    hosted.run("%vlm scene.png --endpoint aclient caption en")
    assert hosted.names["_vlm"].text == "a red car"
    error = hosted.fails("%vlm scene.png --endpoint aclient --model m1 caption en")
    assert "The client aclient is open already and cannot take --model." in str(error)


def test_the_extension_is_reloaded_and_unloaded(shell):
    manager = shell.ip.input_transformer_manager
    hooks = [shell.ip.Completer.custom_matchers, manager.token_transformers, shell.ip.ast_transformers]
    loaded = list(map(len, hooks))
    shell.run("%reload_ext nbvlm")
    shell.run("%load_ext nbvlm")
    assert list(map(len, hooks)) == loaded
    shell.run("%unload_ext nbvlm")
    assert list(map(len, hooks)) == [length - 1 for length in loaded]
    shell.run("%vlm scene.png caption en")
    assert "not found" in shell.out
    shell.run("%load_ext nbvlm")


COMPLETIONS = {
    "%vlm sce": ["%vlm scene.png"],
    "%vlm ./pic": ["%vlm ./pictures/"],
    "%vlm pictures/": ['%vlm "pictures/a cat.JPG"'],
    '%vlm "pictures/a c': ['%vlm "pictures/a cat.JPG"'],
    "%vlm pictures/A": ['%vlm "pictures/a cat.JPG"'],
    "%vlm pho": ["%vlm photo"],
    "%vlm scene.png det": ["%vlm scene.png detect"],
    "x = %vlm scene.png det": ["x = %vlm scene.png detect"],
    "%vlm scene.png --temperature 0.1 segm": ["%vlm scene.png --temperature 0.1 segment"],
    "%vlm scene.png caption f": [f"%vlm scene.png caption {code}" for code in ("fa", "fi", "fil", "fr")],
    "%vlm scene.png answer e": [f"%vlm scene.png answer {code}" for code in ("en", "el", "es")],
    "%vlm scene.png --temp": ["%vlm scene.png --temperature "],
    "%vlm scene.png --route in": ["%vlm scene.png --route inline"],
    "%vlm scene.png --endpoint google/g": ["%vlm scene.png --endpoint google/gemma-4-31b-it"],
    "%vlm scene.png --endpoint olla": ["%vlm scene.png --endpoint ollama"],
    "%vlm scene.png --endpoint cli": ["%vlm scene.png --endpoint client"],
    "%vlm scene.png --temperature 0": [],
    "%%vlm scene.png\ndet": ["%%vlm scene.png\ndetect"],
    "%%vlm scene.png\ncaption de": ["%%vlm scene.png\ncaption de"],
    "%%vlm scene.png\ndetect cat ;\ndet": [],
}


@pytest.mark.parametrize("code", COMPLETIONS)
def test_completion(shell, code):
    Path("pictures").mkdir()
    Path("pictures/a cat.JPG").touch()
    Path("pictures/notes.txt").touch()
    shell.names |= {"photo": SCENE.image(), "phone": 3, "client": nbvlm.Client("demo")}
    assert shell.completions(code) == COMPLETIONS[code]
    shell.names["client"].close()


def test_other_lines_are_completed_as_ever(shell):
    shell.names["detector"] = 1
    assert "detector" in shell.completions("detect")
    assert "x = 1\ndetector" in shell.completions("x = 1\ndetect")
    assert any("vlm" in found for found in shell.completions("%vl"))
