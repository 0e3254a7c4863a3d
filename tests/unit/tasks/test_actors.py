from __future__ import annotations

from db.queues import IMAGES
from tasks.actors import generate_image


def test_a_message_is_named_by_its_job():
    message = generate_image.message("job_1")
    assert (message.message_id, message.args, message.queue_name) == ("job_1", ("job_1",), IMAGES)
