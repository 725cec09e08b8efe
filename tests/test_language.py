from __future__ import annotations

import pytest

from nbvlm.demo import language, vocabulary
from nbvlm.demo.scenes import Random

FACTS = [
    language.Fact("car", "red", (0.0, 0.1, 0.2, 0.3)),
    language.Fact("tree", "green", (0.3, 0.1, 0.5, 0.9)),
    language.Fact("car", "orange", (0.6, 0.5, 1.0, 1.0)),
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
        ("answer en How many cars are there?", "answer en how many car"),
        ("answer en how many red cars", "answer en how many red car"),
        ("answer en how many things are in the picture?", "answer en how many thing"),
        ("how many boats are there?", "answer en how many boat"),
        ("answer en What colour is the car?", "answer en what color car"),
        ("answer en is there a blue house?", "answer en is there blue house"),
        ("answer en are there any trees", "answer en is there tree"),
    ],
)
def test_prompts_are_read_as_people_write_them(prompt, words):
    assert language.understand(prompt) == tuple(words.split())


@pytest.mark.parametrize(
    "prompt", ["", "   ", "caption fr", "segment car", "detect", "detect ;", "hello", "describe en"]
)
def test_what_is_no_task_is_not_understood(prompt):
    assert language.understand(prompt) is None


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("caption en", "a red car, a green tree and an orange car on a meadow"),
        ("detect tree", "<loc0102><loc0307><loc0921><loc0512> tree"),
        (
            "detect car",
            "<loc0102><loc0000><loc0307><loc0205> car ; <loc0512><loc0614><loc1023><loc1023> car",
        ),
        ("detect red car ; boat", "<loc0102><loc0000><loc0307><loc0205> red car"),
        ("detect boat", "nothing found"),
        ("answer en how many cars are there?", "2"),
        ("answer en how many things are there?", "3"),
        ("answer en how many red cars are there?", "1"),
        ("answer en how many boats are there?", "0"),
        ("answer en what color is the car?", "red and orange"),
        ("answer en what color is the boat?", "there is no boat"),
        ("answer en what color is the dragon?", "there is no such thing"),
        ("answer en is there a green tree?", "yes"),
        ("answer en is there a green car?", "no"),
    ],
)
def test_true_answers(prompt, text):
    words = language.understand(prompt)
    assert language.text(language.answer(words, FACTS, "meadow")) == text


def test_lessons_use_only_words_the_model_has():
    for seed in range(300):
        long, short = language.lessons(FACTS, "night", Random(seed))
        for lesson in (*long, *short):
            assert lesson.answer[-1] == vocabulary.EOS
            assert vocabulary.UNKNOWN not in lesson.answer
            assert all(word in vocabulary.WORDS for word in lesson.prompt)
            assert len(lesson.answer) <= language.LONGEST_LESSON + 1


def test_an_answer_reads_back_as_text_with_its_separators():
    words = ("detect", "car", ";", "tree")
    assert language.text(language.answer(words, FACTS, "sea")).count(" ; ") == 2
