"""The embedded model: a picture-book world, a small network that reads it, and a service that speaks the real protocol."""
