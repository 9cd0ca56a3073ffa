"""The section of finance: a module for each page; all show `finance/tabs.html`.

Imports what all pages do. Start with `licenses`.
"""
