"""What `nbvlm.display` and `nbvlm.export` are made of: words, markup, pages, files and code."""
