"""Public training programs by shape, rebuilt small in our own words: what each does bare and watched, and the first words on it.

``programs`` holds them, one file each, written as people write such programs; a file's first lines say what shape it has and what
is right to say of it. ``recording`` writes down every step of a process without its help, ``program`` reads the first lines,
``run`` runs and compares, ``record`` keeps what was found and tells what differs from before, ``page`` writes the page.
"""
