"""Lists of people: bring a file, say what its columns are, look at what would happen, and let it happen."""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

from flask import Flask, abort, flash, make_response, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError
from charter.domain.sheet import guess
from charter.i18n import _, current_language
from charter.operations import importing
from charter.operations.importing import READ_AT_ONCE, NewList
from charter.queries import importing as queries
from charter.queries import registry
from charter.queries.importing import JobView
from charter.queries.review import Dossier
from charter.sheets import open_sheet
from charter.sheets.limits import SheetError
from charter.web import centre, gates, headers
from charter.web.forms.importing import COLUMNS, ColumnsForm, ListForm, chosen_columns
from charter.web.forms.signing import ButtonForm
from charter.web.gates import current_staff, duty
from charter.web.staff import import_words
from charter.web.staff.desk import blueprint, dossier_part
from charter.web.staff.reads import note_read

MOST_BYTES = 20_000_000
#: A page of progress asks for itself anew.
REFRESH_SECONDS = 4
#: What programs for tables take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@dossier_part("provenance")
def provenance_of(dossier: Dossier) -> queries.Provenance | None:
    """From which list the person was entered, if from any."""
    return queries.source_of(dossier.signature_id)


def _own() -> int | None:
    """Whose regions are limited sees only what they brought themselves: other lists hold people of anywhere."""
    member = current_staff()
    return None if member.regions is None else member.id


def _job(job_id: int) -> JobView:
    return queries.find_job(job_id, own=_own()) or abort(404)


# ── the list of lists, and one more ──────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/imports/")
@duty(Right.READ)
def imports() -> str:
    """What was brought, newest first, and the form for one more."""
    return _imports_page(ListForm(formdata=None))


def _imports_page(form: ListForm) -> str:
    typed = request.args.get("before", "")
    before = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 16 else None
    jobs, next_before = queries.jobs(own=_own(), before=before)
    return render_template(
        "staff/imports.html",
        section="imports",
        form=form,
        jobs=jobs,
        state_words=import_words.STATES,
        next_url=None if next_before is None else url_for("staff.imports", before=next_before),
    )


@blueprint.post("/imports/")
@duty(Right.IMPORT)
def bring_list() -> BaseResponse | tuple[str, int]:
    """Reads a file into rows; nothing of it is kept as a file."""
    form = ListForm()
    is_valid = form.validate()
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        form.file.errors = [_("Choose a file")]
    elif is_valid:
        try:
            job_id = _read(cast("BinaryIO", upload.stream), form)
        except SheetError as error:
            target = form.sheet if error.code == "no-such-sheet" else form.file
            target.errors = [import_words.file_words(error.code, error.row)]
        else:
            return redirect(url_for("staff.import_job", job_id=job_id), code=303)
    else:
        form.file.errors = [_("Choose the file once more: browsers do not keep it")]
    return _imports_page(form), 422


def _read(file: BinaryIO, form: ListForm) -> int:
    """The job with all rows of the file. Raises SheetError; a job that was begun for them is then broken off."""
    staff_id = current_staff().id
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(1 << 16):
        digest.update(block)
    sheet = open_sheet(file, wanted=form.sheet.data or "")
    first = next(sheet.rows, None)
    # Before anything is stored: a file without people is no list.
    second = next(sheet.rows, None)
    if first is None or second is None:
        raise SheetError("empty")
    new = NewList(
        sha256=digest.hexdigest(),
        source=form.source.data,
        format=sheet.format,
        encoding=sheet.encoding,
        sheet=sheet.sheet,
        header_row=first[0],
        header=first[1],
    )
    job_id = importing.begin(new, staff_id=staff_id, now=clock.now())
    chunk = [second]
    try:
        for row in sheet.rows:
            chunk.append(row)
            if len(chunk) >= READ_AT_ONCE:
                importing.add_rows(job_id, chunk, staff_id=staff_id, is_last=False)
                chunk = []
    except SheetError as error:
        importing.break_off(job_id, error.code, staff_id=staff_id, now=clock.now())
        raise
    importing.add_rows(job_id, chunk, staff_id=staff_id, is_last=True)
    return job_id


# ── one of them ──────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/imports/<row:job_id>/")
@duty(Right.READ)
def import_job(job_id: int) -> BaseResponse | str:
    """Its columns, how far the worker is, or what came of it."""
    job = _job(job_id)
    is_choosing = job.state == "mapping" or (job.state == "checked" and "columns" in request.args)
    if is_choosing and current_staff().may(Right.IMPORT):
        note_read("import", subject="import", subject_id=job_id)
        form = ColumnsForm(formdata=None, data={"language": "ru", **job.defaults, "again": job.again})
        return _columns_page(job, form, job.mapping or None)
    return _job_page(job)


def _columns_page(job: JobView, form: ColumnsForm, columns: Mapping[int, str] | None, wrong: str | None = None) -> str:
    header = queries.header_of(job.job_id)
    sample = queries.sample_of(job.job_id)
    width = max([len(header), *(len(row.cells or ()) for row in sample)])
    form.offer(registry.regions(current_language()))
    form.version.data = str(job.version)
    known = queries.remembered(job.layout)
    if columns is None:
        columns = known or guess(header)
    shown = [
        (
            place,
            header[place] if place < len(header) else "",
            [row.cells[place] for row in sample if row.cells and place < len(row.cells) and row.cells[place]],
        )
        for place in range(width)
    ]
    return render_template(
        "staff/import_columns.html",
        section="imports",
        job=job,
        form=form,
        columns=columns,
        shown=shown,
        fields=COLUMNS,
        is_known=bool(known),
        earlier=queries.find_earlier(job.job_id),
        wrong=wrong,
    )


