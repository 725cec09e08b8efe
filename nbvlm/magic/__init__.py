"""What the magics `%vlm` and `%%vlm` are made of."""
