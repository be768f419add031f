"""What a coding agent asks of runs and reports, answered within bounds: an MCP server over one folder that only reads.

``files`` finds what lies in the folder, ``runs`` and ``alarms`` answer from records, ``server`` alone knows the protocol. May
rely on the journal, the formats, and the pages of rules and cures; must not import torch, load a model, or write.
"""
