"""The picture-book world of the embedded model: how things are drawn, placed and named."""
