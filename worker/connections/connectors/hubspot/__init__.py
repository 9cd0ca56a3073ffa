"""HubSpot: contacts and companies, by a property of ours that no two records share.

Start with `connector`, which implements the protocol.
"""
