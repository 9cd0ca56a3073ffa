"""Use cases around licenses: who pays, who may spend, who may call.

Imports `infrastructure`. Start with `licenses`.
"""
