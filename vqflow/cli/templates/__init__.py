"""What ``vqflow new`` starts from: a class and a run for each kind of part.

``new_thing`` and ``NewThing`` stand for the names that the user gives.
"""
