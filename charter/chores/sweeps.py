"""The worker's part in invalidations: some signatures of the oldest sweep on its way, forwards or back."""

from __future__ import annotations

from charter import clock, shipped
from charter.operations import sweep_steps, unit
from charter.queries import centre, schema
from charter.queries import sweeping as queries
from charter.settings import Settings


def step(settings: Settings) -> bool:
    """A transaction's worth of it; whether there is more to do now."""
    work = queries.find_work()
    if work is None:
        return False
    holidays = centre.days_off(shipped.holidays()) if work.is_undoing else frozenset()
    schema.let_go()
    with unit.acting(work.staff_id):
        if not work.is_undoing:
            return sweep_steps.go_on(
                work.invalidation_id, staff_id=work.staff_id, undo_seconds=settings.undo_seconds, now=clock.now()
            )
        return sweep_steps.go_back(
            work.invalidation_id,
            staff_id=work.staff_id,
            key=settings.secret_key.encode(),
            confirm_link_days=settings.confirm_link_days,
            answer_due_working_days=settings.answer_due_working_days,
            holidays=holidays,
            undo_seconds=settings.undo_seconds,
            now=clock.now(),
        )
