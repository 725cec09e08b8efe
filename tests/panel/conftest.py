"""A real kernel for the tests that count its messages."""

from support.kernel import kernel

__all__ = ["kernel"]
