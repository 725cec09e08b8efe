"""The scenes of the embedded model: what is drawn, where, and in which words it is described."""
