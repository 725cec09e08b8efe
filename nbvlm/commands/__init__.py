"""What each sub-command of `nbvlm` does; a module is imported when its command is asked for."""
