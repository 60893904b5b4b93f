"""``python -m radiocard.cli``, for machines where scripts are not on the path."""

from radiocard.cli import main

main()
