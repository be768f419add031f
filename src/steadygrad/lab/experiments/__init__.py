"""One file, one experiment: a function of the file's name with ``@experiment``, whose docstring is its page."""
