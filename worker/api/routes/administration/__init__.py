"""What an administrator of a license or of the house does, beside making licenses.

Start with `keys`.
"""
