"""How much is measured."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of one run; the defaults are those of the targets."""

    rounds: int = 3
    """How often both sides of each pair run, in turn."""
    starts: int = 3
    """How often each build is started on an empty home."""
    records: int = 100_000
    """Contacts of a whole export, an upload, a quote, a workbook."""
    read: int = 1_000_000
    """Rows of 20 columns of a file that is read in each format."""
    small: int = 10_000
    """Contacts of what the large sizes are compared with."""
    big: int = 1_000_000
    """Contacts of the growth, and records of the API's memory."""
    history: int = 20_000_000
    """Charges that are in the tables before anything is measured."""
    licenses: int = 5_000
    """Licenses of that history."""
    ended: int = 200_000
    """Its jobs, all ended."""
    console_jobs: int = 1_000_000
    """Ended jobs that the console's pages are opened beside."""
    naive: int = 2_000
    """Contacts of the usual Celery way, a task for each."""
    push: int = 20_000
    """Persons that are pushed."""
    beside: int = 300_000
    """Contacts of the job beside which small ones are timed."""
    latency: int = 30
    """Small jobs that are timed one by one."""
    jobs: int = 400
    """Jobs of one record that twenty clients submit."""
    batches: int = 40
    """Batches of 500 contacts that are settled, and copied."""
    idle_s: int = 60
    """Seconds for which an installation is watched at rest."""

    def scaled(self, share: float) -> "Sizes":
        """The same with a share of all but the rounds."""
        kept = {"rounds", "starts"}
        return replace(
            self,
            **{
                one.name: max(10, int(getattr(self, one.name) * share))
                for one in fields(self)
                if one.name not in kept
            },
        )
