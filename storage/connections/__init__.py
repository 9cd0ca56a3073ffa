"""Access of licenses to their CRMs, and what is in those CRMs of what we have sent.

Imports `jobs`, to let parked jobs go on. Start with `connections`, then `id_map`.
"""
