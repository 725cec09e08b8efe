"""Paths that a person types: what they lead to, and how they may go on."""

from __future__ import annotations

import pytest

import nbvlm
from nbvlm.images import path_completions, resolved_path


def test_the_home_of_an_unknown_user_is_a_path_that_leads_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert path_completions("~no-user-of-this-name/") == []
    with pytest.raises(nbvlm.ImageError, match="no-user-of-this-name"):
        resolved_path("~no-user-of-this-name/cat.jpg")


def test_paths_of_the_home_folder_are_completed_as_they_are_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Cats").mkdir()
    (tmp_path / "cat.jpg").touch()
    (tmp_path / "cat.txt").touch()
    assert path_completions("~/ca") == ["~/Cats/", "~/cat.jpg"]
    assert resolved_path("~/cat.jpg") == tmp_path / "cat.jpg"
