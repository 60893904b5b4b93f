"""Reports: draws what the other rooms computed, as HTML, PDF and JSON; computes nothing."""
