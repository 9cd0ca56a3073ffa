"""The commands by which operators steer.

Imports their use cases. Start with `turn_order`.
"""
