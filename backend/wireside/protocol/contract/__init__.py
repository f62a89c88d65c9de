"""The contract of ``/ws/ai-chat``: JSON Schema of every frame, and an AsyncAPI document.

Both are generated from the frame values in ``protocol/frames/`` and their limits. Only keywords
that JSON Schema draft 7 and 2020-12 share are used, so that AsyncAPI tools read them too.
"""

from wireside.protocol.contract.asyncapi import asyncapi_document
from wireside.protocol.contract.client_schemas import client_schemas
from wireside.protocol.contract.documents import schema_document
from wireside.protocol.contract.server_schemas import server_schemas

__all__ = ["asyncapi_document", "client_schemas", "schema_document", "server_schemas"]
