"""Sign-in by an OpenID provider: authorization code with PKCE, by authlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.starlette_client import OAuth
from httpx import HTTPError
from starlette.requests import Request
from starlette.responses import Response

from wireside.auth.accounts import Vouched
from wireside.auth.gate import RolesByGroup
from wireside.errors import ProviderUnavailable, Unauthorized

_log = structlog.get_logger(__name__)

UNREACHABLE = "The sign-in service can't be reached at the moment; try again."


@dataclass(frozen=True, slots=True)
class OpenIdRules:
    """Where the provider is, who we are there, and which claim lists somebody's groups."""

    issuer: str
    client_id: str
    client_secret: str | None
    name: str
    groups_claim: str = "groups"
    roles: RolesByGroup = RolesByGroup()


class OpenId:
    """One provider. State, nonce and PKCE's secret wait in the visitor's signed cookie."""

    def __init__(self, rules: OpenIdRules) -> None:
        self.name = rules.name or "OpenID"
        self._rules = rules
        oauth = OAuth()
        self._client: Any = oauth.register(
            "provider",
            client_id=rules.client_id,
            client_secret=rules.client_secret,
            server_metadata_url=f"{rules.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": 10.0,
            },
        )

    async def begin(self, request: Request, callback: str) -> Response:
        """Send the visitor to the provider, which sends them back to ``callback``.

        Raises ``ProviderUnavailable``.
        """
        try:
            response: Response = await self._client.authorize_redirect(request, callback)
        except (HTTPError, OAuthError, ValueError) as error:
            _log.warning("openid_unreachable", error=type(error).__name__)
            raise ProviderUnavailable(UNREACHABLE) from error
        return response

    async def finish(self, request: Request) -> Vouched:
        """Return whom the provider vouches for. Raises ``Unauthorized`` or
        ``ProviderUnavailable``.
        """
        try:
            token = await self._client.authorize_access_token(request)
        except HTTPError as error:
            _log.warning("openid_unreachable", error=type(error).__name__)
            raise ProviderUnavailable(UNREACHABLE) from error
        except Exception as error:  # authlib's, and those of the library that checks tokens
            _log.warning("openid_refused", error=type(error).__name__)
            raise Unauthorized("The sign-in did not work; try again.") from error
        claims = token.get("userinfo") or {}
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise Unauthorized("The sign-in service does not say who you are.")
        name = next(
            (
                str(claims[claim])
                for claim in ("preferred_username", "email", "name")
                if claims.get(claim)
            ),
            subject,
        )
        said = claims.get(self._rules.groups_claim) or ()
        groups = frozenset(map(str, said)) if isinstance(said, list) else frozenset({str(said)})
        role = self._rules.roles.role(groups if said else frozenset())
        return Vouched(f"oidc {self._rules.issuer} {subject}", name, role)
