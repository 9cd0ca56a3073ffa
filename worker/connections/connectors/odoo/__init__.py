"""Odoo 19: its JSON-2 API, with `load` and external ids.

Start with `connector`, which implements the protocol.
"""
