"""How the weights of the embedded models are made; not part of the wheel."""
