"""All settings, read once from the environment (`HOLDFAST_...`) and handed down."""

import os
from collections.abc import Iterator
from pathlib import Path

from worker.infrastructure.environment.secret import Secret
from worker.infrastructure.environment.settings_reader import (
    EnvironmentSettings,
    setting,
)

_REDIS = ("redis", "rediss", "redis+socket", "unix")
_WEB = ("http", "https")

MISSED_REPORTS = 6
"""After so many missed reports a process is taken for gone."""


class Settings(EnvironmentSettings):
    """What can be set; the defaults suit one machine.

    Times are seconds. A lease must be longer than the slowest batch.
    """

    prefix = "HOLDFAST_"

    home: Path = setting(factory=lambda: Path.home() / ".holdfast")
    """Where the embedded servers, the files and the logs live."""
    database_url: str | None = setting(
        None,
        schemes=("postgresql", "postgresql+psycopg", "postgres"),
        example="postgresql://holdfast@127.0.0.1:5432/holdfast",
    )
    """PostgreSQL 15 or newer; unset: the embedded one of `home`."""
    database_timeout_s: float = setting(30, gt=0)
    """PostgreSQL must have done a statement within this time; the audit may take
    longer."""
    broker_url: str | None = setting(
        None,
        schemes=(*_REDIS, "amqp", "amqps", "pyamqp"),
        example="redis://127.0.0.1:6379/0",
    )
    """Redis 6.2 or newer, Valkey, or RabbitMQ; unset: the embedded Valkey."""
    artifacts_url: str | None = setting(
        None, schemes=("file", "s3"), example="s3://bucket/prefix"
    )
    """Where files are kept: `file:///a/folder` or `s3://bucket/prefix`; unset: the
    folder `files` of `home`."""
    directory: Path | None = None
    """A JSON Lines file that is loaded into the directory before `up` is ready."""

    traces_url: str | None = setting(
        None, schemes=_WEB, example="http://127.0.0.1:4318/v1/traces"
    )
    """A collector of traces that speaks OTLP over HTTP, with the path that it takes
    spans at; unset: none are made."""
    log_format: str = setting("text", one_of=("text", "json"))
    """How processes log: lines for people, or an object of JSON on each."""

    celery_monitoring: str = setting("off", one_of=("off", "events", "control"))
    """What workers offer Flower: nothing, what becomes of tasks, or their control."""

    redis_url: str | None = setting(
        None, schemes=_REDIS, example="redis://127.0.0.1:6379/0"
    )
    """For the rate limits, and what workers know of providers; unset: the broker where
    that is a Redis, else each process counts for itself and no provider is asked."""
    public_url: str | None = setting(
        None, schemes=_WEB, example="https://exports.example.com"
    )
    """What links to files begin with; unset: the address that was asked, and in
    webhooks the one that `up` serves on, or no link."""
    bootstrap_key: Secret | None = setting(None, length_min=20)
    """An admin key, taken as it is; 20 characters or more."""
    bootstrap_person: str | None = setting(None, length_min=1)
    """Who holds it; without, it approves no refund."""
    secret_keys: Secret | None = None
    """Keys of 20 characters or more, separated by commas: the first encrypts, any
    decrypts. Unset: a key of the home's own, in `secret.key`."""
    former_keys: Secret | None = None
    """Secret keys of before: they open and sign nothing, and still check what they
    have sealed of the chain."""
    console_session_s: float = setting(8 * 3600, gt=0)
    """A sign-in to the console ends so long after it was made."""
    console_idle_s: float = setting(3600, ge=60)
    """Or so long after the last request."""
    rate_a_minute: int = setting(600, ge=1)
    """Requests that one key may make in a minute."""
    followers_key_max: int = setting(2_000, ge=1)
    """Event streams that one key may have open at once, in each process of the API."""
    followers_max: int = setting(4_000, ge=1)
    """Event streams that all keys may have open at once, in each process of the API."""
    body_bytes_max: int = setting(16 << 20, ge=1)
    """The largest body of a request that is no upload."""
    upload_bytes_max: int = setting(2 << 30, ge=1)
    """The largest upload."""
    upload_decoded_bytes_max: int = setting(4 << 30, ge=1)
    """What an upload may become once it is decompressed, and what its records, or
    those of a file that is quoted, may take as they are kept. On the disk it lies twice
    meanwhile."""
    workbook_memory_bytes: int = setting(3 << 30, ge=256 << 20)
    """Address space of the process that reads an XLSX, XLS or ODS; a million rows of 20
    columns take 2.1 GiB, of which it uses 1.5."""
    inline_records_max: int = setting(10_000, ge=1)
    """Records that a quote's body may hold."""
    file_link_s: float = setting(900, ge=1, le=7 * 24 * 3600)
    """How long a link to a file can be used; S3 signs none for more than a week."""
    request_kept_s: float = setting(7 * 24 * 3600, gt=0)
    """For so long the same Idempotency-Key is answered the same."""
    upload_kept_s: float = setting(7 * 24 * 3600, gt=0)
    """How long an upload can be quoted."""
    quote_kept_s: float = setting(24 * 3600, gt=0)
    """How long the records of an expired quote that made no job are kept."""
    input_kept_s: float = setting(30 * 24 * 3600, gt=0)
    """How long a job's records are kept after its end, and it can be retried."""
    part_kept_s: float = setting(24 * 3600, gt=0)
    """How long a job's parts are kept after its end."""
    file_kept_s: float = setting(30 * 24 * 3600, gt=0)
    """How long a job's file can be had after its end."""
    event_kept_s: float = setting(90 * 24 * 3600, gt=0)
    """How long events and their deliveries are kept."""
    entry_kept_s: float = setting(7 * 24 * 3600, gt=0)
    """How long outbox entries are kept once they are done."""
    notification_kept_s: float = setting(365 * 24 * 3600, gt=0)
    """How long messages to users are kept."""
    history_kept_s: float = setting(400 * 24 * 3600, ge=4 * 24 * 3600)
    """How long the history behind the operators' charts is kept."""
    orphan_kept_s: float = setting(24 * 3600, ge=3600)
    """After so long a file that no row names is removed; longer than any upload."""

    under_up: bool = False
    """Set by `up` for its children: readiness waits for worker and dispatcher."""

    clock_offset_s: float | None = setting(None, ge=-3.2e9, le=3.2e9)
    """Shifts business time (windows, periods, expiries), never leases. It stands in
    the database: what starts an installation writes it there, all others go by that."""
    quote_lifetime_s: float = setting(15 * 60, gt=0)
    reservation_lifetime_s: float = setting(14 * 24 * 3600, gt=0)
    """How long a job may stand still before it is cancelled."""
    credits_low_share: float = setting(0.1, ge=0, le=1)
    """Below this share of what a period was granted its credits are low."""

    balance_alert_interval_s: float = setting(60, gt=0)
    """How often balances are held against the thresholds of their licenses."""
    refund_approval_credits: int | None = setting(None, ge=0)
    """Above so many credits that somebody refunds of a license in a day of UTC, a
    second person has to approve; unset: nobody has to."""

    webhook_attempts_max: int = setting(12, ge=1)
    """After so many attempts a delivery is given up."""
    webhook_timeout_s: float = setting(10, gt=0)
    """A webhook must have answered in full within this time."""
    webhook_flight_max: int = setting(2, ge=1)
    """Deliveries in the broker at once; fewer than there are workers, for some wait."""
    webhook_allow_private: bool = False
    """Let webhooks and connections lead into private networks and to this machine."""
    operator_webhook_url: str | None = setting(
        None, schemes=_WEB, example="https://ops.example.com/holdfast"
    )
    """Where the operator is told of what the house itself finds; unset: nowhere."""
    operator_webhook_secret: Secret | None = setting(None, length_min=20)
    """What the operator's events are signed with; 20 characters or more."""

    providers: str = "directory"
    """Who finds e-mails and phones, in the order in which they are asked."""
    hunter_key: Secret | None = None
    hunter_url: str = "https://api.hunter.io"
    hunter_rate: str = "15/second;500/minute"
    """How often all workers together may ask it; so for the others."""
    pdl_key: Secret | None = None
    pdl_url: str = "https://api.peopledatalabs.com"
    pdl_rate: str = "1000/minute"
    fullenrich_key: Secret | None = None
    fullenrich_url: str = "https://app.fullenrich.com"
    fullenrich_rate: str = "60/minute"
    provider_concurrency: int = setting(20, ge=1)
    """Requests to providers that one worker process has under way."""
    provider_timeout_s: float = setting(30, gt=0)
    """A provider must have answered in full within this time."""
    provider_failures_max: int = setting(10, ge=1)
    """After so many failures within a minute a provider rests."""
    provider_rest_s: float = setting(30, gt=0)
    """For so long."""
    lookup_deadline_s: float = setting(3600, gt=0)
    """When a request that was not answered counts as not found."""
    lookup_poll_s: float = setting(60, gt=0)
    """How often a provider is asked about a request that it has not answered."""
    lookup_kept_s: float = setting(90 * 24 * 3600, gt=0)
    """How long requests to providers are kept after their end, for operators."""
    findings_reuse_days: float = setting(90, ge=0)
    """For so long what a provider found is used again instead of asking it."""
    misses_reuse_days: float = setting(7, ge=0)
    """For so long a provider that found nothing is not asked again."""
    finding_kept_s: float = setting(90 * 24 * 3600, gt=0)
    """How long what providers found is kept."""

    hubspot_client_id: str | None = None
    """Our app at HubSpot, for connections by consent; so for the others."""
    hubspot_client_secret: Secret | None = None
    hubspot_authorize_url: str = "https://app.hubspot.com/oauth/authorize"
    """Where somebody consents."""
    hubspot_token_url: str = "https://api.hubapi.com/oauth/2026-03/token"  # noqa: S105 - a URL
    """Where tokens are had."""
    hubspot_api_url: str = "https://api.hubapi.com"
    """Where its API is, for all accounts; the others say so with the tokens."""
    salesforce_client_id: str | None = None
    salesforce_client_secret: Secret | None = None
    salesforce_authorize_url: str = (
        "https://login.salesforce.com/services/oauth2/authorize"
    )
    salesforce_token_url: str = "https://login.salesforce.com/services/oauth2/token"  # noqa: S105 - a URL
    salesforce_sandbox_authorize_url: str = (
        "https://test.salesforce.com/services/oauth2/authorize"
    )
    """Where somebody consents for a sandbox of theirs."""
    salesforce_sandbox_token_url: str = (
        "https://test.salesforce.com/services/oauth2/token"  # noqa: S105 - a URL
    )
    pipedrive_client_id: str | None = None
    pipedrive_client_secret: Secret | None = None
    pipedrive_authorize_url: str = "https://oauth.pipedrive.com/oauth/authorize"
    pipedrive_token_url: str = "https://oauth.pipedrive.com/oauth/token"  # noqa: S105 - a URL

    crm_timeout_s: float = setting(60, gt=0)
    """A CRM must have answered in full within this time, or two thirds of a lease."""
    crm_settle_s: float = setting(10, gt=0)
    """A CRM that cannot upsert is given so long to show what it has written, where
    nobody knows what became of a request."""
    push_doubt_s: float = setting(24 * 3600, gt=0)
    """A cancelled push whose CRM cannot be asked ends so long after: what it may have
    sent counts as delivered, is flagged, and can be refunded."""
    push_rejections_share: float = setting(0.05, ge=0, le=1)
    """A push parks where its CRM rejects more than this share of the records tried."""
    push_rejections_min: int = setting(50, ge=1)
    """Not before it has rejected so many."""
    dry_run_kept_s: float = setting(7 * 24 * 3600, gt=0)
    """How long what a dry run has said is kept."""

    records_max: int = setting(1_000_000, ge=1)
    """Records of one upload, duplicates and bad ones included."""
    problems_kept_max: int = setting(100_000, ge=100)
    """So many problems of an upload are kept as a file; the others are counted."""
    chunk_records: int = setting(1000, ge=1, le=100_000)
    """Records of a chunk, the unit of work."""
    batch_records: int = setting(500, ge=1, le=10_000)
    """Records of a batch, the unit of settlement: one part, one checkpoint."""
    worker_concurrency: int = setting(factory=lambda: min(os.cpu_count() or 1, 4), ge=1)
    worker_grace_s: float = setting(120, gt=0)
    """How long a worker may take to stop; Celery's warm shutdown can need 30 s."""

    hand_back_s: float = setting(30, gt=0)
    """After so long a worker that is told to stop gives chunks back whose batch has not
    ended; sooner than `worker_grace_s`."""

    lease_s: float = setting(90, gt=0)
    """How long a chunk stays with a worker that shows no progress."""
    chunk_budget_s: float = setting(240, gt=0)
    """After so long a worker gives a chunk back and takes the next."""
    seal_budget_s: float = setting(840, gt=0)
    """How long a job's file may take to be sealed."""
    visibility_timeout_s: int = setting(900, ge=1)
    """After so long Redis delivers an unacknowledged message again."""
    message_lost_s: float = setting(15, gt=0)
    """After so long a message that nobody took, and that the broker no longer has, is
    sent again."""
    retry_base_s: float = setting(5, gt=0)
    """The first delay after a failure; it doubles with each further one."""
    retry_max_s: float = setting(600, gt=0)
    crashes_max: int = setting(3, ge=1)
    """At so many crashes without progress a chunk is split."""

    dispatch_interval_s: float = setting(1, gt=0)
    """How often the dispatcher looks for work that the database did not tell it of."""
    sweep_interval_s: float = setting(5, gt=0)
    audit_interval_s: float = setting(3600, gt=0)
    """How often the ledger is audited, by a process of its own."""
    audit_timeout_s: float = setting(3600, gt=0)
    """An audit that takes longer is ended."""
    seal_s: float = setting(60, gt=0)
    """How often what was written of money is sealed into the chain."""
    chain_check_interval_s: float = setting(24 * 3600, gt=0)
    """How often the whole chain is looked through, by a process of its own."""
    chain_pins: Path | None = None
    """The file that the house's head is pinned in after each run; unset:
    `chain-heads.jsonl` of `home`. It does its work best on another machine's disk."""
    chain_pin_url: str | None = setting(
        None, schemes=_WEB, example="https://pins.example.com/heads"
    )
    """Where each head is posted too, signed as the operator's events are; unset:
    nowhere."""
    reconcile_hour: int = setting(2, ge=-1, le=23)
    """At this hour (UTC) all open periods are reconciled each night, by a process of
    its own; -1: only what somebody asks for is."""
    report_interval_s: float = setting(10, gt=0)
    """How often workers and dispatchers say that they are alive."""
    job_window: int = setting(8, ge=1)
    """Chunks of one job in the broker at once."""
    flight_max: int = setting(64, ge=1)
    """Chunks of all jobs in the broker at once."""
    small_job_records: int = setting(50, ge=0)
    """Jobs up to this size have a queue of their own: a quarter of `flight_max` may
    wait in it, beside all others; and a process of each worker takes them at once (0:
    no job is small, and there is no such process)."""
    bulk_jobs_max: int = setting(1000, ge=1)
    """Jobs that one verb for many may steer at once."""
    complete_at_once_records: int = setting(1000, ge=0)
    """Jobs up to this size are completed by the worker that ends their last chunk."""

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Settings that do not go with others, and why not."""
        if self.lease_s >= self.visibility_timeout_s:
            why = (
                f"{self.visibility_timeout_s} must be greater than HOLDFAST_LEASE_S, "
                f"which is {self.lease_s:g}: the broker would hand a chunk to a second "
                "worker while the first still has it"
            )
            yield "visibility_timeout_s", why
        if self.hand_back_s >= self.worker_grace_s:
            why = (
                f"{self.hand_back_s:g} must be less than HOLDFAST_WORKER_GRACE_S, "
                f"which is {self.worker_grace_s:g}: a worker would be killed before "
                "it gives its chunks back"
            )
            yield "hand_back_s", why
        for needs in ("operator_webhook_url", "chain_pin_url"):
            if getattr(self, needs) and self.operator_webhook_secret is None:
                yield needs, "needs HOLDFAST_OPERATOR_WEBHOOK_SECRET, which signs it"
        if self.bootstrap_person and not self.bootstrap_key:
            yield (
                "bootstrap_person",
                "needs HOLDFAST_BOOTSTRAP_KEY: it says who holds that",
            )

    @property
    def task_time_limit_s(self) -> float:
        """A chunk that takes longer is ended: it has not kept to its budget."""
        return self.chunk_budget_s + 60

    @property
    def limits_url(self) -> str | None:
        """The Redis that counts requests, if there is one."""
        url = self.redis_url or self.broker_url or ""
        return url if url.startswith(("redis", "rediss", "unix")) else None

    @property
    def store_url(self) -> str:
        """Where files are kept."""
        if self.artifacts_url:
            return self.artifacts_url
        return self.files_folder.as_uri()

    @property
    def files_folder(self) -> Path:
        """Where files are kept that are kept nowhere else: in the home."""
        return self.home.expanduser().absolute() / "files"
