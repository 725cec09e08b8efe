"""The panel in real front ends: one Jupyter server and one Chromium for all tests here."""
