"""From a cure's edits to the user's source text: spliced at the expressions, proven in a fresh process, written atomically.

The only room that knows libcst. What stands outside the spliced places stays byte for byte.
"""
