"""Plays a plan through the real operations, each at its own time in the past, so that everything the service keeps is
true: history, consents, mail, log, registry and counters.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from charter import shipped
from charter.demo.plan import Act, Plan
from charter.domain import consent as consents
from charter.domain import token as tokens
from charter.domain.consent import CONSENT_KINDS, Operator
from charter.domain.languages import LANGUAGES
from charter.domain.mail import Delivery
from charter.operations import outbox, proving, publication, review, signing
from charter.operations.proving import Outcome, Proof
from charter.operations.sign_steps import GivenConsent, NewSignature
from charter.queries import queue as queue_queries
from charter.queries import signing as signing_queries
from charter.settings import Settings

MAILS_AT_ONCE = 500
PUBLISHED_SOON = frozenset({"approve", "decline", "withdraw", "withdraw_with_code"})
DELIVERED_SOON = frozenset({"sign", "release", "ask_for_code", "ask"})


@dataclass
class _Signature:
    """What a signatory and the reviewer know of one signature while it is played."""

    id: int | None = None
    version: int = 1
    confirm_token: str = ""
    confirm_code: str = ""
    act_code: str = ""
    decision_id: int = 0
    is_mail_lost: bool = False


class Stage:
    """One playing of one plan."""

    def __init__(self, plan: Plan, *, settings: Settings, staff_id: int) -> None:
        self._people = plan.people
        self._settings = settings
        self._key = settings.secret_key.encode()
        self._staff_id = staff_id
        self._consents = {language: _consents(language, settings) for language in LANGUAGES}
        self._played: set[str] = set()
        self._signatures = [_Signature() for _ in plan.people]
        #: address → those whose mail about signing is on its way
        self._awaiting: defaultdict[str, list[int]] = defaultdict(list)
        self._verbs: Mapping[str, Callable[[Act], None]] = {
            "sign": self._sign,
            "sign_held": self._sign_held,
            "lose_mail": self._lose_mail,
            "confirm": self._confirm,
            "confirm_with_code": self._confirm,
            "correct": self._correct,
            "answer": self._answer,
            "ask_for_code": self._ask_for_code,
            "withdraw": self._withdraw,
            "withdraw_with_code": self._withdraw,
            "approve": self._decide,
            "decline": self._decide,
            "ask": self._decide,
            "undo": self._undo,
            "release": self._release,
        }

    def play(self, act: Act) -> None:
        """One act. Raises AssertionError if it does not have the effect the plan counts on."""
        self._verbs[act.verb](act)
        self._played.add(act.verb)

    def publish_and_deliver(self, *, now: datetime, is_last_today: bool) -> None:
        """What the worker does.

        Where nothing was decided or withdrawn the leaves wait for the next time, and mail that no act needs waits too,
        but never overnight: a round costs as much as a signature.
        """
        played, self._played = self._played, set()
        if is_last_today or played & PUBLISHED_SOON:
            while (batch := publication.publish_batch(now=now)) is not None and batch.is_full:
                pass
        is_more = is_last_today or bool(played & (PUBLISHED_SOON | DELIVERED_SOON))
        while is_more:
            taken = outbox.claim(
                limit=MAILS_AT_ONCE,
                lease_seconds=self._settings.outbox_lease_seconds,
                key=self._key,
                hourly_budget=0,
                now=now,
            )
            for delivery in taken.deliveries:
                self._deliver(delivery, now=now, is_recovery=taken.is_failing)
            is_more = taken.is_full

    # ── mail ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _deliver(self, delivery: Delivery, *, now: datetime, is_recovery: bool) -> None:
        """Read at once by whoever gets it, and sent nowhere."""
        is_lost = False
        if delivery.kind in ("confirm-signature", "already-signed"):
            signature = self._signatures[self._addressee(delivery)]
            is_lost = signature.is_mail_lost
            if delivery.kind == "confirm-signature" and delivery.link_uid is not None:
                signature.confirm_token = tokens.token(self._key, "confirm", delivery.link_uid)
                signature.confirm_code = tokens.code(self._key, "confirm", delivery.link_uid)
        elif delivery.kind == "code" and delivery.link_uid is not None:
            code = tokens.code(self._key, "act", delivery.link_uid)
            for signature in (self._signatures[place] for place in self._asking(delivery.recipient)):
                signature.act_code = code
        if is_lost:
            outbox.mark_failed(delivery.message_id, code="smtp-550", is_permanent=True, now=now)
        else:
            outbox.mark_sent([delivery.message_id], now=now, is_recovery=is_recovery)

    def _addressee(self, delivery: Delivery) -> int:
        waiting = self._awaiting[delivery.recipient]
        place = 0
        if len(waiting) > 1 and delivery.link_uid is not None:
            view = signing_queries.find_confirmation(
                tokens.token(self._key, "confirm", delivery.link_uid),
                browser_digest=None,
                language=delivery.language,
                now=delivery.created_at,
            )
            names = [self._people[signer].details.full_name for signer in waiting]
            place = names.index(view.full_name) if view is not None and view.full_name in names else 0
        return waiting.pop(place)

    def _asking(self, recipient: str) -> list[int]:
        return [place for place, person in enumerate(self._people) if person.email.address == recipient]

    # ── the observer ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _sign(self, act: Act) -> None:
        self._send_form(act)
        self._awaiting[self._people[act.signer].email.address].append(act.signer)

    def _sign_held(self, act: Act) -> None:
        self._send_form(act)

    def _send_form(self, act: Act) -> None:
        person = self._people[act.signer]
        signing.sign(
            NewSignature(
                details=person.details,
                email=person.email,
                language=person.language,
                signed_language=person.signed_language,
                consents=self._consents[person.signed_language],
            ),
            key=self._key,
            edition_slug=self._settings.charter_edition,
            browser_digest=_browser(act.signer),
            confirm_link_days=self._settings.confirm_link_days,
            people_per_mailbox=self._settings.people_per_mailbox,
            now=act.at,
        )

    def _lose_mail(self, act: Act) -> None:
        self._signatures[act.signer].is_mail_lost = True

    def _confirm(self, act: Act) -> None:
        signature = self._signatures[act.signer]
        by_code = act.verb == "confirm_with_code"
        result = signing.confirm(
            signature.confirm_token,
            proof=Proof(None, signature.confirm_code) if by_code else Proof(_browser(act.signer), None),
            key=self._key,
            code_tries=self._settings.code_tries,
            answer_due_working_days=self._settings.answer_due_working_days,
            holidays=shipped.holidays(),
            now=act.at,
        )
        assert result.personal_token is not None, (act, result)
        signature.id = signing_queries.find_signature_id(result.personal_token)
        signature.version += 1

    def _correct(self, act: Act) -> None:
        details = self._people[act.signer].details
        details = replace(details, display="short" if details.display == "full" else "full")
        signing.correct(self._moved(act), details, now=act.at)

    def _answer(self, act: Act) -> None:
        signing.answer(self._moved(act), act.words or "", now=act.at)

    def _ask_for_code(self, act: Act) -> None:
        signature_id = self._signatures[act.signer].id
        assert signature_id is not None, act
        proving.request_code(signature_id, key=self._key, code_minutes=self._settings.code_minutes, now=act.at)

    def _withdraw(self, act: Act) -> None:
        signature = self._signatures[act.signer]
        by_code = act.verb == "withdraw_with_code"
        result = signing.withdraw(
            self._moved(act),
            proof=Proof(None, signature.act_code) if by_code else Proof(_browser(act.signer), None),
            key=self._key,
            code_tries=self._settings.code_tries,
            now=act.at,
        )
        assert result.outcome is Outcome.DONE, (act, result)

    # ── the Centre ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _decide(self, act: Act) -> None:
        signature = self._signatures[act.signer]
        seen = signature.version
        signature.decision_id = review.decide(
            self._moved(act),
            action=act.verb,
            expected_version=seen,
            reason=act.reason,
            note=act.words,
            staff_id=self._staff_id,
            undo_seconds=self._settings.undo_seconds,
            now=act.at,
        )

    def _undo(self, act: Act) -> None:
        signature = self._signatures[act.signer]
        review.undo(signature.decision_id, staff_id=self._staff_id, now=act.at)
        signature.version += 1

    def _release(self, act: Act) -> None:
        person = self._people[act.signer]
        # Several of one office may be set aside; no two of them have the same name.
        signature_id = next(
            row.signature_id for row in queue_queries.held("en") if row.full_name == person.details.full_name
        )
        review.release(
            signature_id,
            staff_id=self._staff_id,
            confirm_link_days=self._settings.confirm_link_days,
            now=act.at,
        )
        self._signatures[act.signer].version += 1
        self._awaiting[person.email.address].append(act.signer)

    def _moved(self, act: Act) -> int:
        """The id of a confirmed signature that is about to be moved."""
        signature = self._signatures[act.signer]
        assert signature.id is not None, act
        signature.version += 1
        return signature.id


def _browser(signer: int) -> bytes:
    """What the service keeps of the cookie in the browser somebody signed with."""
    return hashlib.sha256(f"demonstration {signer}".encode()).digest()


def _consents(language: str, settings: Settings) -> tuple[GivenConsent, ...]:
    operator = Operator(
        name=settings.centre_name,
        bin=settings.centre_bin,
        address=settings.centre_address,
        contact=settings.centre_contact,
    )
    bodies = {kind: shipped.consents().compose(kind, lang=language, operator=operator) for kind in CONSENT_KINDS}
    return tuple(GivenConsent(kind, consents.digest(body), body) for kind, body in bodies.items())
