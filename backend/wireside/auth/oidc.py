"""Sign-in with OpenID Connect: authorization code flow with PKCE, through authlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import structlog
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.starlette_client import OAuth
from httpx2 import HTTPError, HTTPStatusError
from starlette.requests import Request
from starlette.responses import Response

from wireside.auth.accounts import ExternalIdentity
from wireside.auth.authenticator import RolesByGroup
from wireside.errors import SignInFailed

_log = structlog.get_logger(__name__)

MAX_SUBJECT_CHARS: Final = 255
"""OpenID Core, "ID Token"."""

_ALGORITHMS: Final = "id_token_signing_alg_values_supported"

_NAMES: Final = ("preferred_username", "email", "name")
"""Claims used as the display name; the first one present is taken."""

_CODES: Final = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "mismatching_state",
        "missing_token",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)
"""Error codes of RFC 6749, OpenID Core and authlib. Only these are logged: any other value could
have been put into the callback URL by an attacker.
"""

_EXPIRED: Final = frozenset({"mismatching_state", "invalid_grant"})
_UNREACHABLE: Final = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdRules:
    """Configuration of an OpenID provider: issuer, client credentials and the groups claim."""

    issuer: str
    client_id: str
    client_secret: str | None
    name: str
    groups_claim: str = "groups"
    roles: RolesByGroup = RolesByGroup()


class OpenId:
    """Client of one OpenID provider; state, nonce and PKCE verifier are kept in a signed cookie."""

    def __init__(self, rules: OpenIdRules) -> None:
        self.name = rules.name or "OpenID"
        self._rules = rules
        self._issuer = rules.issuer.rstrip("/")
        oauth = OAuth()
        self._client: Any = oauth.register(
            "provider",
            client_id=rules.client_id,
            client_secret=rules.client_secret,
            server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": 10.0,
            },
        )

    async def start_sign_in(self, request: Request, callback: str) -> Response:
        """Redirect to the provider, which redirects back to the URL ``callback``.

        Raises:
            SignInFailed: the provider is unreachable or misconfigured.
        """
        try:
            scope = self._requested_scope(await self._load_metadata())
            response: Response = await self._client.authorize_redirect(
                request, callback, scope=scope
            )
        except Exception as error:
            raise _sign_in_failure(error) from error
        return response

    async def finish_sign_in(self, request: Request) -> ExternalIdentity:
        """Return the user that the provider has authenticated.

        Raises:
            SignInFailed: the provider refused, is unreachable, or returned an invalid token.
        """
        try:
            await self._load_metadata()
            token = await self._client.authorize_access_token(request)
            claims = await self._read_claims(token)
            groups = _groups_of_claim(claims.get(self._rules.groups_claim))
        except Exception as error:
            raise _sign_in_failure(error) from error
        subject = claims["sub"]
        name = next((str(claims[claim]) for claim in _NAMES if claims.get(claim)), subject)
        role = self._rules.roles.role_of_member(groups)
        return ExternalIdentity(f"oidc {self._issuer} {subject}", name, role, groups)

    async def _load_metadata(self) -> dict[str, Any]:
        """Return the provider's metadata, cached unless its issuer is not the configured one."""
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if str(metadata.get("issuer")).rstrip("/") != self._issuer:
            metadata.clear()
            raise _Wrong("issuer of the provider's document")
        signed = [name for name in metadata.get(_ALGORITHMS, ()) if name[:2] in ("RS", "PS", "ES")]
        metadata[_ALGORITHMS] = signed or ["RS256"]  # never "none"
        return metadata

    def _requested_scope(self, metadata: dict[str, Any]) -> str:
        """Return the scopes to request; includes one for groups if the provider has it."""
        claim = self._rules.groups_claim
        has_scope = claim in metadata.get("scopes_supported", ())
        return f"openid profile email {claim}" if has_scope else "openid profile email"

    async def _read_claims(self, token: dict[str, Any]) -> dict[str, Any]:
        """Return the claims of the ID token, completed from the userinfo endpoint if needed."""
        claims = dict(token.get("userinfo") or {})
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
            raise _Wrong("sub")
        metadata = await self._load_metadata()
        groups_claim = self._rules.groups_claim
        are_groups_elsewhere = groups_claim not in claims and (
            self._rules.roles != RolesByGroup()
            or groups_claim in metadata.get("claims_supported", ())
        )
        is_enough = any(claims.get(name) for name in _NAMES) and not are_groups_elsewhere
        if is_enough or "userinfo_endpoint" not in metadata:
            return claims
        more = dict(await self._client.userinfo(token=token))
        if more.get("sub") != subject:
            raise _Wrong("sub of the userinfo")
        return more | claims


class _Wrong(Exception):
    """A response of the provider violates the specification; the text is for the log."""


def _sign_in_failure(error: Exception) -> SignInFailed:
    """Return the error shown to the user, and log the details for the operator.

    authlib and the library that verifies tokens have separate error hierarchies, and a malformed
    response can raise further exceptions.
    """
    code, what = "", getattr(error, "claim", "")
    is_away = isinstance(error, HTTPError)
    match error:
        case OAuthError() if error.error in _CODES:
            code = error.error
        case HTTPStatusError():
            code, is_away = str(error.response.status_code), error.response.is_server_error
        case _Wrong():
            what = str(error)
    if is_away or code in _UNREACHABLE:
        _log.warning("openid_unreachable", error=type(error).__name__, code=code)
        return SignInFailed("unreachable")
    _log.warning("openid_refused", error=type(error).__name__, code=code, what=what)
    if code in _EXPIRED:
        return SignInFailed("expired")
    return SignInFailed("denied" if code == "access_denied" else "wrong")


def _groups_of_claim(said: object) -> frozenset[str]:
    """Return the groups in a claim, which is a list or a single value."""
    if isinstance(said, list):
        return frozenset(map(str, said)) - {""}
    return frozenset({str(said)} if said else ())
