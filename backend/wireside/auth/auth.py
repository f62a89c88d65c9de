"""All that there is about who may come in, in one hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wireside.auth.accounts import Accounts
from wireside.auth.audit import Audit
from wireside.auth.gate import Gate
from wireside.auth.keys import Keys
from wireside.auth.quotas import UserQuotas
from wireside.auth.sign_ins import SignIns
from wireside.auth.tickets import Tickets

if TYPE_CHECKING:  # it loads a lot that most servers don't need
    from wireside.auth.oidc import OpenId


@dataclass(frozen=True, slots=True)
class Auth:
    """The parts. ``days`` without a visit end a session; ``open_id`` is None where nobody signs in
    by it.
    """

    gate: Gate
    accounts: Accounts
    sign_ins: SignIns
    keys: Keys
    tickets: Tickets
    quotas: UserQuotas
    open_id: OpenId | None
    audit: Audit
    days: float

    @property
    def has_accounts(self) -> bool:
        """Whether people are told apart at all."""
        return self.gate.mode != "none"
