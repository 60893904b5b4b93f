"""Files to images, label maps and cases, and tables to files."""
