from __future__ import annotations

import pytest

from nbvlm import prompts
from nbvlm.demo import ground_truth, scenes
from nbvlm.demo.ground_truth import Fact
from nbvlm.demo.model import prompt_reader, tokenizer
from nbvlm.demo.world.vocabulary import LANGUAGES, PLURALS
from training import language_data

DESCRIPTION = (
    "the picture shows 4 things on a meadow: a small red car at the top left, "
    "a large green tree in the middle, a large orange car at the bottom right "
    "and a large white sign saying ZOO at the top right."
)
FACTS = [
    Fact("car", "red", (0.0, 0.1, 0.2, 0.3)),
    Fact("tree", "green", (0.3, 0.1, 0.5, 0.9)),
    Fact("car", "orange", (0.6, 0.5, 1.0, 1.0)),
    Fact("sign", "white", (0.7, 0.0, 1.0, 0.2), "ZOO"),
]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("caption en", "caption en"),
        ("Caption EN\n", "caption en"),
        ("caption", "caption en"),
        ("detect car ; tree", "detect car ; tree"),
        ("detect car;tree", "detect car ; tree"),
        ("detect car , trees", "detect car ; tree"),
        ("Detect a red Car", "detect red car"),
        ("detect dragon", "detect <unk>"),
        ("detect ball", "detect circle"),
        ("detect fishes", "detect fish"),
        ("detect things", "detect thing"),
        ("detect kittens; purple puppies", "detect cat ; purple dog"),
        ("segment Cars , red fish", "segment car ; red fish"),
        ("caption fr", "caption fr"),
        ("describe en", "describe en"),
        ("ocr", "ocr"),
        ("question en Red", "question en red"),
        ("question en two", "question en 2"),
        ("answer en How many cars are there?", "answer en how many car"),
        ("answer en how many red cars", "answer en how many red car"),
        ("answer en how many things are in the picture?", "answer en how many thing"),
        ("how many boats are there?", "answer en how many boat"),
        ("answer en What colour is the car?", "answer en what color car"),
        ("answer en is there a blue house?", "answer en is there blue house"),
        ("answer en are there any trees", "answer en is there tree"),
        ("answer en where is the red car?", "answer en where red car"),
        ("answer en Which is larger, the cat or the red dog?", "answer en which larger cat ; red dog"),
        ("answer en which is bigger, a cat or a dog", "answer en which larger cat ; dog"),
        ("answer en what does the sign say?", "answer en what does sign"),
        ("answer en what do the green signs say?", "answer en what does green sign"),
        ("what is in the picture?", "caption en"),
        ("read the sign", "ocr"),
    ],
)
def test_prompts_are_read_as_people_write_them(prompt, words):
    assert prompt_reader.understand(prompt) == prompt_reader.ParsedPrompt(tuple(words.split()))


@pytest.mark.parametrize(
    ("prompt", "words", "language"),
    [
        ("caption it", "caption en", "it"),
        ("cap PT", "caption en", "pt"),
        ("describe it", "describe en", "it"),
        ("describe fr", "describe en", "fr"),
        ("answer de how many cars are there?", "answer en how many car", "de"),
        ("answer fr do you see any car?", "answer en is there car", "fr"),
        ("question es red", "question en red", "es"),
        ("caption de", "caption de", ""),
        ("caption", "caption en", ""),
    ],
)
def test_another_language_is_answered_in_english_and_named(prompt, words, language):
    asked = prompt_reader.understand(prompt)
    assert (" ".join(asked.words), asked.language) == (words, language)
    assert asked.in_english in (asked.notice or "")
    assert bool(asked.in_english) == bool(language)
    if language:
        assert f"not in {prompts.LANGUAGES[language]}: the answer is in English." in asked.notice
        known = "English, Spanish, French and German" if words == "caption en" else "English only"
        assert f"in {known}," in asked.notice


def test_of_many_things_the_first_are_looked_for_and_the_rest_is_left_out_with_a_notice():
    asked = prompt_reader.understand(
        prompts.detect(*(f"{color} {kind}" for color in scenes.COLORS for kind in scenes.KINDS[:6]))
    )
    assert asked.words[0] == "detect"
    assert asked.words.count(";") == 9
    assert asked.notice == "The embedded model looks for 10 things at once, and leaves the last 50 out."
    again = prompt_reader.understand("detect " + " ; ".join(["cat"] * 60))
    assert (again.words, again.notice) == (("detect", "cat"), None)


def test_a_pronoun_is_not_a_language():
    assert prompt_reader.understand("describe it in detail").language == ""


