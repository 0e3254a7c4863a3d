"""Operations as a transport begins them, without one."""

from __future__ import annotations

from typing import Any

from graphql import OperationType

from resolvers.context import Context
from resolvers.documents import Refused
from resolvers.limits import Limits
from resolvers.operations import Result, answer, execute, prepare, subscribe
from settings import Settings

LIMITS = Limits.of(Settings(_env_file=None))


async def ask(context: Context, query: str, **variables: Any) -> Result:
    """What a client is answered; of a subscription that is begun, nothing yet."""
    try:
        operation = prepare(query, None, variables, LIMITS)
        if operation.type is OperationType.SUBSCRIPTION:
            await subscribe(operation, context)
            return {"data": None}
        return await execute(operation, context, 30)
    except Refused as refused:
        return answer(refused.errors)


async def data(context: Context, query: str, **variables: Any) -> Any:
    """The data of an answer without errors."""
    result = await ask(context, query, **variables)
    assert "errors" not in result, result
    return result["data"]