@blueprint.post("/imports/<row:job_id>/columns")
@duty(Right.IMPORT)
def choose_columns(job_id: int) -> BaseResponse | tuple[str, int]:
    """What the columns are; the rows are then tried by the worker."""
    job = _job(job_id)
    if job.state not in {"mapping", "checked"}:
        return _was_faster(job_id)
    form = ColumnsForm()
    form.offer(registry.regions(current_language()))
    header = queries.header_of(job_id)
    width = max([len(header), *(len(row.cells or ()) for row in queries.sample_of(job_id))])
    columns = chosen_columns(width)
    wrong = None
    if form.validate():
        try:
            importing.choose(
                job_id,
                version=_version(),
                mapping=columns,
                defaults=form.defaults(),
                again=form.again.data,
                staff_id=current_staff().id,
                now=clock.now(),
            )
        except DecidedMeanwhileError:
            return _was_faster(job_id)
        except FieldRefusedError as error:
            if error.field == "again":
                form.again.errors = [_("This file was imported before; say that you want it again")]
            else:
                wrong = import_words.mapping_words(error.code)
        else:
            return redirect(url_for("staff.import_job", job_id=job_id), code=303)
    note_read("import", subject="import", subject_id=job_id)
    return _columns_page(job, form, columns, wrong), 422


def _version() -> int:
    typed = request.form.get("version", "")
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else 0


def _was_faster(job_id: int) -> BaseResponse:
    flash(_("Somebody was faster, or the page was old: this is how it stands now."), "bad")
    return redirect(url_for("staff.import_job", job_id=job_id), code=303)


def _job_page(job: JobView) -> BaseResponse | str:
    told = [] if job.is_busy else queries.told_rows(job.job_id)
    if told:
        note_read("import", subject="import", subject_id=job.job_id)
    page = render_template(
        "staff/import_job.html",
        section="imports",
        job=job,
        told=told,
        most_told=queries.SHOWN_ROWS,
        row_words=import_words.row_words,
        state_words=import_words.STATES,
        error_words=import_words.job_error_words,
        is_closed=_is_closed(),
    )
    if not job.is_busy and job.state != "reading":
        return page
    response = make_response(page)
    # Not in the page: there it would be a refresh that nobody can stop; here leaving the page is enough.
    response.headers["Refresh"] = str(REFRESH_SECONDS)
    return response


@blueprint.post("/imports/<row:job_id>/start")
@duty(Right.IMPORT)
def start_import(job_id: int) -> BaseResponse:
    """From here on people are written to; not while they could do nothing about it."""
    if _is_closed():
        flash(_("The Charter cannot be signed at present. Start when signing is open again."), "bad")
    elif ButtonForm().validate():
        try:
            importing.start(job_id, version=_version(), staff_id=current_staff().id, now=clock.now())
        except DecidedMeanwhileError:
            return _was_faster(job_id)
        except FieldRefusedError as error:
            flash(
                _("There is no good row to import.")
                if error.field == "rows"
                else _("This file was imported meanwhile. If you want it again, say so with its columns."),
                "bad",
            )
    return redirect(url_for("staff.import_job", job_id=job_id), code=303)


@blueprint.post("/imports/<row:job_id>/cancel")
@duty(Right.IMPORT)
def cancel_import(job_id: int) -> BaseResponse:
    """Calls it off; who was written to stays."""
    if ButtonForm().validate():
        try:
            importing.cancel(job_id, staff_id=current_staff().id, now=clock.now())
        except DecidedMeanwhileError:
            return _was_faster(job_id)
        flash(_("The import is called off. What is left of the list is erased."), "good")
    return redirect(url_for("staff.import_job", job_id=job_id), code=303)


@blueprint.get("/imports/<row:job_id>/errors.csv")
@duty(Right.READ)
def import_errors(job_id: int) -> BaseResponse:
    """Every row that something is to be said of, as a file: the cells as they came, and what is wrong in words."""
    job = _job(job_id)
    note_read("import-errors", subject="import", subject_id=job.job_id)
    kept = tempfile.SpooledTemporaryFile(max_size=1_000_000)  # noqa: SIM115 - whoever sends it closes it
    for line in _error_lines(job):
        kept.write(line)
    kept.seek(0)
    response = send_file(kept, mimetype="text/csv", as_attachment=True, download_name=f"import-{job_id}-errors.csv")
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    return response


def _error_lines(job: JobView) -> Iterator[bytes]:
    # With this mark Excel reads UTF-8; where the comma divides decimals it expects semicolons.
    yield b"\xef\xbb\xbf"
    separator = "," if current_language() == "en" else ";"
    yield _line([_("Row"), _("What is to be said of it"), *queries.header_of(job.job_id)], separator)
    for row in queries.each_told_row(job.job_id):
        words = "; ".join(import_words.row_words(code) for code in row.codes)
        yield _line([str(row.row), words, *(row.cells or ())], separator)


def _line(cells: list[str], separator: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return out.getvalue().encode()


def _is_closed() -> bool:
    return centre.closed_words(current_language(), now=clock.now()) is not None


def _may_bring() -> bool:
    presence = gates.find_presence()
    gates.forget_presence()
    return presence is not None and presence.member.may(Right.IMPORT)


def init_app(_app: Flask) -> None:
    """Lists are larger than anything else that is sent here; strangers stay at the common limit."""
    headers.accept_more("staff.bring_list", most_bytes=MOST_BYTES, is_allowed=_may_bring)
