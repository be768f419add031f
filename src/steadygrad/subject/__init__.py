"""The subject of a check: the target, the model, its batch, its loss and its optimizer, given, found or made."""
