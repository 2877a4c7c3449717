"""Test cases that end badly on purpose: test_harness.py runs the harness on them."""
