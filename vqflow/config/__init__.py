"""The configuration: its entries, whether they fit together, and what they select.

Imports no torch, so that parsing the workflow stays fast.
"""
