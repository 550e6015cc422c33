"""Variants of training examples that mean the same."""
