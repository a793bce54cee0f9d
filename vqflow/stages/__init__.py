"""The jobs of the workflow, as functions from files to files: a module per rule file."""
