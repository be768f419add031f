"""Working on a copy without a mark: what is copied, what is put back, what is refused."""
