"""Regions at the desk: all of them with their days, one more, another name; none is ever deleted."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError
from charter.domain.region import ABROAD, COLUMNS, ROWS
from charter.i18n import _, current_language
from charter.operations import regions as operations
from charter.queries import region_desk as queries
from charter.queries.region_desk import RegionRow
from charter.web.forms.affiliations import NewRegionForm, RegionForm
from charter.web.gates import current_staff, duty
from charter.web.staff.affiliations import keep_version, may_write, meanwhile_words, refuse, today
from charter.web.staff.desk import blueprint


def _rows() -> list[RegionRow]:
    return queries.regions(current_language(), today=today())


@blueprint.get("/regions/")
@duty(Right.READ)
def regions() -> str:
    """Every one, also those that have ended or are to come."""
    return render_template("staff/regions.html", section="regions", rows=_rows(), may_write=may_write())


@blueprint.route("/regions/new/", methods=["GET", "POST"])
@duty(Right.AFFILIATIONS)
def add_region() -> BaseResponse | str | tuple[str, int]:
    """One more."""
    rows = _rows()
    form = NewRegionForm() if request.method == "POST" else NewRegionForm(formdata=None)
    form.offer(queries.tiles(rows))
    if request.method != "POST":
        return _page("staff/region_new.html", form, rows)
    if form.validate():
        try:
            operations.add(
                form.wanted(),
                code=form.code.data,
                slug=form.slug.data,
                staff_id=current_staff().id,
                now=clock.now(),
            )
        except FieldRefusedError as error:
            refuse(form, error)
        else:
            flash(_("The region is there. From its first day on observers can choose it and the map shows it."), "good")
            return redirect(url_for("staff.regions"), code=303)
    return _page("staff/region_new.html", form, rows), 422


@blueprint.get("/regions/<slug:slug>/")
@duty(Right.READ)
def region(slug: str) -> str:
    """One of them."""
    row, rows = _get(slug)
    return _page("staff/region.html", RegionForm.filled(row), rows, row=row)


@blueprint.post("/regions/<slug:slug>/")
@duty(Right.AFFILIATIONS)
def edit_region(slug: str) -> BaseResponse | tuple[str, int]:
    """Changes names, place and days."""
    row, rows = _get(slug)
    form = RegionForm()
    form.offer(queries.tiles(rows, but=slug))
    if not form.validate():
        return _page("staff/region.html", form, rows, row=row), 422
    try:
        operations.edit(
            slug,
            form.wanted(),
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        keep_version(form, row.version)
        return _page("staff/region.html", form, rows, row=row, meanwhile=meanwhile_words(error)), 409
    except FieldRefusedError as error:
        refuse(form, error)
        return _page("staff/region.html", form, rows, row=row), 422
    flash(_("Saved. The public pages follow with the next publication."), "good")
    return redirect(url_for("staff.region", slug=slug), code=303)


def _get(slug: str) -> tuple[RegionRow, list[RegionRow]]:
    rows = _rows()
    row = next((one for one in rows if one.slug == slug), None)
    if row is None:
        abort(404)
    return row, rows


def _page(template: str, form: RegionForm, rows: list[RegionRow], *, row: RegionRow | None = None, **more: Any) -> str:
    form.offer(queries.tiles(rows, but=None if row is None else row.slug))
    standing = {one.tile: one for one in rows if one is not row}
    return render_template(
        template,
        section="regions",
        form=form,
        row=row,
        is_abroad=row is not None and row.code == ABROAD,
        grid=[[standing.get((col, line)) for col in range(COLUMNS)] for line in range(ROWS)],
        may_write=may_write(),
        **{"meanwhile": None, **more},
    )
