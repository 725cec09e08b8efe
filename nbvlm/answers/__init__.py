"""What `nbvlm.grounding.parser`, `nbvlm.grounding.detections`, `nbvlm.grounding.masks.codebooks` and `nbvlm.compare` are made of."""
