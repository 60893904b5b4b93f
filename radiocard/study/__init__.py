"""What a user asks for, as functions: the one place that joins the rooms."""
