"""The console: pages for operators, rendered here, without a build step.

A door like the API and the command line: it reads by the same queries and acts by the
same use cases. Imports all of them; the API mounts it. Start with `console`, then
`page_table`.
"""
