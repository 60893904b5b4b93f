"""Is a case what it claims to be? Findings are Issue records; nothing here changes a value."""
