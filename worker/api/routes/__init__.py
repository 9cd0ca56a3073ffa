"""The routes, a module for each noun in their paths.

Start with `jobs`; who may call a route stands above it (`access_control`).
"""
