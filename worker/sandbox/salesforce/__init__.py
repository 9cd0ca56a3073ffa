"""Salesforce in the sandbox: an org with its limits, its SOQL and its Bulk API.

Start with `api`, its routes, then `org`, what is in it.
"""
