"""What `nbvlm.draw` is made of: colours, lettering, and where labels go."""
