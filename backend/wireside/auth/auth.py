"""The authentication components, bundled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wireside.auth.accounts import Accounts
from wireside.auth.audit import Audit
from wireside.auth.authenticator import Authenticator
from wireside.auth.keys import Keys
from wireside.auth.quotas import UserQuotas
from wireside.auth.sessions import BrowserSessions
from wireside.auth.tickets import Tickets
from wireside.secret_box import SecretBox

if TYPE_CHECKING:  # importing it is slow, and most servers do not need it
    from wireside.auth.oidc import OpenId


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The authentication components of a server.

    ``days`` is the number of days without a request after which a session expires; ``open_id`` is
    None unless sign-in uses OpenID Connect; ``box`` encrypts the results of forms, which a browser
    keeps until the next page.
    """

    gate: Authenticator
    accounts: Accounts
    sign_ins: BrowserSessions
    keys: Keys
    tickets: Tickets
    quotas: UserQuotas
    open_id: OpenId | None
    audit: Audit
    box: SecretBox
    days: float

    @property
    def has_accounts(self) -> bool:
        """Whether accounts are in use, that is ``WIRESIDE_AUTH`` is not ``none``."""
        return self.gate.mode != "none"

    @property
    def has_account_pages(self) -> bool:
        """Whether users have pages for sign-in, settings and administration here."""
        return self.gate.mode not in ("none", "host")
