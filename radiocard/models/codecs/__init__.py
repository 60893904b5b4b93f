"""One explicit codec per estimator class: learned attributes to plain arrays and back."""
