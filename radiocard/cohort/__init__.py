"""One case to one row, many cases to one table."""
