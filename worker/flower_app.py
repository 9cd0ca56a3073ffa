"""The Celery app as Flower is started on it: `celery -A worker.flower_app flower`."""

from worker.celery_app import make_app
from worker.infrastructure.settings import Settings

app = make_app(Settings())
