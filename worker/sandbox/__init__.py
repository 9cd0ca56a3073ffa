"""The sandbox: the protocols of providers and CRMs over real HTTP.

It is there for demos, tests and load. Imports `infrastructure` alone; start with `app`.

Each vendor is served under its own name (`/hunter/v2/email-finder`). What a person has
depends on the names alone, so that the same question has the same answer everywhere.
`PUT /_sandbox/{vendor}` says how a vendor behaves from now on, `GET` what it has done.
"""

from worker.sandbox.app import make_sandbox
from worker.sandbox.server import serve
from worker.sandbox.vendor_behaviour import Behaviour, Fault, Refusals

__all__ = ["Behaviour", "Fault", "Refusals", "make_sandbox", "serve"]
