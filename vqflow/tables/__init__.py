"""The tables of results: rows of scores, their summary, and their layout for people."""
