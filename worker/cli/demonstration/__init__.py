"""What shows the product at work: the demo, and stand-ins for the world outside.

Imports `sample`, `sandbox`, and what other commands do. Start with `demo`.
"""
