"""Frames of the worker channel, `{type, id, sent_at, payload}`: those that workers send, and making ours."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from prefect_kernel.ids import uuid7

from ..common.fields import DateTime

VERSION = "work_pool_worker_channel.v1"
HEARTBEAT, SNAPSHOT, CLEANUP = "worker_heartbeat.v1", "work_pool_snapshot.v1", "cleanup_delivery.v1"
REQUIRED = (HEARTBEAT, SNAPSHOT)
"""Capabilities without which there is no channel."""

Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[int, Field(gt=0)]
Kind = Literal["cancelling_timeout_teardown.v1", "pending_claim_teardown.v1"]
"""What workers can be asked to clean up."""


class _Strict(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", defer_build=True)


class _Frame(_Strict):
    id: UUID
    sent_at: DateTime


class HelloPayload(_Strict):
    """Who a worker is, and what it can do."""

    consumer_id: UUID
    worker_name: Text
    worker_type: Text
    heartbeat_interval_seconds: Seconds
    supported_channel_versions: Annotated[list[Text], Field(min_length=1)]
    requested_capabilities: Annotated[list[Text], Field(min_length=1)]
    work_queue_names: list[Text] = []
    handled_cleanup_kinds: list[Kind] = []
    max_cleanup_concurrency: Annotated[int, Field(ge=0)] = 0
    create_pool_if_not_found: bool = False
    default_base_job_template: dict[str, Any] = {}
    worker_metadata: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_at_a_time(cls, data: Any) -> Any:
        """Who wants to clean up and does not say how much does it one by one."""
        if not isinstance(data, dict) or "max_cleanup_concurrency" in data:
            return data
        wanted, kinds = data.get("requested_capabilities"), data.get("handled_cleanup_kinds")
        if isinstance(wanted, list) and isinstance(kinds, list) and CLEANUP in wanted and kinds:
            return {**data, "max_cleanup_concurrency": 1}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> HelloPayload:
        if missing := set(REQUIRED).difference(self.requested_capabilities):
            raise ValueError(f"Missing required channel capabilities: {sorted(missing)}")
        if CLEANUP not in self.requested_capabilities and (self.handled_cleanup_kinds or self.max_cleanup_concurrency):
            raise ValueError(f"cleaning up requires `{CLEANUP}`")
        return self

    @property
    def cleans_up(self) -> bool:
        """Whether messages about what is to be cleaned up are wanted."""
        return bool(
            CLEANUP in self.requested_capabilities and self.handled_cleanup_kinds and self.max_cleanup_concurrency
        )


class Hello(_Frame):
    """The first frame."""

    type: Literal["worker.hello.v1"]
    payload: HelloPayload


class HeartbeatPayload(_Strict):
    """Whose sign of life."""

    consumer_id: UUID
    worker_name: Text
    heartbeat_interval_seconds: Seconds


class Heartbeat(_Frame):
    """A sign of life."""

    type: Literal["worker.heartbeat.v1"]
    payload: HeartbeatPayload


class OperationPayload(_Strict):
    """Which message, by whose reservation."""

    message_id: UUID
    reservation_token: Text


class ReleasePayload(OperationPayload):
    """Also why."""

    reason: Text


class Ack(_Frame):
    """A message was dealt with."""

    type: Literal["cleanup.ack.v1"]
    payload: OperationPayload


class Release(_Frame):
    """A message is given back."""

    type: Literal["cleanup.release.v1"]
    payload: ReleasePayload


class Renew(_Frame):
    """More time is needed for a message."""

    type: Literal["cleanup.renew.v1"]
    payload: OperationPayload


FromWorker = Annotated[Hello | Heartbeat | Ack | Release | Renew, Field(discriminator="type")]
FROM_WORKER: TypeAdapter[Hello | Heartbeat | Ack | Release | Renew] = TypeAdapter(
    FromWorker, config=ConfigDict(defer_build=True)
)
"""Frames that a worker may send; everything else ends the channel."""


def frame(type_: str, now: Any, payload: dict[str, Any]) -> dict[str, Any]:
    """A frame of ours."""
    return {"type": type_, "id": uuid7(), "sent_at": now, "payload": payload}
