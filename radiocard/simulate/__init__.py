"""The embedded synthetic cohort: beating-heart short-axis phantoms whose measurements are known."""
