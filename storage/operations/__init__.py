"""What operators steer by and see: turns, and what is held.

Imports nothing of the other folders. Start with `turn_order`.
"""
