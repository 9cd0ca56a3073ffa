"""The pages: a module for each, with its routes and what its template is given.

Start with `overview`.
"""
