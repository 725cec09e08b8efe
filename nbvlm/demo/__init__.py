"""The embedded model: a picture-book world, a network that reads it, the real protocol."""
