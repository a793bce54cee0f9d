"""What a run says in the terminal while it works."""
