"""What `nbvlm.parser`, `nbvlm.detections`, `nbvlm.masks` and `nbvlm.compare` are made of."""
