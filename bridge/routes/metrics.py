"""`/metrics`: for Prometheus, which has no key."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from agent.contract.errors import ContractError, ErrorCode
from bridge.access.neighbours import check_local
from bridge.state import opened

router = APIRouter(tags=["health"])


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What all workers have counted; ContractError where the settings do not let this caller read it."""
    state = opened(request)
    match state["settings"].metrics:
        case "off":
            raise ContractError(ErrorCode.NOT_FOUND, "EDGEVOICE_BRIDGE_METRICS=off says that there are no metrics")
        case "local":
            check_local(request.scope, request.headers, state["settings"])
    return Response(state["metrics"].encode(), media_type=CONTENT_TYPE_LATEST)
