"""Masks from a network, and from others: prediction, cleaning, confidence, agreement, quality."""
