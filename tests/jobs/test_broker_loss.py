"""A worker whose hands were full when its broker went learns of it."""

from contextlib import ExitStack

import pytest

from tests.support.servers import own_broker
from worker.celery_app import make_app
from worker.infrastructure.settings import Settings
from worker.jobs.message_queues import CONTROL


@pytest.mark.parametrize("ending", ["ack", "reject", "requeue"])
def test_a_message_that_ends_while_the_broker_is_gone_holds_no_place(ending, tmp_path):
    with own_broker(tmp_path / "broker") as server, ExitStack() as up:
        up.enter_context(server.running())
        app = make_app(Settings(broker_url=server.url))
        with app.connection_for_read() as connection:
            channel = connection.channel()
            channel.queue_declare(CONTROL)
            with app.amqp.Producer(connection) as producer:
                producer.publish({}, routing_key=CONTROL)
            channel.basic_qos(prefetch_count=1)
            message = channel.basic_get(CONTROL)
            assert not channel.qos.can_consume()
            up.close()
            with pytest.raises(connection.connection_errors):
                _end(message, ending)
            assert channel.qos.can_consume()


def _end(message, ending):
    if ending == "ack":
        message.ack()
    else:
        message.reject(requeue=ending == "requeue")
