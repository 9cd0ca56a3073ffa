"""What finance's own work costs: a module for each measurement.

Imports installations and figures. Start with `reconciliation`.
"""
