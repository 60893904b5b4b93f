"""What is done to the grey values of an image before features are computed."""
