"""What operators watch and steer, put together from what all others keep.

Imports the other use cases; doors alone import it. Start with `overview`.
"""
