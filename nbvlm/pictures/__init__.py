"""How `nbvlm.images` does it: find out what a source holds, check it, decode it, convert it, shrink it."""
