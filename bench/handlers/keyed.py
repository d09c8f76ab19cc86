"""The usual way with what makes a repeated request harmless there: the Idempotency of Powertools, on DynamoDB."""

import os
from typing import Any

import usual  # type: ignore[import-not-found]
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.serialization.pydantic import PydanticSerializer

keys = DynamoDBPersistenceLayer(table_name=os.environ["KEYS_TABLE"])
config = IdempotencyConfig(
    event_key_jmespath="[caller, path, key]", payload_validation_jmespath="body", expires_after_seconds=24 * 60 * 60
)
usual.place = idempotent_function(
    usual.place,
    data_keyword_argument="asked",
    persistence_store=keys,
    config=config,
    output_serializer=PydanticSerializer(model=usual.Order),
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    config.register_lambda_context(context)
    answer: dict[str, Any] = usual.handler(event, context)
    return answer
