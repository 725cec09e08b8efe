"""Dialects: how model families write boxes, points and masks."""
