"""What happens to each invented signatory: which stories are told, and when each of their acts takes place.

Everything is decided before anything is written, by the dice alone, so that the same number of signatories on the same
day gives the same registry. Acts of the past lie in the first 48 minutes of an hour: `stage.py` publishes and
delivers at the end of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial
from random import Random

from charter.demo.people import Crowd
from charter.demo.plan import ENOUGH_FOR_ALL, MOST_UNUSUAL, OPEN_DAYS, SHARES, Act, Days, Plan, Terms, TooLateError
from charter.demo.words import OTHER_REASON, QUESTIONS
from charter.domain.calendar import TIME_ZONE, local_date

#: The part of an hour in which things happen.
ACT_MINUTES = 48
#: When the Centre decides.
SITTING_HOURS = (11, 16)
#: The time before the present in which the last acts lie; their mail is left to the worker.
LAST_MINUTES = 40


def make_plan(dice: Random, crowd: Crowd, count: int, *, days: Days, terms: Terms) -> Plan:
    """`count` signatures with all that happens to them."""
    return _Narrator(dice, crowd, days, terms).tell(count)


class _Narrator:
    def __init__(self, dice: Random, crowd: Crowd, days: Days, terms: Terms) -> None:
        self.dice = dice
        self.crowd = crowd
        self.days = days
        self.terms = terms
        self.plan = Plan()
        #: signers of plain stories with the instants at which they signed and were decided on
        self.plain: list[tuple[datetime, datetime, int]] = []
        self.tellers: Mapping[str, Callable[[], None]] = {
            "waiting": self._waiting,
            "overdue": self._overdue,
            "due next": self._due_next,
            "question open": self._question_open,
            "answered": self._answered,
            "answer came back": self._answer_came_back,
            "answered by telephone": self._answered_by_telephone,
            "corrected": self._corrected,
            "undone": self._undone,
            "signed twice": self._signed_twice,
            "signed again": self._signed_again,
            "unconfirmed": self._unconfirmed,
            "link ended": self._link_ended,
            "undeliverable": self._undeliverable,
            "withdrawn": self._withdrawn,
            "withdrawn early": self._withdrawn_early,
            "just signed": self._just_signed,
            "just confirmed": self._just_confirmed,
            "just asked": self._just_asked,
            "just declined": self._just_declined,
            "just approved": self._just_approved,
            "just withdrawn": self._just_withdrawn,
            "just signed again": self._just_signed_again,
            "just asked for a code": self._just_asked_for_a_code,
        }

    def tell(self, count: int) -> Plan:
        budget = int(count * MOST_UNUSUAL) if count >= ENOUGH_FOR_ALL else count // 2
        told = {}
        for place, share in enumerate(SHARES):
            rows = share.rows * max(1, round(count * share.part / share.rows))
            if rows <= budget:
                told[place] = rows // share.rows
                budget -= rows
        unusual = sum(SHARES[place].rows * times for place, times in told.items())
        for _ in range(count - unusual):
            self._published()
        shared = []
        for place, times in told.items():
            story = SHARES[place].story
            if story in ("held", "released"):
                shared += [story] * times
            elif story.startswith("declined "):
                for _ in range(times):
                    self._declined(story.removeprefix("declined "))
            else:
                for _ in range(times):
                    self.tellers[story]()
        self._share_mailboxes(shared)
        self.plan.past.sort(key=lambda act: act.at)
        self._spread_last_acts()
        return self.plan

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _somebody(self) -> int:
        self.plan.people.append(self.crowd.invent())
        return len(self.plan.people) - 1

    def _minute(self) -> tuple[int, int]:
        return self.dice.randrange(ACT_MINUTES), self.dice.randrange(60)

    def _signing_time(self, first: date, last: date, *, last_hour: int = 22) -> datetime:
        """More on working days, and most in the first fortnight, when everybody heard of it."""
        choice = [first + timedelta(days=place) for place in range((last - first).days + 1)]
        weights = [
            (3.0 if (day - self.days.opened_on).days < 14 else 1.0 + (day - self.days.opened_on).days / OPEN_DAYS)
            * (1.0 if self.days.is_working_day(day) else 0.55)
            for day in choice
        ]
        day = self.dice.choices(choice, weights)[0]
        hours = range(7, last_hour + 1)
        hour = self.dice.choices(hours, [3 if 10 <= hour <= 13 or 19 <= hour <= 21 else 2 for hour in hours])[0]
        return self.days.at(day, hour, *self._minute())

    def _hours_later(self, at: datetime, least: int, most: int) -> datetime:
        """In another hour, when the mail is there, and not in the small hours."""
        later = at.astimezone(TIME_ZONE) + timedelta(hours=self.dice.randint(least, most))
        return self.days.at(later.date(), 8 if 1 <= later.hour < 7 else later.hour, *self._minute())

    def _confirming_time(self, signed_at: datetime) -> datetime:
        longest = self.terms.confirm_link_days * 24 - 10
        least, most = self.dice.choices(((1, 1), (2, 5), (9, 30), (30, 130)), (62, 20, 13, 5))[0]
        return self._hours_later(signed_at, min(least, longest), min(most, longest))

    def _deciding_time(self, after: datetime, *, least_days: int = 1) -> datetime:
        """In a sitting, late in the morning or in the afternoon of a working day; seldom later than is due."""
        due = self.terms.answer_due_working_days
        lag = self.dice.choices(range(1, due + 2), [2 * due + 2 - place for place in range(due)] + [1])[0]
        day = after.astimezone(TIME_ZONE).date()
        for _ in range(max(lag, least_days)):
            day += timedelta(days=1)
            while not self.days.is_working_day(day):
                day += timedelta(days=1)
        return self.days.at(day, self.dice.choice(SITTING_HOURS), *self._minute())

    def _tell(self, first: date, last: date, acts: Callable[[datetime], list[Act]]) -> list[Act]:
        """The acts of a story that begins between two days; begun earlier when it would not end in the past."""
        for attempt in range(200):
            latest = max(last - timedelta(days=attempt // 8), self.days.opened_on)
            try:
                told = acts(self._signing_time(min(first, latest), latest))
            except TooLateError:
                continue
            self.plan.past += told
            return told
        raise AssertionError("a story is longer than the demonstration")

    def _any_day(self) -> tuple[date, date]:
        return self.days.opened_on, self.days.back(2)

    def _until_confirmed(self, signer: int, signed_at: datetime, *, verb: str = "sign") -> list[Act]:
        confirming = "confirm" if self.dice.random() < 0.8 else "confirm_with_code"
        return [Act(signed_at, signer, verb), Act(self._confirming_time(signed_at), signer, confirming)]

    def _until_decided(self, signer: int, signed_at: datetime, verb: str = "approve") -> list[Act]:
        acts = self._until_confirmed(signer, signed_at)
        return [*acts, Act(self._deciding_time(acts[-1].at), signer, verb)]

    def _until_asked(self, signer: int, signed_at: datetime) -> list[Act]:
        """Up to the Centre's question."""
        acts = self._until_confirmed(signer, signed_at)
        return [*acts, self._question(signer, self._deciding_time(acts[-1].at))]

    def _question(self, signer: int, at: datetime) -> Act:
        person = self.plan.people[signer]
        has_affiliation = person.details.affiliation_slug or person.details.affiliation_text
        reasons = [code for code in QUESTIONS if code != "affiliation-unclear" or has_affiliation]
        reason = self.dice.choice(reasons)
        return Act(at, signer, "ask", reason, QUESTIONS[reason][person.language][0])

    def _answer_to(self, question: Act) -> Act:
        words = QUESTIONS[str(question.reason)][self.plan.people[question.signer].language][1]
        return Act(self._hours_later(question.at, 2, 60), question.signer, "answer", words=words)

    def _refusal(self, signer: int, at: datetime, reason: str) -> Act:
        words = OTHER_REASON[self.plan.people[signer].language] if reason == "other" else None
        return Act(at, signer, "decline", reason, words)

    # ── stories that have ended, or wait ─────────────────────────────────────────────────────────────────────────────

    def _published(self) -> None:
        signer = self._somebody()
        acts = self._tell(*self._any_day(), lambda at: self._until_decided(signer, at))
        self.plain.append((acts[0].at, acts[-1].at, signer))

    def _corrected(self) -> None:
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            told = self._until_confirmed(signer, at)
            correction = Act(self._hours_later(told[-1].at, 1, 3), signer, "correct")
            return [*told, correction, Act(self._deciding_time(correction.at), signer, "approve")]

        self._tell(*self._any_day(), acts)

    def _answered(self) -> None:
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            told = self._until_asked(signer, at)
            answer = self._answer_to(told[-1])
            return [*told, answer, Act(self._deciding_time(answer.at), signer, "approve")]

        self._tell(*self._any_day(), acts)

    def _answered_by_telephone(self) -> None:
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            told = self._until_asked(signer, at)
            return [*told, Act(self._deciding_time(told[-1].at), signer, "approve")]

        self._tell(*self._any_day(), acts)

    def _undone(self) -> None:
        if self.terms.undo_seconds < 5:
            self._published()
            return
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            told = self._until_decided(signer, at, "decline")
            mistake = replace(told[-1], reason="not-an-observer")
            undoing = Act(mistake.at + timedelta(seconds=4), signer, "undo")
            return [*told[:-1], mistake, undoing, Act(undoing.at + timedelta(minutes=1), signer, "approve")]

        self._tell(*self._any_day(), acts)

    def _declined(self, reason: str) -> None:
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            if reason != "unanswered":
                told = self._until_decided(signer, at)
                return [*told[:-1], self._refusal(signer, told[-1].at, reason)]
            told = self._until_asked(signer, at)
            return [*told, self._refusal(signer, self._deciding_time(told[-1].at, least_days=5), reason)]

        self._tell(*self._any_day(), acts)

    def _withdrawn(self) -> None:
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            told = self._until_decided(signer, at)
            leaving = self._hours_later(told[-1].at, 20, 24 * 40)
            if self.terms.code_minutes < 15 or self.dice.random() < 0.6:
                return [*told, Act(leaving, signer, "withdraw")]
            # The mail with the code goes at the end of this hour, and is used at the beginning of the next.
            asking = leaving.replace(minute=ACT_MINUTES - 1, second=self.dice.randrange(60))
            using = asking.replace(minute=0) + timedelta(hours=1, minutes=1)
            if local_date(using) >= self.days.today:
                raise TooLateError
            return [*told, Act(asking, signer, "ask_for_code"), Act(using, signer, "withdraw_with_code")]

        self._tell(*self._any_day(), acts)

    def _withdrawn_early(self) -> None:
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            told = self._until_confirmed(signer, at)
            return [*told, Act(self._hours_later(told[-1].at, 24, 30), signer, "withdraw")]

        self._tell(*self._any_day(), acts)

    def _signed_twice(self) -> None:
        """The first mail was never opened; the second one was, and closed the first."""
        first = self._somebody()
        self.plan.people.append(self.plan.people[first])
        second = len(self.plan.people) - 1

        def acts(at: datetime) -> list[Act]:
            return [Act(at, first, "sign"), *self._until_decided(second, self._hours_later(at, 3, 60))]

        self._tell(*self._any_day(), acts)

    def _signed_again(self) -> None:
        """Somebody who is in the registry signs once more, and is told so by mail."""
        signed_at, signer = self._same_person_again()
        self._tell(local_date(signed_at) + timedelta(days=1), self.days.back(1), lambda at: [Act(at, signer, "sign")])

    def _same_person_again(self) -> tuple[datetime, int]:
        _, decided_at, earlier = min(self.plain)
        self.plain = [one for one in self.plain if one[2] != earlier]
        self.plan.people.append(self.plan.people[earlier])
        return decided_at, len(self.plan.people) - 1

    def _unconfirmed(self) -> None:
        signer = self._somebody()
        first = self.days.back(max(1, self.terms.confirm_link_days - 1))
        self._tell(first, self.days.back(1), lambda at: [Act(at, signer, "sign")])

    def _link_ended(self) -> None:
        signer = self._somebody()
        last = self.days.back(self.terms.confirm_link_days + 1)
        self._tell(self.days.opened_on, last, lambda at: [Act(at, signer, "sign")])

    def _undeliverable(self) -> None:
        signer = self._somebody()
        self._tell(
            self.days.back(30),
            self.days.back(1),
            lambda at: [Act(at, signer, "sign"), Act(at + timedelta(seconds=1), signer, "lose_mail")],
        )

    def _waiting(self) -> None:
        self._confirmed_on(self.days.due_between(self.days.next_working_day() + timedelta(days=1), date.max))

    def _overdue(self) -> None:
        self._confirmed_on(self.days.due_between(self.days.back(7), self.days.back(1)))

    def _due_next(self) -> None:
        """Today where today is a working day."""
        self._confirmed_on(self.days.due_between(self.days.next_working_day(), self.days.next_working_day()))

    def _confirmed_on(self, possible: list[date]) -> None:
        signer = self._somebody()
        day = self.dice.choice(possible or [self.days.back(1)])
        signed_at = self._signing_time(day, day, last_hour=21)
        self.plan.past += [Act(signed_at, signer, "sign"), Act(self._hours_later(signed_at, 1, 1), signer, "confirm")]

    def _question_open(self) -> None:
        signer = self._somebody()
        self._tell(self.days.back(9), self.days.back(3), lambda at: self._until_asked(signer, at))

    def _answer_came_back(self) -> None:
        signer = self._somebody()

        def acts(at: datetime) -> list[Act]:
            told = self._until_asked(signer, at)
            return [*told, self._answer_to(told[-1])]

        self._tell(self.days.back(9), self.days.back(4), acts)

    def _share_mailboxes(self, stories: list[str]) -> None:
        """An office whose mailbox is full: whoever comes then is set aside, and some are let through.

        An office takes the earliest signatories that have nothing else to do.
        """
        seats = self.terms.people_per_mailbox
        while stories:
            mates = sorted(self.plain)[:seats]
            newcomers, stories = stories[:4], stories[4:]
            if len(mates) < seats:
                for _ in newcomers:
                    self._published()
                continue
            self.plain = [one for one in self.plain if one not in mates]
            office = self.crowd.office()
            for _, _, mate in mates:
                self.plan.people[mate] = replace(self.plan.people[mate], email=office)
            full_from = local_date(mates[-1][0]) + timedelta(days=1)
            for story in newcomers:
                signer = self._somebody()
                self.plan.people[signer] = replace(self.plan.people[signer], email=office)
                if story == "held":
                    first = max(full_from, self.days.back(20))
                    self._tell(first, self.days.back(1), partial(self._set_aside, signer))
                else:
                    self._tell(full_from, self.days.back(2), partial(self._released, signer))

    def _set_aside(self, signer: int, signed_at: datetime) -> list[Act]:
        return [Act(signed_at, signer, "sign_held")]

    def _released(self, signer: int, signed_at: datetime) -> list[Act]:
        release = Act(self._deciding_time(signed_at), signer, "release")
        confirmed_at = self._confirming_time(release.at)
        return [
            Act(signed_at, signer, "sign_held"),
            release,
            Act(confirmed_at, signer, "confirm"),
            Act(self._deciding_time(confirmed_at), signer, "approve"),
        ]

    # ── what happens just now ────────────────────────────────────────────────────────────────────────────────────────

    def _now(self, signer: int, verb: str, reason: str | None = None, words: str | None = None) -> None:
        self.plan.last.append(Act(self.days.now, signer, verb, reason, words))

    def _spread_last_acts(self) -> None:
        """Evenly over the minutes before the present, but not before today began."""
        midnight = datetime.combine(self.days.today, time(0), TIME_ZONE)
        span = min(timedelta(minutes=LAST_MINUTES), self.days.now - midnight)
        step = span.total_seconds() / (len(self.plan.last) + 1)
        self.plan.last = [
            replace(act, at=self.days.now - span + timedelta(seconds=int(step * place)))
            for place, act in enumerate(self.plan.last, start=1)
        ]

    def _just_signed(self) -> None:
        self._now(self._somebody(), "sign")

    def _just_confirmed(self) -> None:
        if self.terms.confirm_link_days < 2:
            self._just_signed()  # yesterday's link may have ended
            return
        signer = self._somebody()
        self._tell(self.days.back(1), self.days.back(1), lambda at: [Act(at, signer, "sign")])
        self._now(signer, "confirm")

    def _confirmed_lately(self) -> int:
        signer = self._somebody()
        self._tell(self.days.back(5), self.days.back(3), lambda at: self._until_confirmed(signer, at))
        return signer

    def _just_asked(self) -> None:
        question = self._question(self._confirmed_lately(), self.days.now)
        self._now(question.signer, "ask", question.reason, question.words)

    def _just_declined(self) -> None:
        refusal = self._refusal(self._confirmed_lately(), self.days.now, "other")
        self._now(refusal.signer, "decline", refusal.reason, refusal.words)

    def _just_approved(self) -> None:
        self._now(self._confirmed_lately(), "approve")

    def _just_withdrawn(self) -> None:
        self._now(self._published_just_so(), "withdraw")

    def _just_asked_for_a_code(self) -> None:
        self._now(self._published_just_so(), "ask_for_code")

    def _published_just_so(self) -> int:
        signer = self._somebody()
        self._tell(*self._any_day(), lambda at: self._until_decided(signer, at))
        return signer

    def _just_signed_again(self) -> None:
        _, signer = self._same_person_again()
        self._now(signer, "sign")
