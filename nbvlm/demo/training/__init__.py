"""How the embedded model is trained, in PyTorch (extra `train`); nothing here is needed to run it."""