def test_a_region_is_read_from_its_locations():
    asked = prompt_reader.understand(prompts.caption_region((10, 20, 30, 60), (100, 200)))
    assert asked is not None
    assert asked.words == ("caption", "<box>")
    assert asked.box == pytest.approx((0.1, 0.1, 0.3, 0.3), abs=1e-3)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "   ",
        "caption it en",
        "caption xx",
        "segment",
        "detect",
        "detect ;",
        "hello",
        "question en dragon",
        "caption <loc0001>",
    ],
)
def test_what_is_no_task_is_not_understood(prompt):
    assert prompt_reader.understand(prompt) is None


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("caption en", "a red car, a green tree, an orange car and a white sign on a meadow"),
        ("caption es", "un coche rojo, un árbol verde, un coche naranja y un letrero blanco en un prado"),
        (
            "caption fr",
            "une voiture rouge, un arbre vert, une voiture orange et un panneau blanc dans un pré",
        ),
        (
            "caption de",
            "ein rotes Auto, ein grüner Baum, ein orangefarbenes Auto und ein weißes Schild auf einer Wiese",
        ),
        (
            "describe en",
            DESCRIPTION,
        ),
        ("detect tree", "<loc0102><loc0307><loc0921><loc0512> tree"),
        (
            "detect car",
            "<loc0102><loc0000><loc0307><loc0205> car ; <loc0512><loc0614><loc1023><loc1023> car",
        ),
        ("detect red car ; boat", "<loc0102><loc0000><loc0307><loc0205> red car"),
        ("detect boat", "nothing found"),
        ("segment green tree", "<loc0102><loc0307><loc0921><loc0512>" + 16 * "<seg000>" + " green tree"),
        ("ocr", "ZOO"),
        ("answer en what does the sign say?", "ZOO"),
        ("answer en what does the blue sign say?", "there is no blue sign"),
        ("answer en how many cars are there?", "2"),
        ("answer en how many things are there?", "4"),
        ("answer en how many red cars are there?", "1"),
        ("answer en how many boats are there?", "0"),
        ("answer en what color is the car?", "red and orange"),
        ("answer en what color is the boat?", "there is no boat"),
        ("answer en what color is the dragon?", "there is no such thing"),
        ("answer en is there a green tree?", "yes"),
        ("answer en is there a green car?", "no"),
        ("answer en where is the tree?", "in the middle"),
        ("answer en where are the cars?", "at the top left and at the bottom right"),
        ("answer en which is larger, the tree or the red car?", "the tree"),
        ("answer en which is larger, the red car or the cat?", "there is no cat"),
        ("question en red", "what color is the car?"),
        ("question en 1", "how many trees are there?"),
        ("question en yes", "is there a red car?"),
        ("question en pink", "i do not know"),
        (prompts.caption_region((0.31, 0.1, 0.5, 0.9), (1, 1)), "a green tree"),
        (prompts.caption_region((0.0, 0.8, 0.1, 0.9), (1, 1)), "nothing found"),
    ],
)
def test_true_answers(prompt, text):
    facts = [fact for fact in FACTS if fact.color != "orange"] if prompt == "question en red" else FACTS
    asked = prompt_reader.understand(prompt)
    assert asked is not None
    assert ground_truth.text(ground_truth.answer(asked.words, facts, "meadow", box=asked.box)) == text


def test_a_picture_without_signs_has_no_text():
    assert ground_truth.text(ground_truth.answer(("ocr",), FACTS[:3], "sea")) == "no text"


def test_examples_use_only_words_the_model_has_and_point_at_what_they_speak_of():
    for seed in range(200):
        for example in [
            one for group in language_data.examples(scenes.Random(seed)).values() for one in group
        ]:
            assert example.answer[-1] == tokenizer.Piece(tokenizer.EOS)
            assert all(word in tokenizer.WORDS for word in example.prompt)
            said = {piece.token for piece in example.answer}
            assert tokenizer.UNKNOWN not in said or "<unk>" in example.prompt
            for piece in example.answer:
                assert piece.region < len(example.seen.regions)
                if piece.token in (tokenizer.LOC, tokenizer.SEG, tokenizer.TEXT):
                    assert piece.region >= 0


def test_a_question_that_the_model_asks_can_be_asked_back():
    asked = ground_truth.text(ground_truth.answer(("question", "en", "green"), FACTS, "sea"))
    understood = prompt_reader.understand(prompts.answer(asked))
    assert understood is not None
    assert ground_truth.text(ground_truth.answer(understood.words, FACTS, "sea")) == "green"


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_thing_has_words_in_every_language(code):
    for kind in scenes.KINDS:
        for color in scenes.COLORS:
            assert all(word in tokenizer.WORDS for word in LANGUAGES[code].thing(kind, color))
    assert set(LANGUAGES[code].backgrounds) == set(scenes.BACKGROUNDS)


def test_plurals_contain_the_singular():
    assert all(kind in PLURALS[kind] for kind in scenes.KINDS)


@pytest.mark.parametrize(
    ("prompt", "words", "ignored"),
    [
        ("Count the red cars.", "answer en how many red car", ()),
        ("What is the number of cars, please?", "answer en how many car", ()),
        ("How many of the cars are red?", "answer en how many car", ("red",)),
        ("answer en how many bright red cars are there?", "answer en how many red car", ("bright",)),
        ("How many cats and dogs are there?", "answer en how many cat", ("dog",)),
        ("Tell me the colour of the puppy.", "answer en what color dog", ()),
        ("Is the car red?", "answer en is there car", ("red",)),
        ("Where is the car, the red one?", "answer en where car", ("red", "one")),
        ("Find the cat and the red dog!", "detect cat ; red dog", ()),
        ("draw a box around every cat", "detect cat", ()),
        ("detect striped cat ; dragon", "detect cat ; <unk>", ("striped",)),
        ("detect every cat", "detect cat", ()),
        ("What do you see?", "caption en", ()),
        ("which letters are written there", "ocr", ()),
    ],
)
def test_free_words_are_read_as_far_as_they_are_known(prompt, words, ignored):
    parsed = prompt_reader.understand(prompt)
    assert parsed is not None
    assert (parsed.words, parsed.ignored, parsed.free) == (tuple(words.split()), ignored, True)
    read = words.removeprefix("answer en ")
    assert parsed.notice is not None
    assert f"reads this question as “{read}”" in parsed.notice
    assert all(word in parsed.notice for word in ignored)


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the meaning of life?",
        "please tell me a story",
        "count them",
        "can you help me?",
        "car " * 100,
    ],
)
def test_other_free_words_are_no_question(prompt):
    assert prompt_reader.understand(prompt) is None


def test_a_question_in_the_usual_words_has_no_notice():
    assert prompt_reader.understand("answer en how many red cars are there?").notice is None
