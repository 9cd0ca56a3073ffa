"""What is measured: a build that is up on a home of its own, and what it uses.

Imports nothing else of the house: it knows the product by its public doors. Start with
`installation`.
"""
