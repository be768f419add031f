"""The place of something in the user's source, and the owner of the code that raised an exception."""
